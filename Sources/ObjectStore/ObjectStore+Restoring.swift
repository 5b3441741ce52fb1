import Foundation
import Model
import Volumes

/// Bytes that come back from elsewhere, as they were stored.
public protocol RestoredPieces: Sendable {
    /// Reads stored bytes of a piece, verified, up to as many as asked for.
    func read(_ piece: Int, at offset: UInt64, count: Int) throws -> [UInt8]
}

extension ObjectStore {
    private static let restoreStep = 1024 * 1024

    /// Publishes a version as it was somewhere else: metadata, owner, ETag, checksums, tags, retention and data key
    /// of its record, under a new version id. Its bytes are streamed to the volumes as an upload's are, each piece
    /// against its SHA-256, and nothing is published of a version that did not come whole.
    /// - Parameters:
    ///   - record: bucket and key say where it goes; the bucket must be there.
    ///   - reason: goes into the event: "restored from snapshot …".
    ///   - versionID: what it is called from now on.
    ///   - pace: told of bytes as they are copied.
    /// - Throws: ``StoreError``; what `pieces` throws.
    public func restore(
        _ record: EventVersionPublished, reason: String, conditions: WriteConditions,
        from pieces: any RestoredPieces, as versionID: VersionID = .random(),
        pace: BytePace = BytePace(rate: 0)
    ) async throws -> Committed<ObjectVersion> {
        var uploads: [Upload] = []
        do {
            for index in record.pieces.indices {
                let upload = try beginRestoring(record, index, versionID)
                uploads.append(upload)
                try await fill(upload, record.pieces[index], index, pieces, pace)
            }
            let committed = try await publish(record, versionID, reason, uploads, conditions)
            for upload in uploads { upload.end() }
            return committed
        } catch {
            if case StoreError.outcomeUnknown = error {
                for upload in uploads { upload.leave() }
            } else {
                for upload in uploads { await upload.discard() }
            }
            throw error
        }
    }

    /// Every piece's blob is written for the version that it becomes part of.
    private func beginRestoring(
        _ record: EventVersionPublished, _ index: Int, _ versionID: VersionID
    ) throws -> Upload {
        let piece = record.pieces[index]
        guard let upload = UploadID(bytes: versionID.bytes) else {
            preconditionFailure("a version's id has as many bytes as an upload's")
        }
        var target = UploadTarget(
            bucket: try BucketName(record.bucket), key: try ObjectKey(record.key),
            metadata: record.metadata, actor: .holdfast,
            part: .init(uploadID: upload, number: Int(piece.partNumber)),
            expectedLength: piece.length, checksum: nil,
            owner: ObjectOwner(id: record.owner, displayName: record.ownerDisplayName))
        if record.hasEncryption { target.sealed = (record.encryption, Array(piece.keySalt)) }
        return beginUpload(target)
    }

    private func fill(
        _ upload: Upload, _ piece: EventPiece, _ index: Int, _ pieces: any RestoredPieces, _ pace: BytePace
    ) async throws {
        var offset: UInt64 = 0
        while offset < piece.length {
            let wanted = Int(min(UInt64(Self.restoreStep), piece.length - offset))
            let bytes = try pieces.read(index, at: offset, count: wanted)
            guard !bytes.isEmpty else {
                throw StoreError.internalFault(
                    "a piece to restore ends at \(offset) of \(piece.length) bytes")
            }
            try await upload.write(bytes)
            offset += UInt64(bytes.count)
            try await pace.spent(bytes.count)
        }
        let digests = try await upload.finish()
        guard digests.sha256 == Array(piece.sha256) else {
            throw StoreError.internalFault("a piece to restore has another SHA-256 than its version says")
        }
    }

    /// Publishes a version whose bytes the uploads have, one for each of its pieces.
    func publish(
        _ record: EventVersionPublished, _ versionID: VersionID, _ reason: String, _ uploads: [Upload],
        _ conditions: WriteConditions
    ) async throws -> Committed<ObjectVersion> {
        var draft = record.restored(as: versionID, reason: reason)
        var payload: [UInt8] = []
        for (index, upload) in uploads.enumerated() {
            draft.pieces[index].blobID = upload.piece.blobID
            draft.pieces[index].payloadSequence = 0
            if upload.large == nil {
                // S3 lets only the last part of a multipart object be small enough for the log.
                guard payload.isEmpty else {
                    throw StoreError.invalidState(
                        "\(record.bucket)/\(record.key) has several pieces that stand in the log")
                }
                payload = upload.payload
            }
        }
        let published = draft
        let blobs = uploads.compactMap { $0.large?.blob }
        var holders: (@Sendable () -> Set<Int>)?
        if let first = blobs.first {
            holders = { blobs.dropFirst().reduce(first.holders) { $0.intersection($1.holders) } }
        }
        for _ in 0..<Self.preparationLimit {
            do {
                return try await engine.ledger.commit(
                    Proposal(actor: .holdfast, payload: payload, preparedVolumes: holders) {
                        [clock = engine.clock] in
                        try VersionDecisions.publish(
                            published, conditions: conditions, now: clock, in: $0)
                    })
            } catch let missing as ReplicaMissing {
                for blob in blobs {
                    try await bring(blob, to: missing.volumes.subtracting(blob.holders))
                }
            }
        }
        throw StoreError.busy("volumes leave and return while a version is brought in")
    }
}
