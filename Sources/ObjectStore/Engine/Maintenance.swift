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
    /// Volumes that threads of their own bring back: a refill takes hours, and deadlines are kept meanwhile.
    private let returning = Mutex<Set<Int>>([])
    private let returns = DispatchGroup()
    private let slow = Mutex(SlowVolumeWatch())
    /// How long closing waits for them; a disk that hangs keeps nobody.
    private static let stopDeadline = 5.0

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
                tick(onThreads: true)
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

    func stop() {
        isRunning.withLock { $0 = false }
        engine.refills.stop()
        _ = returns.wait(timeout: .now() + Self.stopDeadline)
    }

    private func checkpoint() {
        let catalog = engine.ledger.catalog
        do {
            let size = try engine.environment.fileSystem.status(of: catalog.walPath)?.size ?? 0
            guard size >= Self.walByteCounts.passive else { return }
            if let held = try catalog.checkpoint(limit: Self.walByteCounts.waiting) {
                engine.ledger.metrics.maintenanceHeld(held)
            }
        } catch {
            // The write-ahead log grows until a later round succeeds; what it holds is in the event log too.
        }
    }

    /// One round.
    /// - Parameter onThreads: volumes are brought back on threads of their own, else on the caller's.
    func tick(onThreads: Bool = false) {
        engine.watch.tick()
        for handle in engine.volumes.inService where !handle.volume.isPresent() {
            engine.volumes.fail(
                handle, reason: "\(handle.volume.name) is not the directory that was opened any more")
        }
        setSlowAside()
        // A log that is opened again must not change under a volume that is caught up with it.
        if engine.ledger.log.brokenReason != nil, returning.withLock({ $0.isEmpty }) { revive() }
        if onThreads, engine.ledger.log.brokenReason != nil { return }
        for (index, reason) in engine.volumes.setAside
        where mayReturn(index, reason) && returning.withLock({ $0.insert(index).inserted }) {
            guard onThreads else {
                bringBack(index)
                continue
            }
            returns.enter()
            let thread = Thread { [self] in
                nameCurrentThread("return-\(index)")
                bringBack(index)
                returns.leave()
            }
            thread.start()
        }
    }

    private func setSlowAside() {
        guard engine.settings.healing.allows(.slow) else { return }
        let volumes = engine.volumes.inService
        let counts = engine.ledger.log.timings.appendSeconds.filter { entry in
            volumes.contains { $0.index == entry.volume }
        }
        let found = slow.withLock {
            $0.look(
                Dictionary(uniqueKeysWithValues: counts.map { ($0.volume, $0.seconds) }), at: engine.clock())
        }
        guard let found, let handle = volumes.first(where: { $0.index == found.volume }) else { return }
        engine.volumes.fail(handle, reason: found.reason)
    }

    private func mayReturn(_ index: Int, _ reason: String) -> Bool {
        switch engine.returns.judge(index, reason: reason, isNeeded: engine.isShortOfVolumes) {
        case .go: return true
        case .held, .later: return false
        case .hold(let held):
            engine.volumes.note(index, reason: held)
            engine.announceHealing("hold-volume", "volume \(index)", held)
            return false
        }
    }

    private func bringBack(_ index: Int) {
        defer { returning.withLock { _ = $0.remove(index) } }
        do {
            try VolumeReturn(engine: engine).run(index)
            engine.returns.noteReturn(index)
        } catch VolumeError.empty(let path) {
            refill(index, path)
        } catch {
            engine.volumes.note(index, reason: "\(error)")
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
                engine.returns.noteFailure(index, isNeeded: engine.isShortOfVolumes)
                engine.volumes.note(index, reason: "filling it anew: \(error)")
            }
        }
    }
}
