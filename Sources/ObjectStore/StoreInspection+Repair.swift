import Catalog
import EventLog
import Foundation
import Model
import Volumes

/// What repairs ask of an open store, and do to it.
extension StoreInspection {
    /// Told of each event whose frame a read met damaged, and on which volume.
    package func onDamagedFrame(_ body: @escaping @Sendable (SequenceNumber, Int) -> Void) {
        engine.ledger.log.onDamagedFrame(body)
    }

    /// Told of each version that was lost and has been read to its end.
    package func onRecovery(_ body: @escaping @Sendable (ObjectVersion) -> Void) {
        engine.rescue.onRecovery(body)
    }

    /// Asked to mend a blob that a read found good nowhere, before it says that the blob is lost.
    package func onRescue(_ body: @escaping @Sendable (BlobID) async throws -> Bool) {
        engine.rescue.onRescue(body)
    }

    /// Whether there is any version that a mismatch affects, or did.
    package var hasAffectedVersions: Bool { engine.board.hasEntries }

    /// Whether the whole of a blob can still be had, from whatever replicas and quarantines there are.
    package func canRead(_ row: BlobRow) async throws -> Bool {
        try await engine.repairs.run { [engine] in
            BlobCopier(sources: engine.volumes.inService.map(\.volume)).canRead(row.id, BlobContent(row))
        }
    }

    /// Whether the whole of a blob can still be had, as far as shows while others may be mending it: what is found good is
    /// good, and what is not is to be looked at again with the blob claimed, as ``importReplicas(of:from:reason:search:pace:)``
    /// does.
    ///
    /// For who may take hours: the repairs' lane is not held.
    /// - Parameters:
    ///   - lane: where it is read.
    ///   - pace: told of bytes as they are read.
    /// - Throws: `CancellationError`, ``LaneRefused``.
    package func seemsReadable(_ row: BlobRow, on lane: any Lane, pace: BytePace) async throws -> Bool {
        try await engine.seemsReadable(row, on: lane, pace: pace)
    }

    /// Whether every byte of a version can still be had.
    package func canRead(_ version: ObjectVersion) async throws -> Bool {
        for piece in version.record.pieces {
            if let id = BlobID(bytes: piece.blobID) {
                guard let row = try catalog.read({ try $0.blob(id) }), try await canRead(row) else {
                    return false
                }
            } else if piece.length > 0 {
                let carrier = version.carrier(of: piece)
                let isThere = volumes.contains {
                    log.verifyFrames(from: carrier, through: carrier, mirror: $0.index).isEmpty
                }
                guard isThere else { return false }
            }
        }
        return true
    }

    /// Whether each blob of a version has a replica on some volume in service that looks good: its trailer is read, and
    /// no block.
    package func looksWhole(_ version: ObjectVersion) throws -> Bool {
        for id in version.record.pieces.compactMap({ BlobID(bytes: $0.blobID) }) {
            guard let row = try catalog.read({ try $0.blob(id) }) else { return false }
            let isThere = volumes.contains {
                $0.verify(id, length: row.length, sha256: row.sha256, deep: false).isEmpty
            }
            guard isThere else { return false }
        }
        return true
    }

    /// Whose a blob is, as the catalog has it: for a blob none of whose replicas says so any more. It has no MD5,
    /// which nothing but the descriptor keeps.
    func descriptor(of row: BlobRow) throws -> EventBlobDescriptor? {
        guard let version = try catalog.read({ try $0.versions(using: row).first }),
            let piece = version.record.pieces.first(where: { $0.blobID == Data(row.id.bytes) })
        else { return nil }
        var descriptor = EventBlobDescriptor()
        descriptor.storeID = Data(engine.storeID.bytes)
        descriptor.blobID = Data(row.id.bytes)
        descriptor.bucket = row.bucket
        descriptor.key = row.key
        descriptor.versionID = version.record.versionID
        descriptor.partNumber = piece.partNumber
        descriptor.owner = version.record.owner
        descriptor.ownerDisplayName = version.record.ownerDisplayName
        descriptor.metadata = version.record.metadata
        descriptor.length = row.length
        descriptor.sha256 = Data(row.sha256)
        descriptor.createdMicroseconds = version.published.microseconds
        descriptor.checksums = version.record.pieces.count == 1 ? version.record.checksums : []
        return descriptor
    }

    /// Runs with no replica being written anew meanwhile.
    package func betweenRepairs<Value: Sendable>(
        _ body: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        try await engine.repairs.run(body)
    }
}

extension Engine {
    func seemsReadable(_ row: BlobRow, on lane: any Lane, pace: BytePace) async throws -> Bool {
        let copier = BlobCopier(sources: volumes.inService.map(\.volume))
        let proof = BlobProof(copier, row.id, BlobContent(row))
        while true {
            try await pace.spent(try await lane.run { proof.step() })
            if let verdict = proof.verdict { return verdict }
        }
    }
}

extension BlobContent {
    package init(_ row: BlobRow) { self.init(length: row.length, sha256: row.sha256) }
}
