import Catalog
import Model
import Volumes

/// What snapshots and restores ask of an open store.
extension StoreInspection {
    package var storeID: StoreID { engine.storeID }
    /// How far back what died is kept.
    package var historySeconds: UInt64 { engine.settings.historySeconds }
    package var clock: @Sendable () -> Timestamp { engine.clock }

    /// Runs `body` while nothing that can be seen as of `sequence` is reclaimed.
    package func holding<Value>(
        _ sequence: SequenceNumber, _ body: () async throws -> Value
    ) async throws -> Value {
        let pin = engine.readPins.pin(sequence)
        defer { engine.readPins.unpin(pin) }
        return try await body()
    }

    /// Brings a blob to a volume that is none of the store's, from the good blocks of those that are, durably.
    /// - Returns: bytes written; `nil` if it is there already, which is read to its last byte.
    /// - Throws: ``BlobFlaw`` if no volume has a good replica of some block.
    package func export(
        _ id: BlobID, length: UInt64, sha256: [UInt8], to target: any Volume
    ) throws -> UInt64? {
        let content = BlobContent(length: length, sha256: sha256)
        let place = Place(of: id, content, on: target, depth: .whole)
        if case .good = place { return nil }
        return try BlobCopier(sources: volumes).copy(
            id, content: content, to: target, replacing: place.displacing
        ).bytes
    }

    /// Writes a blob to a volume that is none of the store's, from the good blocks of those that are, without making it
    /// durable or giving it its name.
    /// - Parameter pace: told of each run of bytes that is copied; may wait before the next, or throw.
    /// - Returns: `nil` if it is there already, as far as its trailer says.
    /// - Throws: ``BlobFlaw`` if no volume has a good replica of some block.
    package func stageExport(
        _ id: BlobID, length: UInt64, sha256: [UInt8], to target: any Volume,
        pace: @escaping @Sendable (Int) throws -> Void
    ) throws -> StagedCopy? {
        let content = BlobContent(length: length, sha256: sha256)
        let place = Place(of: id, content, on: target, depth: .trailer)
        if case .good = place { return nil }
        // Each volume gives a part of the blobs.
        let volumes = volumes
        let turn = volumes.isEmpty ? 0 : Int(id.low % UInt64(volumes.count))
        let sources = Array(volumes[turn...] + volumes[..<turn])
        return try BlobCopier(sources: sources, copied: pace).stage(
            id, content: content, to: target, replacing: place.displacing)
    }
}

/// What stands where a copy is to be.
private enum Place {
    case good
    case empty
    case damaged(String)

    init(of id: BlobID, _ content: BlobContent, on target: any Volume, depth: VerificationDepth) {
        let flaws = target.verify(id, length: content.length, sha256: content.sha256, depth: depth)
        switch flaws {
        case []: self = .good
        case [.missing]: self = .empty
        default: self = .damaged(flaws.map(\.description).joined(separator: "; "))
        }
    }

    /// Why it goes to quarantine.
    var displacing: String? {
        if case .damaged(let reason) = self { reason } else { nil }
    }
}

extension StoreInspection {
    /// Writes the damaged replicas of a blob anew from a source that is none of the store's volumes, if they have not got it
    /// good between them. What was there goes to quarantine.
    /// - Parameters:
    ///   - search: told of the bytes that are read to find that out.
    ///   - pace: told of the bytes that are written.
    /// - Returns: the volumes that were given a replica, and what kept another from it: ``BlobFlaw`` if the source's is not good,
    ///   else what the volumes throw, or `CancellationError`.
    /// - Throws: ``StoreError/busy(_:)`` if another does it already.
    package func importReplicas(
        of row: BlobRow, from source: any Volume, reason: String, search: BytePace, pace: BytePace
    ) async throws -> (mended: [Int], failure: (any Error)?) {
        let outcome = try await ReplicaImport(
            engine: engine, row: row, source: source, reason: reason, search: search, pace: pace
        ).run()
        return (outcome.mended, outcome.failure)
    }
}
