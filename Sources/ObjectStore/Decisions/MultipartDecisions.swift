import Digests
import Foundation
import Model

/// What a step of a multipart upload comes to, given what is true when it is committed. Nothing here writes.
///
/// Source: Amazon S3 API Reference, "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload".
enum MultipartDecisions {
    static func create(
        _ draft: EventUploadCreated, in view: any LedgerView
    ) throws -> Decision<MultipartUpload> {
        let bucket = try BucketName(draft.bucket)
        guard try view.bucket(bucket) != nil else { throw StoreError.noSuchBucket(bucket) }
        return .append(.uploadCreated(draft)) { sequence, time in
            MultipartUpload(sequence: sequence, initiated: time, record: draft)
        }
    }

    static func publishPart(
        _ draft: EventPartPublished, upload id: UploadID, in view: any LedgerView
    ) throws -> Decision<UploadedPart> {
        _ = try find(id, draft.bucket, draft.key, in: view)
        var change = draft
        change.replacedSequence = try view.part(id, number: Int(draft.partNumber))?.sequence.rawValue ?? 0
        let part = change
        return .append(.partPublished(part)) { sequence, time in
            var piece = part.piece
            if piece.blobID.isEmpty { piece.payloadSequence = sequence.rawValue }
            return UploadedPart(
                sequence: sequence, modified: time, number: Int(part.partNumber), etag: part.etag,
                piece: piece)
        }
    }

    static func abort(
        _ bucket: BucketName, _ key: ObjectKey, _ id: UploadID, in view: any LedgerView
    ) throws -> Decision<Void> {
        _ = try find(id, bucket.rawValue, key.rawValue, in: view)
        var change = EventUploadAborted()
        change.bucket = bucket.rawValue
        change.key = key.rawValue
        change.uploadID = Data(id.bytes)
        // What many parts refer to is let go a few at a time afterwards (``Reclaimer``).
        change.keepsParts =
            try view.parts(of: id, after: 0, limit: Reclaimer.planCount + 1).count > Reclaimer.planCount
        return .append(.uploadAborted(change)) { _, _ in }
    }

    /// A completion that was carried out already, and whose answer the client may have missed, comes to the
    /// same version.
    static func complete(
        _ bucket: BucketName, _ key: ObjectKey, _ id: UploadID, parts: [CompletedPart],
        checksums: [EventChecksum], defaultRetention: EventRetention?, conditions: WriteConditions,
        now: () -> Timestamp, in view: any LedgerView
    ) throws -> Decision<ObjectVersion> {
        guard let upload = try view.upload(bucket, key, id) else {
            if let done = try view.version(bucket, key, .id(id)), done.record.uploadID == Data(id.bytes) {
                return .nothing(done)
            }
            throw StoreError.noSuchUpload(id)
        }
        let chosen = try choose(parts, of: id, in: view)
        var draft = EventVersionPublished()
        draft.bucket = bucket.rawValue
        draft.key = key.rawValue
        draft.versionID = upload.record.uploadID
        draft.uploadID = upload.record.uploadID
        draft.owner = upload.record.owner
        draft.ownerDisplayName = upload.record.ownerDisplayName
        draft.metadata = upload.record.metadata
        if let defaultRetention, !draft.metadata.hasRetention { draft.metadata.retention = defaultRetention }
        draft.checksums = checksums
        draft.etag = try etag(of: chosen)
        if upload.record.hasEncryption { draft.encryption = upload.record.encryption }
        for part in chosen {
            var piece = part.piece
            piece.partNumber = UInt32(part.number)
            draft.size += piece.contentLength
            draft.pieces.append(piece)
        }
        guard draft.size <= Limits.objectByteCount else {
            throw StoreError.entityTooLarge(limit: Limits.objectByteCount)
        }
        return try VersionDecisions.publish(draft, conditions: conditions, now: now, in: view)
    }

    private static func find(
        _ id: UploadID, _ bucket: String, _ key: String, in view: any LedgerView
    ) throws -> MultipartUpload {
        let name = try BucketName(bucket)
        guard try view.bucket(name) != nil else { throw StoreError.noSuchBucket(name) }
        guard let upload = try view.upload(name, try ObjectKey(key), id) else {
            throw StoreError.noSuchUpload(id)
        }
        return upload
    }

    private static func choose(
        _ parts: [CompletedPart], of id: UploadID, in view: any LedgerView
    ) throws -> [UploadedPart] {
        // In the order in which Amazon S3 finds fault: the list, the parts, their sizes.
        for (named, next) in zip(parts, parts.dropFirst()) where next.number <= named.number {
            throw StoreError.invalidPartOrder
        }
        let chosen = try parts.map { named in
            guard let part = try view.part(id, number: named.number), part.etag == named.etag else {
                throw StoreError.invalidPart(number: named.number)
            }
            return part
        }
        for part in chosen.dropLast() where part.piece.contentLength < Limits.minimumPartByteCount {
            throw StoreError.partTooSmall(number: part.number, size: part.piece.contentLength)
        }
        guard !chosen.isEmpty else { throw StoreError.invalidPart(number: 1) }
        return chosen
    }

    private static func etag(of parts: [UploadedPart]) throws -> String {
        try etag(ofParts: parts.map(\.etag))
    }

    /// The MD5 of the parts' MD5s, and their count, as every S3 client expects it.
    static func etag(ofParts etags: [String]) throws -> String {
        var md5s: [UInt8] = []
        md5s.reserveCapacity(etags.count * 16)
        for (index, etag) in etags.enumerated() {
            guard let digest = UniqueID<Never>(etag) else {
                throw StoreError.internalFault(
                    "the \(index + 1). part has the ETag '\(etag)', which is no MD5")
            }
            md5s += digest.bytes
        }
        return "\(MD5.hash(md5s).hexadecimal)-\(etags.count)"
    }
}
