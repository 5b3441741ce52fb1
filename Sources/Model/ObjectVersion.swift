/// One published state of a bucket and key.
public struct ObjectVersion: Sendable, Equatable {
    /// The sequence of the event that published it.
    public let sequence: SequenceNumber
    public let published: Timestamp
    /// The event's own message: metadata, checksums and pieces.
    public let record: EventVersionPublished

    public init(sequence: SequenceNumber, published: Timestamp, record: EventVersionPublished) {
        self.sequence = sequence
        self.published = published
        self.record = record
    }

    public var key: String { record.key }
    public var size: UInt64 { record.size }
    public var etag: String { record.etag }
    public var isNull: Bool { record.nullVersion }
    public var isDeleteMarker: Bool { record.deleteMarker }
    /// - Precondition: the record came from the log or the catalog, which hold only 16-byte ids.
    public var versionID: VersionID {
        guard let id = VersionID(bytes: record.versionID) else {
            preconditionFailure("a published version has a 16-byte id")
        }
        return id
    }
    /// The version's name on the wire: "null", or 32 hexadecimal digits.
    public var wireVersionID: String { isNull ? "null" : versionID.description }

    /// The event that carries the bytes of a piece that stands in the log.
    public func carrier(of piece: EventPiece) -> SequenceNumber { piece.carrier(in: sequence) }

    /// The events that carry bytes of the version, in the order of its pieces.
    public var carriers: some Sequence<SequenceNumber> {
        record.pieces.lazy.filter(\.hasPayload).map { carrier(of: $0) }
    }
}

extension EventPiece {
    /// Whether it has bytes, and they stand in the log.
    public var hasPayload: Bool { blobID.isEmpty && length > 0 }

    /// The event that carries its bytes, if they stand in the log: where it names none, the one that it stands in itself.
    public func carrier(in event: SequenceNumber) -> SequenceNumber {
        payloadSequence == 0 ? event : SequenceNumber(payloadSequence)
    }
}

/// Which version of a key a request names.
public enum VersionSelector: Hashable, Sendable {
    /// None named: the current one.
    case current
    /// `versionId=null`.
    case null
    case id(VersionID)

    /// The selector that a `versionId` query item spells; `nil` if no version can have that name.
    public init?(wire: String) {
        if wire == "null" {
            self = .null
        } else if let id = VersionID(wire) {
            self = .id(id)
        } else {
            return nil
        }
    }
}

/// A row of a listing: what S3 shows of a version without opening its record.
public struct ListedVersion: Sendable, Equatable {
    public let key: ObjectKey
    public let sequence: SequenceNumber
    public let versionID: VersionID
    public let isNull: Bool
    public let isDeleteMarker: Bool
    public let isLatest: Bool
    public let size: UInt64
    public let etag: String
    public let modified: Timestamp
    public let owner: String
    public let storageClass: String
    /// Algorithm of the first checksum of the version, and whether it is composite; `nil` without one.
    public let checksum: (algorithm: EventChecksumAlgorithm, composite: Bool)?

    public init(
        key: ObjectKey, sequence: SequenceNumber, versionID: VersionID, isNull: Bool,
        isDeleteMarker: Bool, isLatest: Bool, size: UInt64, etag: String, modified: Timestamp,
        owner: String, storageClass: String,
        checksum: (algorithm: EventChecksumAlgorithm, composite: Bool)?
    ) {
        self.key = key
        self.sequence = sequence
        self.versionID = versionID
        self.isNull = isNull
        self.isDeleteMarker = isDeleteMarker
        self.isLatest = isLatest
        self.size = size
        self.etag = etag
        self.modified = modified
        self.owner = owner
        self.storageClass = storageClass
        self.checksum = checksum
    }

    public var wireVersionID: String { isNull ? "null" : versionID.description }

    public static func == (left: ListedVersion, right: ListedVersion) -> Bool {
        left.key == right.key && left.sequence == right.sequence && left.versionID == right.versionID
            && left.isNull == right.isNull && left.isDeleteMarker == right.isDeleteMarker
            && left.isLatest == right.isLatest && left.size == right.size && left.etag == right.etag
            && left.modified == right.modified && left.owner == right.owner
            && left.storageClass == right.storageClass
            && left.checksum?.algorithm == right.checksum?.algorithm
            && left.checksum?.composite == right.checksum?.composite
    }
}

/// A page of a listing: rows and common prefixes, merged in the order of their UTF-8 bytes.
public struct ListingPage: Sendable {
    public enum Item: Sendable {
        case version(ListedVersion)
        /// A common prefix, up to and including the delimiter.
        case prefix(String)
    }

    public let items: [Item]
    public let isTruncated: Bool

    public init(items: [Item], isTruncated: Bool) {
        self.items = items
        self.isTruncated = isTruncated
    }
}

/// A multipart upload that is neither completed nor aborted.
public struct MultipartUpload: Sendable, Equatable {
    public let sequence: SequenceNumber
    public let initiated: Timestamp
    public let record: EventUploadCreated

    public init(sequence: SequenceNumber, initiated: Timestamp, record: EventUploadCreated) {
        self.sequence = sequence
        self.initiated = initiated
        self.record = record
    }

    public var uploadID: UploadID {
        guard let id = UploadID(bytes: record.uploadID) else {
            preconditionFailure("an upload has a 16-byte id")
        }
        return id
    }
}

/// A part of a multipart upload.
public struct UploadedPart: Sendable, Equatable {
    public let sequence: SequenceNumber
    public let modified: Timestamp
    public let number: Int
    public let etag: String
    /// With `payloadSequence` filled in if the bytes stand in the log.
    public let piece: EventPiece

    public init(
        sequence: SequenceNumber, modified: Timestamp, number: Int, etag: String, piece: EventPiece
    ) {
        self.sequence = sequence
        self.modified = modified
        self.number = number
        self.etag = etag
        self.piece = piece
    }
}
