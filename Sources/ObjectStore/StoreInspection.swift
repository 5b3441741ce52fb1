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
    package var fileSystem: any FileSystem { engine.environment.fileSystem }

    /// Bytes of the file system that the state directory is on.
    package func stateSpace() throws(FileSystemError) -> (free: UInt64, total: UInt64) {
        try fileSystem.space(at: stateDirectory)
    }

    package func isInService(_ index: Int) -> Bool { engine.volumes.handle(index) != nil }
    /// Whether a volume is in service that one of ``volumes`` was: one that left, and may be back, is opened anew.
    package func isStillInService(_ volume: any Volume) -> Bool {
        guard let present = engine.volumes.handle(volume.index)?.volume else { return false }
        return present as AnyObject === volume as AnyObject
    }
    package func isBeingWritten(_ id: BlobID) -> Bool {
        engine.blobsBeingWritten.withLock { $0.contains(id) } || isBeingImported(id)
    }
    /// Whether a restore is writing replicas of a blob anew.
    package func isBeingImported(_ id: BlobID) -> Bool {
        engine.blobsBeingImported.withLock { $0.contains(id) }
    }
    /// - Throws: ``StoreError/busy(_:)`` while a restore is writing replicas of a blob anew.
    package func refuseIfImported(_ id: BlobID) throws { try engine.refuseIfImported(id) }

    /// Threads for a check or a copy, which have time; ended by whoever asked for them.
    package func makeLane(_ name: String, threads: Int = 1) -> any Lane {
        engine.environment.makeLane(
            LaneShape(name, threads: threads, capacity: 1024, niceness: LaneShape.leisurely))
    }

    /// Returns when what was queued for a volume's writer before is done.
    package func waitForWriter(of index: Int) async throws {
        guard let handle = engine.volumes.handle(index) else { return }
        try await WatchedJob.run(on: handle.writer, watch: engine.watch) {}
    }

    /// Writes a replica anew from the good blocks of all volumes, the damaged one's own included; what was
    /// there goes to quarantine.
    ///
    /// Repairs are made one after the other: two of one replica, by a check and by the server's own, would take
    /// each other's files away.
    /// - Returns: what was done; `nil` if the replica is good by now, or needed no more.
    /// - Throws: ``StoreError/busy(_:)`` while a restore is writing replicas of the blob anew.
    @discardableResult
    package func restoreReplica(of id: BlobID, on index: Int, reason: String) async throws -> CopyReport? {
        try await engine.repairs.run { [engine] in
            guard let target = engine.volumes.handle(index)?.volume else {
                throw StoreError.unavailable("volume \(index) is not in service")
            }
            try engine.refuseIfImported(id)
            guard let row = try engine.ledger.catalog.read({ try $0.blob(id) }), !row.isReclaiming,
                !target.verify(id, length: row.length, sha256: row.sha256, deep: true).isEmpty
            else { return nil }
            engine.blobsBeingWritten.withLock { _ = $0.insert(id) }
            defer { engine.blobsBeingWritten.withLock { _ = $0.remove(id) } }
            let others = engine.volumes.inService.filter { $0.index != index }.map(\.volume)
            return try BlobCopier(sources: others + [target]).copy(
                id, content: BlobContent(row), to: target, replacing: reason
            ) { try descriptor(of: row) }
        }
    }

    /// Told of each replica that was found damaged while it was read.
    package func onDamage(_ body: @escaping @Sendable (BlobID, Int) -> Void) {
        engine.onDamage { blob, volume, _ in body(blob, volume) }
    }

    /// Told of each version that a read could not decipher from any volume, with the evidence.
    package func onUndecipherable(_ body: @escaping @Sendable (ObjectVersion, String) -> Void) {
        engine.onUndecipherable(body)
    }

    package func reportDamage(_ id: BlobID, volume: Int, _ flaw: BlobFlaw) {
        engine.report(id, volume: volume, flaw)
    }

    package var stateDirectory: String { engine.settings.stateDirectory }
    package var volumePaths: [String] { engine.settings.volumePaths }

    /// Applies the log's events, through one, to a catalog.
    /// - Parameter walLimit: what its write-ahead log may have grown to between some thousand events and the next, in bytes.
    package func replay(
        to catalog: Catalog, through last: SequenceNumber, walLimit: UInt64 = Catalog.replayedWalLimit
    ) throws {
        _ = try CatalogReplay.run(log: log, catalog: catalog, through: last, walLimit: walLimit)
    }

    /// Makes rows of the catalog what they are in another one, which is brought up to the log first. Nothing is
    /// committed meanwhile.
    package func mendCatalog(_ differences: [RowDifference], from other: Catalog) async throws {
        try await excluding { [engine] in
            let log = engine.ledger.log
            _ = try CatalogReplay.run(log: log, catalog: other, through: log.head.sequence)
            try other.read { expected in
                try engine.ledger.catalog.withWriter { writer in
                    try writer.transaction {
                        try CatalogComparison.mend(differences, in: writer, from: expected)
                    }
                }
            }
            engine.deadPayloads.forget()
        }
    }

    /// Puts a good frame in place of a mirror's damaged one.
    /// - Returns: where the damaged bytes are, relative to the volume.
    package func repairLog(_ sequence: SequenceNumber, on index: Int) async throws -> String {
        let log = log
        guard log.isInActiveSegment(sequence) else {
            // One after the other: two of one segment would take each other's files away.
            return try await engine.repairs.run { try log.repair(sequence, mirror: index) }
        }
        return try await excluding { try log.repair(sequence, mirror: index) }
    }

    /// Runs `body` on the commit thread, with nothing being committed.
    func excluding<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws
        -> Value
    {
        try await withCheckedThrowingContinuation { continuation in
            let isAccepted = engine.ledger.exclude { continuation.resume(with: Result(catching: body)) }
            if !isAccepted { continuation.resume(throwing: StoreError.busy("the commit queue is full")) }
        }
    }

    /// Appends an event that says what a check saw or did.
    package func record(_ change: EventRecord.OneOf_Change) async throws -> Commit {
        let commit = try await engine.ledger.commit(
            Proposal(actor: .holdfast) { _ in .append(change) { _, _ in } }
        ).commit
        engine.board.note(change)
        engine.counts.note(change)
        return commit
    }
}

extension ObjectStore {
    package var inspection: StoreInspection { StoreInspection(engine: engine) }
}
