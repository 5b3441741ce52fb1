import Model

/// Who asks, for the event that records what was done.
public struct Actor: Hashable, Sendable {
    /// The canonical id of the user, or ``holdfast``'s.
    public let id: String
    public let displayName: String
    public let requestID: String

    public init(id: String, displayName: String, requestID: String) {
        self.id = id
        self.displayName = displayName
        self.requestID = requestID
    }

    /// The store itself: repairs, reclaiming, confirmations.
    public static let holdfast = Actor(id: "holdfast", displayName: "holdfast", requestID: "")
}

/// Whose an object becomes, where that is not whoever writes it.
public struct ObjectOwner: Hashable, Sendable {
    /// A canonical id.
    public let id: String
    public let displayName: String

    public init(id: String, displayName: String) {
        self.id = id
        self.displayName = displayName
    }
}

/// Where a change stands in the log, and how safely.
public struct Commit: Hashable, Sendable {
    /// The sequence of the event, or of the last event before it if nothing had to change.
    public let sequence: SequenceNumber
    /// Volumes that hold the change on stable storage.
    public let replicas: Int
    public let time: Timestamp

    public init(sequence: SequenceNumber, replicas: Int, time: Timestamp) {
        self.sequence = sequence
        self.replicas = replicas
        self.time = time
    }
}

/// What a change made, and where it stands in the log.
public struct Committed<Value: Sendable>: Sendable {
    public let value: Value
    public let commit: Commit

    public init(value: Value, commit: Commit) {
        self.value = value
        self.commit = commit
    }
}

/// The right side of `If-Match` and `If-None-Match`.
public enum ETagCondition: Hashable, Sendable {
    /// `*`
    case any
    /// ETags without their quotes.
    case tags([String])

    func holds(for etag: String) -> Bool {
        switch self {
        case .any: true
        case .tags(let tags): tags.contains(etag)
        }
    }
}

/// Conditions on the current version that a write must find true when it is committed, not merely when it
/// came in.
///
/// Source: Amazon S3 User Guide, "Add preconditions to S3 operations with conditional requests".
public struct WriteConditions: Hashable, Sendable {
    public var ifMatch: ETagCondition?
    public var ifNoneMatch: ETagCondition?
    /// The second in which what is there was published: holds if nothing is.
    public var modified: UInt64?
    /// The size of what is there: holds if nothing is.
    public var size: UInt64?
    /// What a key was seen to have newest, a delete marker counting as any version.
    public enum Newest: Hashable, Sendable {
        case nothing
        /// By the event that published it.
        case version(SequenceNumber)
    }

    /// No request asks for it: it is for those who look first and copy for long.
    public var newest: Newest?

    /// That nothing was published under the key, or removed, since it was looked at.
    /// - Parameter seen: the newest version that it had then.
    public init(unchangedSince seen: ObjectVersion?) {
        newest = seen.map { .version($0.sequence) } ?? .nothing
    }

    public init(ifMatch: ETagCondition? = nil, ifNoneMatch: ETagCondition? = nil) {
        self.ifMatch = ifMatch
        self.ifNoneMatch = ifNoneMatch
    }

    public static let none = WriteConditions()

    /// - Parameter current: the newest version of the key, a delete marker counting as none for what a request asks.
    func check(against current: ObjectVersion?, key: ObjectKey) throws(StoreError) {
        if let newest, newest != current.map({ .version($0.sequence) }) ?? .nothing {
            throw .preconditionFailed("the newest version that was seen")
        }
        let present = current.flatMap { $0.isDeleteMarker ? nil : $0 }
        if let ifMatch {
            guard let present else { throw .noSuchKey(key, deleteMarker: current) }
            guard ifMatch.holds(for: present.etag) else { throw .preconditionFailed("If-Match") }
        }
        if let ifNoneMatch, let present, ifNoneMatch.holds(for: present.etag) {
            throw .preconditionFailed("If-None-Match")
        }
        if let modified, let present, present.published.seconds != modified {
            throw .preconditionFailed("x-amz-if-match-last-modified-time")
        }
        if let size, let present, present.size != size { throw .preconditionFailed("x-amz-if-match-size") }
    }
}

/// What an upload is for. All of it is written into every replica, so that a replica knows whose it is.
public struct UploadTarget: Sendable {
    public let bucket: BucketName
    public let key: ObjectKey
    public let metadata: EventMetadata
    public let actor: Actor
    /// Set for a part of a multipart upload; numbers run from 1 to 10,000.
    public let part: Part?
    /// Bytes announced, if they were: allocated ahead.
    public let expectedLength: UInt64?
    /// A checksum to compute besides the store's own.
    public let checksum: EventChecksumAlgorithm?
    /// `nil` if the object becomes the actor's.
    public let owner: ObjectOwner?
    /// Set for bytes that are to be stored enciphered.
    public var encryption: UploadEncryption?
    /// Which of all buckets of its name is meant; `nil` for whichever there is when the upload is published.
    public var bucketCreated: SequenceNumber?
    /// Set for bytes that come enciphered, from elsewhere.
    var sealed: (encryption: EventEncryption, salt: [UInt8])?

    public struct Part: Hashable, Sendable {
        public let uploadID: UploadID
        public let number: Int

        public init(uploadID: UploadID, number: Int) {
            self.uploadID = uploadID
            self.number = number
        }
    }

    public init(
        bucket: BucketName, key: ObjectKey, metadata: EventMetadata, actor: Actor, part: Part?,
        expectedLength: UInt64?, checksum: EventChecksumAlgorithm?, owner: ObjectOwner? = nil
    ) {
        self.bucket = bucket
        self.key = key
        self.metadata = metadata
        self.actor = actor
        self.part = part
        self.expectedLength = expectedLength
        self.checksum = checksum
        self.owner = owner
    }
}

/// What the bytes of an upload came to.
public struct ContentDigests: Hashable, Sendable {
    public let length: UInt64
    public let md5: [UInt8]
    public let sha256: [UInt8]
    /// The checksum asked for with ``UploadTarget/checksum``.
    public let checksum: [UInt8]?

    public init(length: UInt64, md5: [UInt8], sha256: [UInt8], checksum: [UInt8]?) {
        self.length = length
        self.md5 = md5
        self.sha256 = sha256
        self.checksum = checksum
    }
}

/// A part as a completion names it.
public struct CompletedPart: Hashable, Sendable {
    public let number: Int
    /// Without quotes.
    public let etag: String

    public init(number: Int, etag: String) {
        self.number = number
        self.etag = etag
    }
}

/// What a delete came to.
public struct Deletion: Hashable, Sendable {
    public let commit: Commit
    /// The version removed, or the delete marker made; `nil` where versioning was never enabled, or nothing
    /// was there.
    public let versionID: String?
    /// A marker was made, or the version removed was one.
    public let isDeleteMarker: Bool

    public init(commit: Commit, versionID: String?, isDeleteMarker: Bool) {
        self.commit = commit
        self.versionID = versionID
        self.isDeleteMarker = isDeleteMarker
    }
}

/// A page of unfinished uploads and common prefixes, in key order.
public struct UploadsPage: Sendable {
    public enum Item: Sendable {
        case upload(MultipartUpload)
        case prefix(String)
    }

    public let items: [Item]
    public let isTruncated: Bool

    public init(items: [Item], isTruncated: Bool) {
        self.items = items
        self.isTruncated = isTruncated
    }
}
