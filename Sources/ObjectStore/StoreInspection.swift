import Catalog
import EventLog
import Model
import Synchronization
import Volumes

/// What checks and repairs of an open store work on: the layers below the store, as they are at the moment.
package struct StoreInspection: Sendable {
    let engine: Engine

    /// Volumes in good standing.
    package var volumes: [any Volume] { engine.volumes.inService.map(\.volume) }
    package var log: EventLog { engine.ledger.log }
    package var catalog: Catalog { engine.ledger.catalog }

    package func isInService(_ index: Int) -> Bool { engine.volumes.handle(index) != nil }
    package func isBeingWritten(_ id: BlobID) -> Bool {
        engine.blobsBeingWritten.withLock { $0.contains(id) }
    }

    /// Returns when what was queued for a volume's writer before is done.
    package func waitForWriter(of index: Int) async throws {
        guard let handle = engine.volumes.handle(index) else { return }
        try await WatchedJob.run(on: handle.writer, watch: engine.watch) {}
    }

    /// Writes a replica anew from the good blocks of all volumes, the damaged one's own included; what was
    /// there goes to quarantine.
    package func restoreReplica(of id: BlobID, on index: Int, reason: String) throws {
        guard let target = engine.volumes.handle(index)?.volume else {
            throw StoreError.unavailable("volume \(index) is not in service")
        }
        let others = engine.volumes.inService.filter { $0.index != index }.map(\.volume)
        try BlobCopier(sources: others + [target]).copy(id, to: target, replacing: reason)
    }

    /// Appends an event that says what a check saw or did.
    package func record(_ change: EventRecord.OneOf_Change) async throws -> Commit {
        try await engine.ledger.commit(Proposal(actor: .holdfast) { _ in .append(change) { _, _ in } }).commit
    }
}

extension ObjectStore {
    package var inspection: StoreInspection { StoreInspection(engine: engine) }
}
