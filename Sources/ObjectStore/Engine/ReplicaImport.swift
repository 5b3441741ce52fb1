import Catalog
import Model
import Synchronization
import Volumes

/// Writes the damaged replicas of one blob anew from a source that is none of the store's volumes, if these have not got it
/// good between them.
///
/// At the pace that it is given, that may take hours, and the repairs' lane is what degraded reads wait for. So a replica is
/// written to `incoming/` beside it, verified on the way and synced, and only what gives it its name is done on the lane,
/// with what stood there set aside first. Meanwhile the blob is claimed: whoever else would write a replica of it, under the
/// same name in `incoming/`, is refused, and a check takes the file for no leftover; and a blob of which
/// nothing good is found then is damaged, not half mended. What can be seen of it is pinned, so that it is not reclaimed. A
/// volume that leaves service takes what was written there with it: `incoming/` is cleared when it returns, as it is when a
/// store opens whose process ended before.
struct ReplicaImport: Sendable {
    let engine: Engine
    let row: BlobRow
    let source: any Volume
    /// Why the replicas that are there go to quarantine.
    let reason: String
    /// Told of the bytes that are read to see whether it is needed.
    let search: BytePace
    /// Told of the bytes that are written.
    let pace: BytePace

    struct Outcome: Sendable {
        /// The volumes that were given a replica.
        var mended: [Int] = []
        /// What kept another from being given one.
        var failure: (any Error)?
    }

    /// - Throws: what keeps it from beginning; anything later is the outcome's, for what was done is to be told all the same.
    func run() async throws -> Outcome {
        let (present, now) = try engine.ledger.catalog.read {
            (try $0.blob(row.id), try $0.position().sequence)
        }
        // What is dead already is pinned as of when it was not.
        let pin = engine.readPins.pin(present?.died.map { SequenceNumber($0.rawValue - 1) } ?? now)
        defer { engine.readPins.unpin(pin) }
        var outcome = Outcome()
        guard try await claim() else { return outcome }
        defer { engine.blobsBeingImported.withLock { _ = $0.remove(row.id) } }
        let lane = engine.environment.makeLane(LaneShape("import", capacity: 1))
        defer { lane.finish() }
        if try await engine.seemsReadable(row, on: lane, pace: search) { return outcome }
        for index in engine.volumes.inService.map(\.index) {
            guard let handle = engine.volumes.handle(index) else { continue }
            do {
                if try await bring(to: handle, on: lane) { outcome.mended.append(index) }
            } catch {
                outcome.failure = outcome.failure ?? error
                // Else the others are given theirs all the same.
                if error is CancellationError || error is BlobFlaw { break }
            }
        }
        // What a volume lacks that left is copied to it when it returns.
        if outcome.failure is VolumeLeft, !outcome.mended.isEmpty { outcome.failure = nil }
        return outcome
    }

    /// - Returns: whether the blob is still needed; it is claimed then.
    /// - Throws: ``StoreError/busy(_:)`` if somebody else has claimed it.
    private func claim() async throws -> Bool {
        // On the lane: a repair that is under way has come to its end, and the next one sees the claim.
        try await engine.repairs.run {
            guard try isNeeded() else { return false }
            try engine.refuseIfImported(row.id)
            engine.blobsBeingImported.withLock { _ = $0.insert(row.id) }
            return true
        }
    }

    private func isNeeded() throws -> Bool {
        guard let present = try engine.ledger.catalog.read({ try $0.blob(row.id) }) else { return false }
        return !present.isReclaiming
    }

    /// Whether the volume is in service, and has been since it was taken.
    private func serves(_ handle: VolumeHandle) -> Bool { engine.volumes.handle(handle.index) === handle }

    /// - Returns: whether the volume was given a replica; it needs none if its own is good.
    private func bring(to handle: VolumeHandle, on lane: any Lane) async throws -> Bool {
        let volume = handle.volume
        let filling = try await lane.run { () -> BlobFilling? in
            let flaws = volume.verify(row.id, length: row.length, sha256: row.sha256, deep: true)
            if flaws.isEmpty { return nil }
            // It may have left while that was read, and `incoming/` be that of who brings it back.
            guard serves(handle) else { throw VolumeLeft(index: handle.index) }
            return try BlobCopier(sources: [source]).begin(
                row.id, BlobContent(row), to: volume, replacing: flaws == [.missing] ? nil : reason)
        }
        guard let filling else { return false }
        let sink = filling.sink
        do {
            while let count = try await lane.run({ try filling.step() }) {
                try await pace.spent(count)
                guard serves(handle) else { throw VolumeLeft(index: handle.index) }
            }
            try await lane.run {
                // All that takes as long as the blob is, before others are kept waiting.
                try sink.examineDisplaced()
                try sink.sync()
                try volume.syncIncoming()
            }
        } catch {
            try await lane.run { try giveUp(sink, on: handle) }
            throw error
        }
        do {
            return try await engine.repairs.run { try publish(sink, on: handle) }
        } catch let error as LaneRefused {
            // It did not come to that: the lane's queue is full, or the store closes.
            try await lane.run { try giveUp(sink, on: handle) }
            throw error
        }
    }

    /// Gives a replica that is complete and synced its name, durably.
    /// - Returns: whether the blob is still needed.
    private func publish(_ sink: any BlobSink, on handle: VolumeHandle) throws -> Bool {
        do {
            guard serves(handle) else { throw VolumeLeft(index: handle.index) }
            guard try isNeeded() else {
                try sink.abort()
                return false
            }
            try sink.link()
            try handle.volume.syncName(of: row.id)
            // It may have been reclaimed since, before it had the name.
            guard try isNeeded() else {
                try sink.abort()
                return false
            }
        } catch {
            try giveUp(sink, on: handle)
            throw error
        }
        try handle.volume.settle(row.id)
        return true
    }

    /// Removes what was written; of a volume that left, what is in `incoming/` may be somebody else's by now.
    private func giveUp(_ sink: any BlobSink, on handle: VolumeHandle) throws {
        if serves(handle) { try sink.abort() }
    }
}

/// A volume left service while a replica was written to it.
private struct VolumeLeft: Error, CustomStringConvertible {
    let index: Int

    var description: String { "volume \(index) left service while a replica was written to it" }
}
