import Foundation
import Integrity
import Logging
import Model
import ObjectStore
import Synchronization
import Volumes

/// Runs what a server does by itself, as ``JobKind`` says: each job on a thread of its own, when it is due and nothing
/// keeps it out. What fails is tried again, less and less often; what hangs is cancelled and begins anew when it has ended.
///
/// Every fifth of a second it asks ``JobPlan`` what begins. A run in the middle is held up, or stopped, where it tells of
/// its bytes (``JobContext/spent(_:)``).
package final class JobScheduler: Sendable {
    /// What the scheduler takes from the world; replaced in tests.
    package struct Surroundings: Sendable {
        package var clock: @Sendable () -> JobSchedule.Clock
        /// A volume is being filled, or replicas are being mended.
        package var isRepairing: @Sendable () -> Bool
        /// Blocks the thread, in seconds.
        package var sleep: @Sendable (Double) -> Void
        package var watchdog = JobWatchdog()
        /// Asked by all that has time after each piece, with the seconds that it took if they are known: may keep it waiting,
        /// until what it is given says that the wait is over.
        package var pace: @Sendable (_ worked: Double?, _ isOver: () -> Bool) -> Void = { _, _ in }

        package init(
            clock: @escaping @Sendable () -> JobSchedule.Clock = Self.localClock,
            isRepairing: @escaping @Sendable () -> Bool,
            sleep: @escaping @Sendable (Double) -> Void = { Thread.sleep(forTimeInterval: $0) }
        ) {
            self.clock = clock
            self.isRepairing = isRepairing
            self.sleep = sleep
        }

        package static func localClock() -> JobSchedule.Clock {
            let now = Timestamp.now()
            let parts = Calendar.current.dateComponents([.hour, .minute, .second], from: now.date)
            let minutes = (parts.hour ?? 0) * 60 + (parts.minute ?? 0)
            return JobSchedule.Clock(now: now, secondOfDay: minutes * 60 + (parts.second ?? 0))
        }
    }

    static let interval = Duration.milliseconds(200)
    static let longestNap = 0.2
    /// How long a job waits after its first failure, and at most.
    static let shortestRetry = 1.0
    static let longestRetry = 600.0

    struct Entry {
        let definition: JobDefinition
        var isRunning = false
        /// Somebody wants a run, besides the one under way if there is one.
        var isAsked = false
        /// The run under way was asked for: its window does not count.
        var isForced = false
        var started = Timestamp(microseconds: 0)
        /// When the run told something last.
        var heard = Timestamp(microseconds: 0)
        /// When it asked last whether it may go on, or began.
        var passed = Timestamp(microseconds: 0)
        var progress: Double?
        /// What a run in the middle waits for.
        var heldUp: String?
        var isStalled = false
        /// A continuous run has nothing to do.
        var isIdle = false
        /// Runs that hung and were cancelled.
        var restarts: ActionWindow
        var retryAt: Timestamp?
        /// The next run, as the last one said.
        var nextAt: Timestamp?
        /// Until when the bytes so far are paid for, at the job's rate.
        var paidUntil: Timestamp?
        var task: Task<Void, Never>?
        var runs = (good: 0, bad: 0, failed: 0)
        var step = JobPlan.Step.idle
    }

    struct State {
        var entries: [String: Entry] = [:]
        /// What commands run beside the jobs, by a number.
        var guests: [Int: (kind: JobKind, repository: String?)] = [:]
        var lastGuest = 0
        var isCancelled = false
        /// Nothing begins, and what has time is to end.
        var isEnding = false
        var loop: Task<Void, Never>?
    }

    let surroundings: Surroundings
    let records: JobRecords
    let logger: Logger
    let state: Mutex<State>
    /// The jobs' names, in the table's order.
    let names: [String]
    let began: Timestamp
    private let threads: WorkerPool?
    /// Of those that have time: what requests need of the processors they get first.
    private let leisure: WorkerPool?

    /// - Parameters:
    ///   - path: where what jobs did is remembered.
    ///   - isServing: without, nothing ever runs: the scheduler only tells, and remembers what is paused.
    package init(
        _ definitions: [JobDefinition], path: String, isServing: Bool, _ surroundings: Surroundings,
        _ logger: Logger
    ) {
        self.surroundings = surroundings
        self.logger = logger
        records = JobRecords(path: path, fileSystem: RealFileSystem()) { logger.warning("jobs: \($0)") }
        names = definitions.map(\.name)
        began = surroundings.clock().now
        var entries: [String: Entry] = [:]
        for definition in definitions {
            entries[definition.name] = Entry(
                definition: definition,
                restarts: ActionWindow(limit: surroundings.watchdog.restartsPerHour, seconds: 3600))
        }
        state = Mutex(State(entries: entries))
        if isServing { Self.note(definitions, in: records, at: began) }
        // One for each job, and one that decides.
        let leisurely = definitions.filter { $0.kind.rule.isLeisurely }.count
        threads = isServing ? WorkerPool(threads: definitions.count - leisurely + 1) : nil
        leisure =
            isServing ? WorkerPool(threads: max(1, leisurely), niceness: LaneShape.leisurely) : nil
    }

    /// Whoever waits for the first run of a job, and its end, waits since it was to run by itself.
    private static func note(_ definitions: [JobDefinition], in records: JobRecords, at now: Timestamp) {
        records.forgetSchedules(but: Set(definitions.map(\.name)))
        for definition in definitions where definition.isRemembered {
            records.change(definition.name) {
                $0.scheduled = definition.schedule == .never ? nil : $0.scheduled ?? now.microseconds
            }
        }
    }

    package var isServing: Bool { threads != nil }

    // MARK: Running

    package func start() {
        guard let threads else { return }
        do { try save() } catch { logger.error("jobs: \(error)") }
        let loop = Task(executorPreference: threads) {
            while !Task.isCancelled {
                self.tick()
                do { try await Task.sleep(for: Self.interval) } catch { return }  // cancelled
            }
        }
        state.withLock { $0.loop = loop }
    }

    /// Nothing begins any more, and what has time ends at its next step: the server stops.
    package func endLeisure() {
        let tasks = state.withLock { state -> [Task<Void, Never>] in
            state.isEnding = true
            return state.entries.values.filter { $0.definition.kind.rule.isLeisurely }.compactMap(\.task)
        }
        for task in tasks { task.cancel() }
    }

    package func cancel() {
        let tasks = state.withLock { state -> [Task<Void, Never>] in
            state.isCancelled = true
            return state.entries.values.compactMap(\.task) + [state.loop].compactMap(\.self)
        }
        for task in tasks { task.cancel() }
    }

    /// Returns when everything has ended, after ``cancel()`` and the closing of the store. Only what has to do with a repository
    /// is not waited for without end: a step may hang in a mount that does not answer, and nothing ends that; it changes
    /// nothing of the store. Whatever changes the store's volumes has ended before another process has them.
    /// - Parameter time: for repositories' jobs.
    /// - Returns: those that have not ended.
    package func wait(atMost time: Duration) async -> [String] {
        let (loop, own, others) = state.withLock { state in
            let entries = state.entries.values
            return (
                state.loop, entries.filter { $0.definition.repository == nil }.compactMap(\.task),
                entries.filter { $0.definition.repository != nil }.compactMap(\.task)
            )
        }
        await loop?.value
        for task in own { await task.value }
        threads?.stop()
        let haveEnded = await Grace.wait(atMost: time) { for task in others { await task.value } }
        guard !haveEnded else {
            leisure?.stop()
            return []
        }
        // Their threads stay, so that one whose step ends at last can close its repository.
        return state.withLock { state in names.filter { state.entries[$0]?.isRunning == true } }
    }

    /// One look at everything: begins what may begin.
    package func tick() {
        let clock = surroundings.clock()
        let isRepairing = surroundings.isRepairing()
        let starting = state.withLock { state -> [String] in
            guard !state.isEnding, !state.isCancelled else { return [] }
            let steps = steps(state, clock, isRepairing: isRepairing)
            var starting: [String] = []
            for name in names {
                guard let step = steps[name], var entry = state.entries[name] else { continue }
                entry.step = step
                if step == .start {
                    entry.step = .running
                    entry.begin(at: clock.now)
                    starting.append(name)
                }
                state.entries[name] = entry
            }
            return starting
        }
        for name in starting { launch(name) }
        cancelStalled(at: clock.now)
    }

    private func launch(_ name: String) {
        guard let threads, let leisure else {
            preconditionFailure("jobs run where there are threads for them")
        }
        state.withLock { state in
            let isLeisurely = state.entries[name]?.definition.kind.rule.isLeisurely ?? false
            let task = Task(executorPreference: isLeisurely ? leisure : threads) { await self.run(name) }
            state.entries[name]?.task = task
            if state.isCancelled { task.cancel() }
        }
    }

    private func steps(
        _ state: State, _ clock: JobSchedule.Clock, isRepairing: Bool
    ) -> [String: JobPlan.Step] {
        var jobs = names.compactMap { state.entries[$0].map { job($0, clock) } }
        for (number, guest) in state.guests {
            var job = JobPlan.Job(
                name: "a command's \(guest.kind.rawValue) (\(number))", kind: guest.kind,
                repository: guest.repository)
            job.isRunning = true
            jobs.append(job)
        }
        return JobPlan.steps(jobs, isRepairing: isRepairing)
    }

    private func job(_ entry: Entry, _ clock: JobSchedule.Clock) -> JobPlan.Job {
        let definition = entry.definition
        var job = JobPlan.Job(
            name: definition.name, kind: definition.kind, repository: definition.repository)
        job.isRunning = entry.isRunning
        job.isPaused = definition.control == nil && records[definition.name].isPaused
        job.isDue = due(entry, clock).map { $0 <= clock.now } ?? false
        job.isInWindow = definition.window.contains(minute: clock.secondOfDay / 60)
        job.isBackingOff = entry.retryAt.map { $0 > clock.now } ?? false
        // What was asked for is tried until it succeeds, but no more often than anything else.
        job.isAsked = entry.isAsked || entry.isForced && !job.isBackingOff
        job.hasNeeded = needed(definition) != nil || definition.kind.rule.needs == nil
        return job
    }

    /// When the job that this one needs succeeded last.
    private func needed(_ definition: JobDefinition) -> Timestamp? {
        definition.kind.rule.needs.flatMap { kind in
            records[JobDefinition.name(kind, definition.repository)].succeeded.map(
                Timestamp.init(microseconds:))
        }
    }

    /// When a job is due, which may be past; `nil` for not as things are.
    func due(_ entry: Entry, _ clock: JobSchedule.Clock) -> Timestamp? {
        if let next = entry.nextAt { return next }
        let definition = entry.definition
        let last = records[definition.name].begun.map(Timestamp.init(microseconds:))
        return definition.schedule.due(
            last: last, began: began, followed: needed(definition), at: clock)
    }

    private func run(_ name: String) async {
        guard let definition = state.withLock({ $0.entries[name]?.definition }) else { return }
        let context = JobContext(
            record: records[name], gate: { [self] count in try pass(name, count) },
            tell: { [self] part in
                let now = surroundings.clock().now
                state.withLock {
                    $0.entries[name]?.progress = part
                    $0.entries[name]?.heard = now
                }
            },
            note: { [self] text in
                if records[name].error != text { logger.error("\(name): \(text)") }
                records.change(name) { $0.error = text }
            },
            pulse: { [self] beat in
                let now = surroundings.clock().now
                state.withLock {
                    $0.entries[name]?.isIdle = beat == .waits
                    $0.entries[name]?.heard = now
                }
            })
        do { try ended(name, await definition.body(context)) } catch let stop as JobStopped {
            end(name)
            logger.info("\(name) is stopped: \(stop)")
        } catch {
            failed(name, error)
        }
    }

    private func end(_ name: String) {
        state.withLock { state in
            guard var entry = state.entries[name] else { return }
            entry.end()
            state.entries[name] = entry
        }
    }

    private func ended(_ name: String, _ outcome: JobOutcome) throws {
        let now = surroundings.clock().now
        guard let entry = state.withLock({ $0.entries[name] }) else { return }
        guard !entry.definition.kind.rule.isContinuous else {
            // It returned though nobody cancelled it: it begins again.
            if !isToEnd(entry.definition) { throw JobRefusal.ended }
            return end(name)
        }
        let seconds = now.seconds(since: entry.started)
        if !outcome.isGood { logger.error("\(name): \(outcome.summary)") }
        records.change(name) { record in
            record.begun = entry.started.microseconds
            record.seconds = seconds
            record.isGood = outcome.isGood
            record.result = outcome.summary
            record.failures = 0
            record.error = nil
            if outcome.isMade { record.succeeded = entry.started.microseconds }
        }
        state.withLock { state in
            guard var entry = state.entries[name] else { return }
            entry.end()
            entry.isForced = false
            entry.retryAt = nil
            entry.nextAt = outcome.nextIn.map { now.later($0) }
            if outcome.isGood { entry.runs.good += 1 } else { entry.runs.bad += 1 }
            state.entries[name] = entry
        }
        if entry.definition.isRemembered { try save() }
    }

    private func failed(_ name: String, _ error: any Error) {
        guard let definition = state.withLock({ $0.entries[name]?.definition }), !isToEnd(definition) else {
            return end(name)
        }
        let now = surroundings.clock().now
        let isStalled = state.withLock { $0.entries[name]?.isStalled } ?? false
        let text = isStalled ? surroundings.watchdog.reason : "\(error)"
        if records[name].error != text { logger.error("\(name): \(text)") }
        let began = state.withLock { $0.entries[name]?.started } ?? now
        let record = records.change(name) {
            // One that went well for long enough fails for the first time again.
            if now.seconds(since: began) > Self.longestRetry { $0.failures = 0 }
            $0.failures += 1
            $0.error = text
        }
        state.withLock { state in
            guard var entry = state.entries[name] else { return }
            entry.end()
            entry.runs.failed += 1
            entry.retryAt = now.later(Self.retry(after: record.failures))
            state.entries[name] = entry
        }
        if isStalled { restart(name, at: now) }
        do { if state.withLock({ $0.entries[name]?.definition.isRemembered }) == true { try save() } } catch {
            logger.error("jobs: \(error)")
        }
    }

    /// How long a job waits that failed so many times in a row, in seconds.
    package static func retry(after failures: Int) -> Double {
        min(longestRetry, shortestRetry * Double(1 << min(max(failures - 1, 0), 20)))
    }

    var isCancelled: Bool { state.withLock { $0.isCancelled } }
    /// Whether it ends because the server does.
    private func isToEnd(_ definition: JobDefinition) -> Bool {
        definition.kind.rule.isLeisurely ? isEnding : isCancelled
    }

    var isEnding: Bool { state.withLock { $0.isEnding || $0.isCancelled } }

    func save() throws { try records.save() }
}

extension JobScheduler.Entry {
    mutating func begin(at now: Timestamp) {
        isRunning = true
        isForced = isAsked || isForced
        isAsked = false
        isStalled = false
        isIdle = false
        started = now
        heard = now
        passed = now
        progress = nil
        paidUntil = nil
        nextAt = nil
    }

    mutating func end() {
        isRunning = false
        heldUp = nil
        progress = nil
    }
}

extension JobDefinition {
    /// What runs every few seconds is not worth a write to remember.
    var isRemembered: Bool { repository != nil }
}
