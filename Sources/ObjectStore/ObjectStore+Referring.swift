import Catalog
import Digests
import Foundation
import Model
import Volumes

/// Versions that come back within a store, by referring to the blobs that it still has.
extension ObjectStore {
    private static let proofStep = 1024 * 1024

    /// A blob was about to be given back when a version that needs it was to be published.
    private struct BlobsGone: Error {}

    /// Publishes a version of the store's own past anew without copying its blobs, as ``restore(_:reason:conditions:from:as:pace:)``
    /// does with a copy: a blob that history still holds is in use again. Its bytes are read and proved by their
    /// SHA-256 first; what stands in the log is appended again, since each event's payload belongs to one version.
    /// The caller keeps what `pieces` reads from being reclaimed meanwhile.
    /// - Parameters:
    ///   - versionID: what it is called from now on.
    ///   - pace: told of bytes as they are read.
    /// - Returns: `nil` if some volume in service lacks a good replica, or a blob is on its way out: then it is to be
    ///   copied.
    /// - Throws: ``StoreError``; what `pieces` throws.
    public func restoreByReference(
        _ record: EventVersionPublished, reason: String, conditions: WriteConditions,
        from pieces: any RestoredPieces, as versionID: VersionID = .random(),
        pace: BytePace = BytePace(rate: 0)
    ) async throws -> Committed<ObjectVersion>? {
        guard let blobs = record.referredBlobs, let holders = try volumesHolding(blobs) else { return nil }
        let payload = try await Self.proven(record, pieces, pace)
        var draft = record.restored(as: versionID, reason: reason)
        for index in draft.pieces.indices { draft.pieces[index].payloadSequence = 0 }
        let published = draft
        do {
            let committed: Committed<ObjectVersion> = try await engine.ledger.commit(
                Proposal(actor: .holdfast, payload: payload, preparedVolumes: { holders }) {
                    [clock = engine.clock] view in
                    guard try blobs.allSatisfy({ try view.isHeld($0) }) else { throw BlobsGone() }
                    return try VersionDecisions.publish(
                        published, conditions: conditions, now: clock, in: view)
                })
            return committed
        } catch is BlobsGone { return nil } catch is ReplicaMissing { return nil }
    }

    /// The volumes in service, if each of them has every blob, as far as trailers tell; else `nil`.
    private func volumesHolding(_ blobs: [BlobID]) throws -> Set<Int>? {
        let volumes = engine.volumes.inService
        for id in blobs {
            guard let row = try engine.ledger.catalog.read({ try $0.blob(id) }), !row.isReclaiming else {
                return nil
            }
            for handle in volumes {
                let flaws = handle.volume.verify(id, length: row.length, sha256: row.sha256, deep: false)
                guard flaws.isEmpty else { return nil }
            }
        }
        return Set(volumes.map(\.index))
    }

    /// Reads all of a version, each piece against its SHA-256.
    /// - Returns: the bytes that stand in the log.
    private static func proven(
        _ record: EventVersionPublished, _ pieces: any RestoredPieces, _ pace: BytePace
    ) async throws -> [UInt8] {
        var payload: [UInt8] = []
        for (index, piece) in record.pieces.enumerated() {
            var sha256 = SHA256()
            var offset: UInt64 = 0
            while offset < piece.length {
                let bytes = try pieces.read(
                    index, at: offset, count: Int(min(UInt64(proofStep), piece.length - offset)))
                guard !bytes.isEmpty else {
                    throw StoreError.internalFault(
                        "a piece to restore ends at \(offset) of \(piece.length) bytes")
                }
                sha256.update(bytes)
                if piece.blobID.isEmpty { payload += bytes }
                offset += UInt64(bytes.count)
                try await pace.spent(bytes.count)
            }
            guard sha256.finalize() == Array(piece.sha256) else {
                throw StoreError.internalFault(
                    "a piece to restore has another SHA-256 than its version says")
            }
        }
        return payload
    }
}

extension EventVersionPublished {
    /// The blobs of a version's pieces; `nil` if it has none, or more than one piece that stands in the log.
    fileprivate var referredBlobs: [BlobID]? {
        let blobs = pieces.compactMap { BlobID(bytes: $0.blobID) }
        return blobs.isEmpty || pieces.count - blobs.count > 1 ? nil : blobs
    }

    /// The record of a version that comes back: what it was, under another id, and why.
    func restored(as versionID: VersionID, reason: String) -> EventVersionPublished {
        var record = self
        record.versionID = Data(versionID.bytes)
        record.uploadID = Data()
        record.copiedFrom = ""
        record.replacedSequence = 0
        record.reason = reason
        return record
    }
}
