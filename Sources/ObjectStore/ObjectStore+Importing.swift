import Foundation
import Model

/// A version that comes from elsewhere, as it is to be published: what of it does not follow from its bytes.
public struct ArrivingVersion: Sendable {
    public let bucket: BucketName
    public let key: ObjectKey
    public let owner: ObjectOwner
    public let metadata: EventMetadata
    /// What the version is called from now on.
    public let versionID: VersionID
    /// Why it is there, for the event: "imported from …".
    public let reason: String
    /// Set for bytes that are to be stored enciphered.
    public let encryption: UploadEncryption?

    public init(
        bucket: BucketName, key: ObjectKey, owner: ObjectOwner, metadata: EventMetadata,
        versionID: VersionID, reason: String, encryption: UploadEncryption? = nil
    ) {
        self.bucket = bucket
        self.key = key
        self.owner = owner
        self.metadata = metadata
        self.versionID = versionID
        self.reason = reason
        self.encryption = encryption
    }
}

extension ObjectStore {
    /// Takes the bytes of an arriving version, or of one of its parts. Nothing of them can be seen before
    /// ``publish(_:of:isMultipart:checksums:conditions:)``.
    /// - Parameters:
    ///   - part: 1 to 10,000 for a version made of parts, 0 for one put whole.
    ///   - checksum: to compute besides the store's own.
    public func beginPiece(
        of version: ArrivingVersion, part: Int, length: UInt64, checksum: EventChecksumAlgorithm
    ) -> Upload {
        var target = UploadTarget(
            bucket: version.bucket, key: version.key, metadata: version.metadata, actor: .holdfast,
            part: .init(uploadID: version.versionID, number: part), expectedLength: length,
            checksum: checksum, owner: version.owner)
        target.encryption = version.encryption
        return beginUpload(target)
    }

    /// Makes finished uploads, in order, one version, in one event: there is never a part of it. Who began the uploads
    /// discards them if this throws, which does nothing to those that may have been published.
    /// - Parameters:
    ///   - isMultipart: whether its ETag is made of its parts'.
    ///   - partChecksums: of each upload; empty for a version put whole.
    /// - Throws: ``StoreError``.
    public func publish(
        _ version: ArrivingVersion, of uploads: [Upload], isMultipart: Bool, partChecksums: [EventChecksum],
        checksums: [EventChecksum], conditions: WriteConditions
    ) async throws -> Committed<ObjectVersion> {
        precondition(
            isMultipart ? partChecksums.count == uploads.count : uploads.count == 1 && partChecksums.isEmpty,
            "each part of a version has its checksum, and what is put whole has one upload")
        var record = Self.record(of: version)
        var etags: [String] = []
        for (index, upload) in uploads.enumerated() {
            guard let content = upload.content else {
                preconditionFailure("an upload is finished before it is published")
            }
            etags.append(upload.etag(content))
            record.size += content.length
            guard content.length > 0 else { continue }
            var piece = upload.piece
            if isMultipart, let part = upload.target.part {
                piece.partNumber = UInt32(part.number)
                piece.checksum = partChecksums[index]
            }
            record.pieces.append(piece)
        }
        record.etag = isMultipart ? try MultipartDecisions.etag(ofParts: etags) : etags[0]
        record.checksums = checksums
        if let encryption = version.encryption { record.encryption = encryption.record }
        let stored = uploads.filter { $0.content?.length ?? 0 > 0 }
        do {
            let committed = try await publish(
                record, version.versionID, version.reason, stored, conditions)
            for upload in uploads { upload.end() }
            return committed
        } catch {
            if case StoreError.outcomeUnknown = error { for upload in uploads { upload.leave() } }
            throw error
        }
    }

    /// Puts a delete marker that comes from elsewhere.
    /// - Throws: ``StoreError``.
    public func publishMarker(
        _ version: ArrivingVersion, conditions: WriteConditions
    ) async throws -> Committed<ObjectVersion> {
        var record = Self.record(of: version)
        record.deleteMarker = true
        return try await publish(record, version.versionID, version.reason, [], conditions)
    }

    private static func record(of version: ArrivingVersion) -> EventVersionPublished {
        var record = EventVersionPublished()
        record.bucket = version.bucket.rawValue
        record.key = version.key.rawValue
        record.owner = version.owner.id
        record.ownerDisplayName = version.owner.displayName
        record.metadata = version.metadata
        return record
    }
}
