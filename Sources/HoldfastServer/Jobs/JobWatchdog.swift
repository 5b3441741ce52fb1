import Logging
import Model
import ObjectStore
import Synchronization

/// What is done about a job that hangs.
package struct JobWatchdog: Sendable {
    /// A run that tells nothing for so long hangs.
    package var stallSeconds = 3600.0
    /// Whether one that hangs is cancelled, so that it begins anew; without, it is only told of.
    package var restarts = true
    /// How often within an hour. One that hangs once more is paused.
    package var restartsPerHour = 3
    /// Told what was done, to which job, and why, for an event to say.
    package var told: @Sendable (_ action: String, _ job: String, _ reason: String) -> Void = { _, _, _ in }

    package init() {}

    var reason: String { "it told of no progress for \(Int(stallSeconds)) s" }
}

/// The watchdog. A run is cancelled, and not abandoned: two of one job would work on one repository at once. It ends at
/// its next step, or when the disk that it waits for answers or is set aside; until then the job's state says that it hangs.
extension JobScheduler {
    func cancelStalled(at now: Timestamp) {
        let watchdog = surroundings.watchdog
        let hanging = state.withLock { state in
            names.filter { name in
                // One that paces itself may rest for as long as it likes.
                guard let entry = state.entries[name], entry.isRunning, !entry.isStalled, !entry.isIdle,
                    entry.definition.control == nil,
                    now.seconds(since: entry.heard) > watchdog.stallSeconds
                else { return false }
                state.entries[name]?.isStalled = true
                if watchdog.restarts { entry.task?.cancel() }
                return true
            }
        }
        for name in hanging {
            let what = watchdog.restarts ? "it is cancelled" : "the settings leave it alone"
            logger.error("\(name) hangs: \(watchdog.reason); \(what)")
        }
    }

    /// A run that hung has ended: the job begins anew, unless it has done so too often.
    func restart(_ name: String, at now: Timestamp) {
        let watchdog = surroundings.watchdog
        guard watchdog.restarts else { return }
        let (isTooMuch, isPausable) = state.withLock { state -> (Bool, Bool) in
            guard var entry = state.entries[name] else { return (false, false) }
            defer { state.entries[name] = entry }
            let isTooMuch = entry.restarts.isFull(at: now)
            if !isTooMuch { entry.restarts.note(now) }
            return (isTooMuch, entry.definition.kind.rule.isPausable)
        }
        guard isTooMuch, isPausable else {
            return watchdog.told("restart-job", name, "\(watchdog.reason), and begins anew")
        }
        let reason =
            "it hung more than \(watchdog.restartsPerHour) times within an hour, and is paused until 'holdfast jobs resume \(name)'"
        records.change(name) {
            $0.isPaused = true
            $0.error = reason
        }
        logger.error("\(name): \(reason)")
        watchdog.told("hold-job", name, reason)
    }
}
