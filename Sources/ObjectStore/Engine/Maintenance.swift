import Catalog
import EventLog
import Foundation
import Model
import Synchronization
import Volumes

/// The thread that looks after the volumes: notices operations past their deadline and directories that are
/// gone, and brings volumes back from the log (DESIGN invariant 9).
final class Maintenance: Sendable {
    static let interval = 0.25
    static let checkpointInterval = 1.0
    /// Sizes of the catalog's write-ahead log: from the first on, what is not in use is moved into the
    /// database; from the second on, the writer has to wait for it once.
    static let walByteCounts: (passive: UInt64, waiting: UInt64) = (4 * 1024 * 1024, 128 * 1024 * 1024)

    private let engine: Engine
    private let isRunning = Mutex(false)

    init(_ engine: Engine) { self.engine = engine }

    func start() {
        let first = isRunning.withLock { running in
            defer { running = true }
            return !running
        }
        guard first else { return }
        let thread = Thread { [self] in
            nameCurrentThread("maintenance")
            while isRunning.withLock({ $0 }) {
                tick()
                Thread.sleep(forTimeInterval: Self.interval)
            }
        }
        thread.start()
        let checkpoints = Thread { [self] in
            nameCurrentThread("checkpoint")
            while isRunning.withLock({ $0 }) {
                checkpoint()
                Thread.sleep(forTimeInterval: Self.checkpointInterval)
            }
        }
        checkpoints.start()
    }

    func stop() { isRunning.withLock { $0 = false } }

    private func checkpoint() {
        let catalog = engine.ledger.catalog
        do {
            let size = try engine.environment.fileSystem.status(of: catalog.walPath)?.size ?? 0
            guard size >= Self.walByteCounts.passive else { return }
            try catalog.checkpoint(waits: size >= Self.walByteCounts.waiting)
        } catch {
            // The write-ahead log grows until a later round succeeds; what it holds is in the event log too.
        }
    }

    /// One round.
    func tick() {
        engine.watch.tick()
        for handle in engine.volumes.inService where !handle.volume.isPresent() {
            engine.volumes.fail(
                handle, reason: "\(handle.volume.name) is not the directory that was opened any more")
        }
        if engine.ledger.log.brokenReason != nil { revive() }
        for (index, _) in engine.volumes.setAside {
            do { try VolumeReturn(engine: engine).run(index) } catch VolumeError.empty(let path) {
                refill(index, path)
            } catch {
                engine.volumes.note(index, reason: "\(error)")
            }
        }
    }

    /// Until it succeeds the store takes no writes, and each is told so; why it does not, the volumes' standing
    /// says.
    private func revive() {
        do { try StoreRevival(engine: engine).run() } catch {
            for (index, _) in engine.volumes.setAside { engine.volumes.note(index, reason: "\(error)") }
        }
    }

    /// A directory that was emptied under the running store becomes a new volume; a later round fills it. One
    /// that merely is empty may be the mount point of a disk that is not there: the operator decides.
    private func refill(_ index: Int, _ path: String) {
        do {
            guard let departed = engine.volumes.departed(index),
                try departed.wasEmptied(engine.environment.fileSystem)
            else {
                return engine.volumes.note(index, reason: "\(VolumeError.empty(path: path))")
            }
        } catch {
            engine.volumes.note(index, reason: "\(error)")
            return
        }
        let engine = engine
        // Bounded by the commit queue; the volume stays set aside until a round finds what this made.
        Task {
            do { _ = try await VolumeReplacement(engine: engine).run(index) } catch {
                engine.volumes.note(index, reason: "filling it anew: \(error)")
            }
        }
    }
}

/// Brings a volume that was set aside back to good standing, from the log alone.
///
/// The directory is opened afresh. Blobs begun and never published are removed. Then the volume's mirror is
/// caught up with the others, each event's blobs brought before the event; the last events under the commit
/// thread's exclusion, so that the volume takes part in every commit after.
struct VolumeReturn {
    let engine: Engine

    func run(_ index: Int) throws {
        let volume = try Opening.reopen(index, of: engine)
        do { try bring(volume) } catch {
            volume.close()
            throw error
        }
    }

    private func bring(_ volume: DirectoryVolume) throws {
        let ledger = engine.ledger
        // What the catalog does not know yet may be published all the same.
        let head = ledger.log.head.sequence
        guard try ledger.catalog.read({ try $0.position() }).sequence >= head else {
            throw StoreError.busy("the catalog, which is being brought up to the log,")
        }
        let handle = Opening.handle(volume, engine.environment)
        let mirror = Opening.mirror(of: volume, lane: handle.log)
        engine.volumes.place(handle, inService: false)
        do {
            _ = try Opening.clearIncoming(volume, ledger.catalog)
            let copier = BlobCopier(sources: engine.volumes.inService.map(\.volume))
            var reclaimed: [SequenceNumber] = []
            let bringEvent: (LoggedEvent) throws -> Void = { event in
                try Opening.bring(event, to: volume, ledger.catalog, copier)
                if case .reclaimed(let change) = event.record.change {
                    reclaimed += change.payloadSequences.map { SequenceNumber($0) }
                }
            }
            // An event may be damaged on every mirror that is left: this one may have it, or another that is out.
            let witnesses = [mirror] + engine.volumes.setAside.compactMap { witness($0.index) }
            var report = try ledger.log.consulting(witnesses) {
                try ledger.log.catchUp(mirror, before: bringEvent)
            }
            let last = try ledger.log.consulting(witnesses) { try finish(handle, mirror, copier) }
            report.events += last.events
            report.bytes += last.bytes
            // Copied segments came without these; the volume's own still have them.
            try ledger.log.dropPayloads(of: reclaimed, mirror: handle.index)
            announce(handle.index, report)
        } catch {
            engine.volumes.fail(handle, reason: "bringing it back: \(error)")
            throw error
        }
    }

    /// The log of a volume that stays set aside, to be read only; `nil` if the volume that belongs there cannot be
    /// read, of which its own return says why.
    private func witness(_ index: Int) -> LogMirror? {
        let path = engine.volumes.path(of: index)
        let fileSystem = engine.environment.fileSystem
        guard let identity = try? DirectoryVolume.readIdentity(path, fileSystem: fileSystem),
            identity.storeID == engine.storeID, identity.index == index
        else { return nil }
        return Opening.mirror(at: path, index: index, fileSystem, lane: InlineLane())
    }

    private func finish(_ handle: VolumeHandle, _ mirror: LogMirror, _ copier: BlobCopier) throws
        -> CatchUpReport
    {
        let engine = engine
        return try engine.onCommitThread {
            let report = try engine.ledger.log.catchUp(mirror) {
                try Opening.bring($0, to: handle.volume, engine.ledger.catalog, copier)
            }
            try engine.ledger.log.putInService(mirror)
            engine.volumes.place(handle, inService: true)
            return report
        }
    }

    private func announce(_ index: Int, _ report: CatchUpReport) {
        var change = EventVolumeReturned()
        change.volume = UInt32(index)
        change.events = report.events
        change.bytes = report.bytes
        let event = change
        engine.ledger.propose(
            Proposal(actor: .holdfast) { _ in .append(.volumeReturned(event)) { _, _ in } }
        ) { _ in }  // the volume is back whether or not the event that says so is
    }
}
