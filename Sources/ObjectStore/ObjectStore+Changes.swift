import Foundation
import Model

extension ObjectStore {
    /// How often a change is prepared again because a volume came back while it was prepared.
    static let preparationLimit = 8

    // MARK: Buckets

    /// - Parameter settings: what the bucket begins with, by setting.
    /// - Throws: ``StoreError/bucketExists(_:)``.
    public func createBucket(
        _ name: BucketName, region: String, settings: [String: [UInt8]] = [:], actor: Actor
    ) async throws -> Committed<Bucket> {
        try await engine.ledger.commit(
            Proposal(actor: actor) {
                try BucketDecisions.create(name, region: region, settings: settings, actor: actor, in: $0)
            })
    }

    /// - Throws: ``StoreError/bucketNotEmpty(_:)``.
    public func deleteBucket(_ name: BucketName, actor: Actor) async throws -> Commit {
        try await engine.ledger.commit(Proposal(actor: actor) { try BucketDecisions.delete(name, in: $0) })
            .commit
    }

    /// Sets, or with a `nil` value removes, a setting. "versioning" takes "Enabled" and "Suspended".
    public func configureBucket(
        _ name: BucketName, setting: String, value: [UInt8]?, actor: Actor
    ) async throws -> Commit {
        try await engine.ledger.commit(
            Proposal(actor: actor) {
                try BucketDecisions.configure(name, setting: setting, value: value, in: $0)
            }
        ).commit
    }

    // MARK: Objects

    public func beginUpload(_ target: UploadTarget) -> Upload { Upload(target, engine: engine) }

    /// Makes a finished upload the current version of its key.
    public func publish(
        _ upload: Upload, conditions: WriteConditions, checksums: [EventChecksum]
    ) async throws -> Committed<ObjectVersion> {
        guard let content = upload.content else {
            preconditionFailure("an upload is finished before it is published")
        }
        var record = EventVersionPublished()
        record.bucket = upload.target.bucket.rawValue
        record.key = upload.target.key.rawValue
        record.versionID = Data(upload.versionID.bytes)
        record.size = content.length
        record.etag = upload.etag(content)
        if let encryption = upload.target.encryption { record.encryption = encryption.record }
        record.owner = upload.target.owner?.id ?? upload.target.actor.id
        record.ownerDisplayName = upload.target.owner?.displayName ?? upload.target.actor.displayName
        record.metadata = upload.target.metadata
        record.checksums = checksums
        if content.length > 0 { record.pieces = [upload.piece] }
        record.nullVersion = true  // as in most buckets; the commit knows
        let draft = record
        let created = upload.target.bucketCreated
        return try await commit(upload) { [clock = engine.clock] in
            try VersionDecisions.publish(
                draft, bucketCreated: created, conditions: conditions, now: clock, in: $0)
        }
    }

    /// Makes a finished upload a part of its multipart upload.
    public func publishPart(_ upload: Upload, checksum: EventChecksum?) async throws -> Committed<
        UploadedPart
    > {
        guard let content = upload.content, let part = upload.target.part else {
            preconditionFailure("a part's upload is finished before it is published")
        }
        var change = EventPartPublished()
        change.bucket = upload.target.bucket.rawValue
        change.key = upload.target.key.rawValue
        change.uploadID = Data(part.uploadID.bytes)
        change.partNumber = UInt32(part.number)
        change.etag = upload.etag(content)
        change.piece = upload.piece
        change.piece.partNumber = UInt32(part.number)
        if let checksum { change.piece.checksum = checksum }
        let draft = change
        return try await commit(upload) {
            try MultipartDecisions.publishPart(draft, upload: part.uploadID, in: $0)
        }
    }

    /// Commits what an upload publishes. A volume that came into service after the upload began is given the
    /// blob first.
    private func commit<Outcome: Sendable>(
        _ upload: Upload, _ decide: @escaping @Sendable (any LedgerView) throws -> Decision<Outcome>
    ) async throws -> Committed<Outcome> {
        let blob = upload.large?.blob
        var holders: (@Sendable () -> Set<Int>)?
        if let blob { holders = { blob.holders } }
        let operation = OperationID.random()
        for _ in 0..<Self.preparationLimit {
            do {
                let result = try await engine.ledger.commit(
                    Proposal(
                        actor: upload.target.actor, operation: operation, payload: upload.payload,
                        preparedVolumes: holders, decide: decide))
                upload.end()
                return result
            } catch let error as StoreError {
                if case .outcomeUnknown = error { upload.leave() }
                throw error
            } catch let missing as ReplicaMissing {
                guard let blob else { throw missing }
                try await bring(blob, to: missing.volumes)
            }
        }
        throw StoreError.busy("volumes leave and return while the upload is published")
    }

    func bring(_ blob: ReplicatedBlob, to missing: Set<Int>) async throws {
        let id = blob.id
        let sources = blob.holders.sorted().compactMap { engine.volumes.handle($0)?.volume }
        for handle in missing.sorted().compactMap({ engine.volumes.handle($0) }) {
            do {
                _ = try await WatchedJob.run(on: engine.background, watch: engine.watch) {
                    try BlobCopier(sources: sources).copy(
                        id, to: handle.volume, replacing: "an unfinished copy", settles: false)
                }
                blob.hasCopy(on: handle)
            } catch {
                engine.volumes.fail(handle, reason: "copying blob \(id): \(error)")
            }
        }
    }

    /// Deletes a version for good, or puts a delete marker: what the bucket's versioning and `selector` ask
    /// for.
    /// - Parameter bypassesGovernance: retention in governance mode does not hold.
    /// - Throws: ``StoreError/locked(_:reason:)``.
    public func delete(
        _ bucket: BucketName, _ key: ObjectKey, _ selector: VersionSelector, conditions: WriteConditions,
        bypassesGovernance: Bool = false, actor: Actor
    ) async throws -> Deletion {
        let result = try await engine.ledger.commit(
            Proposal(actor: actor) { [clock = engine.clock] in
                try VersionDecisions.delete(
                    bucket, key, selector, conditions: conditions, bypassesGovernance: bypassesGovernance,
                    actor: actor, now: clock, in: $0)
            })
        return Deletion(
            commit: result.commit, versionID: result.value.versionID,
            isDeleteMarker: result.value.isDeleteMarker)
    }

    /// Copies an object without copying its blobs; an enciphered one with its data key, as it is wrapped. Bytes that stand in the log are read, verified and
    /// appended again: each event's payload belongs to one version.
    public func copy(
        _ source: ObjectVersion, to bucket: BucketName, _ key: ObjectKey, metadata: EventMetadata,
        checksums: [EventChecksum], conditions: WriteConditions, actor: Actor, owner: ObjectOwner? = nil,
        bucketCreated: SequenceNumber? = nil
    ) async throws -> Committed<ObjectVersion> {
        var record = EventVersionPublished()
        record.bucket = bucket.rawValue
        record.key = key.rawValue
        record.versionID = Data(VersionID.random().bytes)
        record.size = source.size
        record.etag = source.etag
        record.owner = owner?.id ?? actor.id
        record.ownerDisplayName = owner?.displayName ?? actor.displayName
        record.metadata = metadata
        record.checksums = checksums
        record.copiedFrom = "\(source.record.bucket)/\(source.key)?versionId=\(source.wireVersionID)"
        record.pieces = source.record.pieces
        if source.record.hasEncryption { record.encryption = source.record.encryption }
        var payload: [UInt8] = []
        let inline = record.pieces.indices.filter { record.pieces[$0].blobID.isEmpty }
        if let index = inline.first {
            // S3 lets only the last part of a multipart object be small enough for the log.
            precondition(inline.count == 1, "an object has one piece in the log at most")
            let start = record.pieces[..<index].reduce(UInt64(0)) { $0 + $1.length }
            payload = try await storedBytes(of: source, start..<start + record.pieces[index].length)
            record.pieces[index].payloadSequence = 0
        }
        let draft = record
        return try await engine.ledger.commit(
            Proposal(actor: actor, payload: payload) { [clock = engine.clock] in
                try VersionDecisions.copy(
                    of: source, as: draft, bucketCreated: bucketCreated, conditions: conditions, now: clock,
                    in: $0)
            })
    }

    private func storedBytes(of version: ObjectVersion, _ range: Range<UInt64>) async throws -> [UInt8] {
        let reader = ObjectReader(stored: version, range: range, engine: engine)
        let buffer = AlignedBytes(count: range.count)
        var done = 0
        while done < range.count {
            done += try await reader.read(
                into: UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[done...]))
        }
        return Array(buffer.bytes)
    }

    // MARK: Multipart uploads

    public func createUpload(
        _ bucket: BucketName, _ key: ObjectKey, metadata: EventMetadata,
        checksumAlgorithm: EventChecksumAlgorithm, composite: Bool, encryption: EventEncryption? = nil,
        actor: Actor, owner: ObjectOwner? = nil
    ) async throws -> Committed<MultipartUpload> {
        var change = EventUploadCreated()
        change.bucket = bucket.rawValue
        change.key = key.rawValue
        change.uploadID = Data(UploadID.random().bytes)
        change.owner = owner?.id ?? actor.id
        change.ownerDisplayName = owner?.displayName ?? actor.displayName
        if owner != nil {
            change.initiator = actor.id
            change.initiatorDisplayName = actor.displayName
        }
        change.metadata = metadata
        change.checksumAlgorithm = checksumAlgorithm
        change.checksumComposite = composite
        if let encryption { change.encryption = encryption }
        let draft = change
        return try await engine.ledger.commit(
            Proposal(actor: actor) { try MultipartDecisions.create(draft, in: $0) })
    }

    /// Publishes the parts named, in order, as one object. The caller has verified `checksums` against the
    /// parts.
    /// - Parameter defaultRetention: for an object whose upload was begun without any.
    public func completeUpload(
        _ bucket: BucketName, _ key: ObjectKey, _ id: UploadID, parts: [CompletedPart],
        checksums: [EventChecksum], defaultRetention: EventRetention? = nil, conditions: WriteConditions,
        actor: Actor
    ) async throws -> Committed<ObjectVersion> {
        try await engine.ledger.commit(
            Proposal(actor: actor) { [clock = engine.clock] in
                try MultipartDecisions.complete(
                    bucket, key, id, parts: parts, checksums: checksums, defaultRetention: defaultRetention,
                    conditions: conditions, now: clock, in: $0)
            })
    }

    public func abortUpload(
        _ bucket: BucketName, _ key: ObjectKey, _ id: UploadID, actor: Actor
    ) async throws -> Commit {
        try await engine.ledger.commit(
            Proposal(actor: actor) { try MultipartDecisions.abort(bucket, key, id, in: $0) }
        ).commit
    }
}

/// Memory that lives across suspensions.
private final class AlignedBytes: @unchecked Sendable {  // raw memory of the one task that made it
    let bytes: UnsafeMutableRawBufferPointer
    init(count: Int) { bytes = .allocate(byteCount: count, alignment: 16) }
    deinit { bytes.deallocate() }
}
