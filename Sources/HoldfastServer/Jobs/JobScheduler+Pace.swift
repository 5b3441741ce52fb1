import Integrity
import Model
import Synchronization

/// How a run is held up and stopped.
extension JobScheduler {
    private enum Verdict {
        case go
        case wait(Double, String)
        case stop(any Error)
    }

    /// Returns when a run that has read or written so many bytes may go on. Blocks its thread.
    func pass(_ name: String, _ byteCount: Int) throws {
        var count = byteCount
        let worked = worked(name)
        while true {
            switch verdict(name, count) {
            case .go:
                if state.withLock({ $0.entries[name]?.definition.kind.rule.isLeisurely }) == true {
                    surroundings.pace(worked) { isOver(name) || records[name].isPaused }
                    // It was kept waiting, and has not worked.
                    let now = surroundings.clock().now
                    state.withLock { $0.entries[name]?.passed = now }
                    if isOver(name) { throw CancellationError() }
                }
                return
            case .stop(let error): throw error
            case .wait(let seconds, _):
                surroundings.sleep(min(seconds, Self.longestNap))
            }
            count = 0
        }
    }

    /// Seconds since the run was here last, or began.
    private func worked(_ name: String) -> Double? {
        let now = surroundings.clock().now
        return state.withLock { state in
            guard let last = state.entries[name]?.passed else { return nil }
            state.entries[name]?.passed = now
            return max(0, now.seconds(since: last))
        }
    }

    /// As ``JobContext/spent(_:)`` of those that have time, for what a command does.
    /// - Throws: `CancellationError` when the server stops.
    package func pace() throws {
        surroundings.pace(nil) { isEnding }
        if isEnding { throw CancellationError() }
    }

    /// Whether a run is to end: it hangs and was cancelled, or the server stops. Asked on whichever thread works at it, for those
    /// of lanes have no task that could be cancelled.
    private func isOver(_ name: String) -> Bool {
        Task.isCancelled
            || state.withLock { state in
                guard let entry = state.entries[name], !state.isCancelled else { return true }
                return entry.task?.isCancelled == true
                    || state.isEnding && entry.definition.kind.rule.isLeisurely
            }
    }

    private func verdict(_ name: String, _ byteCount: Int) -> Verdict {
        if isOver(name) { return .stop(CancellationError()) }
        let clock = surroundings.clock()
        let isRepairing = surroundings.isRepairing()
        let isPaused = records[name].isPaused
        return state.withLock { state -> Verdict in
            guard var entry = state.entries[name] else { return .stop(CancellationError()) }
            defer { state.entries[name] = entry }
            entry.heard = clock.now
            entry.heldUp = nil
            let definition = entry.definition
            if let rate = definition.rate == 0 ? nil : Double(definition.rate), byteCount > 0 {
                // Time that was not used is not made up for.
                let from = max(entry.paidUntil ?? entry.started, clock.now)
                entry.paidUntil = from.later(Double(byteCount) / rate)
            }
            if isPaused { return .stop(JobStopped(reason: "it is paused")) }
            if definition.endsWithWindow, !entry.isForced,
                !definition.window.contains(minute: clock.secondOfDay / 60)
            {
                return .stop(JobStopped(reason: "its window is over"))
            }
            if definition.kind.rule.yieldsToRepairs, isRepairing {
                entry.heldUp = JobPlan.repairs
                return .wait(Self.longestNap, JobPlan.repairs)
            }
            guard let paid = entry.paidUntil, paid > clock.now else { return .go }
            return .wait(paid.seconds(since: clock.now), "its rate")
        }
    }
}
