import Foundation
import Model

extension ObjectStore {
    /// Keeps a version's data key wrapped afresh; its bytes stay as they are.
    /// - Throws: ``StoreError/noSuchVersion(_:_:)`` if the version went meanwhile.
    public func rewrap(
        _ version: ObjectVersion, wrappedKey: [UInt8], actor: Actor
    ) async throws -> Commit {
        try await engine.ledger.commit(
            Proposal(actor: actor) {
                try VersionDecisions.rewrap(version, wrappedKey: wrappedKey, in: $0)
            }
        ).commit
    }
}

extension ObjectStore {
    /// Keeps the data key of an upload under way wrapped afresh: the version that it will become has it so.
    /// - Throws: ``StoreError/noSuchUpload(_:)`` if the upload has ended meanwhile.
    public func rewrap(_ upload: MultipartUpload, wrappedKey: [UInt8], actor: Actor) async throws -> Commit {
        try await engine.ledger.commit(
            Proposal(actor: actor) {
                try MultipartDecisions.rewrap(upload, wrappedKey: wrappedKey, in: $0)
            }
        ).commit
    }
}

extension MultipartDecisions {
    static func rewrap(
        _ upload: MultipartUpload, wrappedKey: [UInt8], in view: any LedgerView
    ) throws -> Decision<Void> {
        let key = try ObjectKey(upload.record.key)
        guard let id = UploadID(bytes: upload.record.uploadID),
            let present = try view.upload(try BucketName(upload.record.bucket), key, id),
            present.record.hasEncryption
        else { throw StoreError.noSuchUpload(upload.uploadID) }
        var change = EventUploadAmended()
        change.bucket = upload.record.bucket
        change.key = upload.record.key
        change.uploadID = upload.record.uploadID
        change.encryption = present.record.encryption
        change.encryption.wrappedKey = Data(wrappedKey)
        return .append(.uploadAmended(change)) { _, _ in }
    }
}

extension VersionDecisions {
    static func rewrap(
        _ version: ObjectVersion, wrappedKey: [UInt8], in view: any LedgerView
    ) throws -> Decision<Void> {
        let key = try ObjectKey(version.key)
        let bucket = try BucketName(version.record.bucket)
        guard let present = try view.version(bucket, key, .id(version.versionID)),
            present.sequence == version.sequence, present.record.hasEncryption
        else { throw StoreError.noSuchVersion(key, version.wireVersionID) }
        var change = EventVersionAmended()
        change.bucket = version.record.bucket
        change.key = version.key
        change.versionID = version.record.versionID
        change.publishedSequence = version.sequence.rawValue
        // As they are now: tags or a retention may have been set since the version was looked up.
        change.metadata = present.record.metadata
        change.encryption = present.record.encryption
        change.encryption.wrappedKey = Data(wrappedKey)
        return .append(.versionAmended(change)) { _, _ in }
    }
}
