import Model
import ObjectStore
import Synchronization

/// What is wrong with an order to a job.
package enum JobRefusal: Error, CustomStringConvertible {
    case unknown(String, known: [String])
    case notPausable(String)
    case paused(String)
    case notServing
    case continuous(String)
    /// One that should go on for ever did not.
    case ended
    case busy(JobKind, with: String)

    package var description: String {
        switch self {
        case .unknown(let name, let known):
            "there is no job \(name): there are \(known.joined(separator: ", "))"
        case .notPausable(let name): "\(name) cannot be paused: what it does keeps objects safe"
        case .paused(let name): "\(name) is paused: 'holdfast jobs resume' lets it run"
        case .notServing: "no server has the store, and only a server runs jobs"
        case .continuous(let name): "\(name) runs all the time"
        case .ended: "it ended by itself"
        case .busy(let kind, let other): "a \(kind.rawValue) has to wait for \(other)"
        }
    }
}

/// How a job stands, for people and programs.
package struct JobStatus: Sendable {
    package enum State: String, Sendable, CaseIterable { case running, waiting, paused, idle, stopped }

    package let name: String
    package let kind: JobKind
    package let repository: String?
    package let state: State
    /// What it waits for.
    package let waitingFor: String?
    /// What it does now.
    package let activity: String?
    /// From 0 to 1.
    package let progress: Double?
    package let record: JobRecord
    package let next: Timestamp?
    package let runs: (good: Int, bad: Int, failed: Int)
}

/// Orders to jobs, and how they stand.
extension JobScheduler {
    private func definition(_ name: String) throws -> JobDefinition {
        guard let entry = state.withLock({ $0.entries[name] }) else {
            throw JobRefusal.unknown(name, known: names)
        }
        return entry.definition
    }

    /// Until it is resumed, by this process or a later one. A run under way is stopped at its next step.
    package func pause(_ name: String) throws {
        let definition = try definition(name)
        guard definition.kind.rule.isPausable else { throw JobRefusal.notPausable(name) }
        if let control = definition.control { return try control.pause() }
        records.change(name) { $0.isPaused = true }
        state.withLock { state in
            state.entries[name]?.isAsked = false
            state.entries[name]?.isForced = false
        }
        try save()
    }

    package func resume(_ name: String) throws {
        let definition = try definition(name)
        guard definition.kind.rule.isPausable else { throw JobRefusal.notPausable(name) }
        if let control = definition.control { return try control.resume() }
        records.change(name) { $0.isPaused = false }
        // Whoever resumes it has looked at it.
        let limit = surroundings.watchdog.restartsPerHour
        state.withLock { $0.entries[name]?.restarts = ActionWindow(limit: limit, seconds: 3600) }
        try save()
    }

    /// Lets it run now: neither its time nor its window counts, what keeps it out does.
    package func ask(_ name: String) throws {
        let definition = try definition(name)
        guard isServing else { throw JobRefusal.notServing }
        if let control = definition.control { return try control.run() }
        guard !definition.kind.rule.isContinuous else { throw JobRefusal.continuous(name) }
        guard !records[name].isPaused else { throw JobRefusal.paused(name) }
        state.withLock { $0.entries[name]?.isAsked = true }
        tick()
    }

    package func statuses() -> [JobStatus] {
        let clock = surroundings.clock()
        return names.compactMap { name in
            state.withLock { $0.entries[name] }.map { status($0, clock) }
        }
    }

    private func status(_ entry: Entry, _ clock: JobSchedule.Clock) -> JobStatus {
        let definition = entry.definition
        var record = records[definition.name]
        var state = JobStatus.State.idle
        var waitingFor: String?
        var activity: (text: String, part: Double)?
        if let control = definition.control {
            record.isPaused = control.isPaused()
            activity = control.activity()
        }
        switch entry.step {
        case .running, .start: state = entry.isRunning ? .running : .idle
        case .paused: state = .paused
        case .idle: state = .idle
        case .wait(let reason): (state, waitingFor) = (.waiting, reason)
        }
        if entry.isRunning, entry.isStalled {
            (state, waitingFor) = (.waiting, "its end: it hangs, and was told to stop")
        }
        if entry.isRunning, let heldUp = entry.heldUp { (state, waitingFor) = (.waiting, heldUp) }
        if entry.isRunning, definition.control != nil, activity == nil { state = .idle }
        // What was said since the last look counts.
        if record.isPaused, !entry.isRunning || definition.control != nil, activity == nil {
            (state, waitingFor) = (.paused, nil)
        }
        if !isServing, state != .paused { state = .stopped }
        let next =
            entry.isRunning || record.isPaused || definition.kind.rule.isContinuous
            ? nil : later(due(entry, clock), entry.retryAt)
        return JobStatus(
            name: definition.name, kind: definition.kind, repository: definition.repository, state: state,
            waitingFor: waitingFor, activity: activity?.text, progress: activity?.part ?? entry.progress,
            record: record, next: next, runs: entry.runs)
    }

    private func later(_ due: Timestamp?, _ retry: Timestamp?) -> Timestamp? {
        guard let due else { return nil }
        return retry.map { $0 > due ? $0 : due } ?? due
    }

    /// Whether the job has ever done what others need it for, by itself or by a command.
    package func hasSucceeded(_ kind: JobKind, repository: String) -> Bool {
        records[JobDefinition.name(kind, repository)].succeeded != nil
    }

    /// Runs what a command asks for, if the table lets it run beside what runs already.
    /// - Parameters:
    ///   - repository: the name of a configured one, if it is one.
    ///   - isGood: whether it found everything as it should be.
    /// - Throws: ``JobRefusal/busy(_:with:)``, and what `body` throws.
    package func asGuest<Value>(
        _ kind: JobKind, repository: String?, isGood: (Value) -> Bool = { _ in true },
        _ body: () async throws -> Value
    ) async throws -> Value {
        let started = surroundings.clock().now
        let number = try state.withLock { state -> Int in
            let busy = state.entries.values.first {
                $0.isRunning
                    && JobKind.exclude((kind, repository), ($0.definition.kind, $0.definition.repository))
            }
            if let busy { throw JobRefusal.busy(kind, with: busy.definition.name) }
            if let guest = state.guests.values.first(where: { JobKind.exclude((kind, repository), $0) }) {
                throw JobRefusal.busy(kind, with: "another command's \(guest.kind.rawValue)")
            }
            state.lastGuest += 1
            state.guests[state.lastGuest] = (kind, repository)
            return state.lastGuest
        }
        defer { state.withLock { _ = $0.guests.removeValue(forKey: number) } }
        let value = try await body()
        if let repository {
            // It counts as a run of the job: the next one is due that much later.
            records.change(JobDefinition.name(kind, repository)) { record in
                record.begun = started.microseconds
                record.isGood = isGood(value)
                record.succeeded = started.microseconds
                record.result = "made by a command"
            }
            try save()
        }
        return value
    }
}
