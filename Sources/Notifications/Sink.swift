import EventLog
import Foundation
import Model
import ObjectStore
import Synchronization
import Volumes

/// A sink: follows the log from where its cursor stands, and delivers what it is to be told of, in the order of the
/// log, at least once.
///
/// The log is its queue, so one that hangs keeps nobody waiting and needs no memory. Each has a thread, a breaker and a
/// cursor of its own: none knows of the others.
package final class Sink: Sendable {
    /// What a sink takes from the world; replaced in tests.
    package struct Surroundings: Sendable {
        /// A clock that nobody sets, in seconds.
        package var uptime: @Sendable () -> Double
        package var now: @Sendable () -> Timestamp
        package var chance: @Sendable () -> Double
        /// - Throws: `CancellationError`.
        package var sleep: @Sendable (Double) async throws -> Void

        package init(
            uptime: @escaping @Sendable () -> Double = { ProcessInfo.processInfo.systemUptime },
            now: @escaping @Sendable () -> Timestamp = { .now() },
            chance: @escaping @Sendable () -> Double = { Double.random(in: 0...1) },
            sleep: @escaping @Sendable (Double) async throws -> Void = {
                try await Task.sleep(for: .seconds($0))
            }
        ) {
            self.uptime = uptime
            self.now = now
            self.chance = chance
            self.sleep = sleep
        }
    }

    struct State {
        var cursor: SinkCursor
        /// Whether the log was found to be the one that the cursor followed.
        var isPlaced = false
        var breaker: CircuitBreaker
        /// Counts replays: what was under way when one began does not move the cursor.
        var generation = 0
        /// Waits for the log to grow, while there is nothing else to do.
        var waiting: Task<Void, Never>?
        /// What the file says.
        var saved: SinkCursor?
        var refusals = 0
        var delivered: UInt64 = 0
        var deadLetters: UInt64 = 0
        /// Since when, in seconds of a clock that nobody sets, every step has met an event that cannot be read.
        var unreadableSince: Double?
        var lastError: String?
        var lastDelivery: Timestamp?

        /// Begins again from another place: what is under way does not move the cursor any more.
        mutating func putBack(_ cursor: SinkCursor) {
            generation += 1
            self.cursor = cursor
            refusals = 0
            breaker.succeed()
            waiting?.cancel()
        }
    }

    /// Events that are read at a time.
    static let readCount = 512
    /// Records and bytes of one request, about.
    static let recordCount = 100
    /// How many times in a row something is refused before it becomes a dead letter.
    static let refusalCount = 3
    /// Seconds for which the other side may fail the same delivery, and say so, before it is given up.
    static let failureSeconds: Double = 24 * 3600
    /// Seconds after which an event that cannot be read counts as gone: what hangs on one controller may be away for a while, and
    /// the volumes are in service until they fail to be written.
    static let unreadableSeconds: Double = 300
    /// Events that may be passed over before the cursor is saved.
    private static let passedCount: UInt64 = 4096
    private static let longestNap = 0.25

    package let name: String
    package let transport: any SinkTransport
    private let router: NotificationRouter
    private let store: ObjectStore
    let inspection: StoreInspection
    let surroundings: Surroundings
    private let cursorPath: String
    private let deadLetters: DeadLetters
    let state: Mutex<State>
    /// Held while the cursor is written: commands write it too.
    private let saving = Mutex(())

    /// - Throws: ``SinkError``, ``FileSystemError``.
    package init(
        _ name: String, _ transport: any SinkTransport, _ filter: NotificationFilter, _ store: ObjectStore,
        region: String, breaker: CircuitBreaker.Settings = .init(), _ surroundings: Surroundings = .init()
    ) throws {
        self.name = name
        self.transport = transport
        self.store = store
        self.surroundings = surroundings
        router = NotificationRouter(sink: name, filter: filter, store: store, region: region)
        inspection = store.inspection
        let directory = inspection.stateDirectory + "/sinks"
        try inspection.fileSystem.createDirectories(directory, permissions: 0o700)
        cursorPath = "\(directory)/\(name).json"
        deadLetters = DeadLetters(path: "\(directory)/\(name).dead.jsonl", fileSystem: inspection.fileSystem)
        // A new sink is told of what happens from now on.
        let known = try SinkCursor.load(cursorPath, inspection.fileSystem)
        let head = store.head
        let cursor =
            known ?? SinkCursor(sequence: head.sequence.rawValue, chain: head.chain.description)
        if known == nil { try cursor.save(cursorPath, inspection.fileSystem) }
        state = Mutex(State(cursor: cursor, breaker: CircuitBreaker(breaker), saved: cursor))
    }

    // MARK: Following

    /// Delivers until the task is cancelled.
    package func run(failed: @escaping @Sendable (any Error) -> Void) async {
        while !Task.isCancelled {
            do {
                try place(failed)
                if state.withLock({ $0.cursor.isPaused }) {
                    try await surroundings.sleep(Self.longestNap)
                } else if try await !step(failed) {
                    try save()
                    await waitForEvents()
                }
            } catch is CancellationError {
                break
            } catch {
                note("\(error)")
                failed(error)
                // Cancelled while it sleeps, the loop ends above.
                try? await surroundings.sleep(1)
            }
        }
        do { try save() } catch { failed(error) }
        await transport.close()
    }

    /// Returns when the log has grown, the sink was put back, or the task is cancelled.
    private func waitForEvents() async {
        let waiting = state.withLock { state in
            let waiting = Task { [store, sequence = state.cursor.sequence] in
                await store.waitForEvents(after: SequenceNumber(sequence))
            }
            state.waiting = waiting
            return waiting
        }
        await withTaskCancellationHandler {
            await waiting.value
        } onCancel: {
            waiting.cancel()
        }
        state.withLock { $0.waiting = nil }
    }

    /// Deals with the next events.
    /// - Parameter failed: told of what nobody can be told of, since it cannot be read.
    /// - Returns: whether there were any.
    package func step(_ failed: (any Error) -> Void = { _ in }) async throws -> Bool {
        try place()
        let (start, generation) = state.withLock { ($0.cursor.sequence, $0.generation) }
        // What is good is told of first; the next step begins with what is not.
        let (events, damage) = try inspection.log.eventsBeforeDamage(
            from: SequenceNumber(start).next, limit: Self.readCount)
        guard !events.isEmpty else {
            guard let damage else { return false }
            try passOver(damage.sequence, damage.reason, generation, failed)
            try saveNowAndThen()
            return true
        }
        var batch: [Addressed] = []
        for event in events {
            let told = try NotificationReader.notifications(of: event) { try readBack($0, failed) }
            for (index, notification) in told.enumerated() {
                guard var addressed = try router.address(notification) else { continue }
                addressed.index = index
                batch.append(addressed)
            }
            // What one event has to tell stays together unless it is very much.
            while batch.count >= Self.recordCount {
                let count = min(batch.count, Self.recordCount)
                guard try await deliver(Array(batch[..<count]), generation) else { return true }
                batch.removeFirst(count)
            }
            if batch.isEmpty { pass(event, generation) }
        }
        if !batch.isEmpty { guard try await deliver(batch, generation) else { return true } }
        if let last = events.last { pass(last, generation) }
        state.withLock { $0.unreadableSince = nil }
        try saveNowAndThen()
        return true
    }

    /// Delivers, and again until it is delivered or a dead letter.
    /// - Parameter given: what the delivery that it was part of was given up for.
    /// - Returns: `false` if the sink was paused or put back meanwhile: it begins again from its cursor.
    private func deliver(
        _ batch: [Addressed], _ generation: Int, givenUp given: FailedDelivery? = nil
    ) async throws -> Bool {
        guard let last = batch.last?.notification.sequence else { return true }
        let cursor = state.withLock { $0.cursor }
        var delivery = try NotificationDocument.encode(batch, after: SequenceNumber(cursor.previous))
        delivery.origin = store.storeID.description
        delivery.replay = cursor.replays ?? 0
        var failures = given ?? FailedDelivery()
        while true {
            try await waitForBreaker(generation)
            guard isCurrent(generation) else { return false }
            let outcome = await transport.deliver(delivery)
            try Task.checkCancellation()
            let now = surroundings.uptime()
            let reason: String
            switch outcome {
            case .delivered:
                settle(generation, last.rawValue) {
                    $0.delivered += UInt64(batch.count)
                    $0.lastDelivery = surroundings.now()
                    $0.lastError = nil
                }
                return true
            case .failed(let said, let isAnswer):
                fail(said, at: now)
                failures.add(isAnswer: isAnswer, at: now)
                guard failures.isHopeless else { continue }
                reason = "\(said), \(failures)"
            case .refused(let said):
                fail(said, at: now)
                let refusals = state.withLock { state in
                    state.refusals += 1
                    return state.refusals
                }
                guard refusals >= Self.refusalCount else { continue }
                reason = said
            }
            if transport.takesRecordsSingly, batch.count > 1 {
                state.withLock { $0.refusals = 0 }
                let givenUp = failures.isHopeless ? failures.ofOneRecord : nil
                for record in batch {
                    guard try await deliver([record], generation, givenUp: givenUp) else { return false }
                }
                return true
            }
            try deadLetters.append(delivery.body, reason: reason, at: surroundings.now())
            settle(generation, last.rawValue) { $0.deadLetters += UInt64(batch.count) }
            return true
        }
    }

    private func settle(_ generation: Int, _ last: UInt64, _ body: (inout State) -> Void) {
        state.withLock { state in
            state.breaker.succeed()
            state.refusals = 0
            body(&state)
            if state.generation == generation { state.cursor.previous = last }
        }
    }

    private func fail(_ reason: String, at now: Double) {
        let chance = surroundings.chance()
        state.withLock { state in
            state.breaker.fail(at: now, chance: chance)
            state.lastError = reason
        }
    }

    private func waitForBreaker(_ generation: Int) async throws {
        while isCurrent(generation) {
            let left = state.withLock { $0.breaker.next } - surroundings.uptime()
            guard left > 0 else { return }
            try await surroundings.sleep(min(left, Self.longestNap))
        }
    }

    private func isCurrent(_ generation: Int) -> Bool {
        state.withLock { $0.generation == generation && !$0.cursor.isPaused }
    }

    private func pass(_ event: LoggedEvent, _ generation: Int) {
        state.withLock { state in
            if state.generation == generation { state.cursor.pass(event) }
        }
    }

    func note(_ error: String) { state.withLock { $0.lastError = error } }

    // MARK: The cursor

    private func saveNowAndThen() throws {
        let isDue = state.withLock { state in
            guard let saved = state.saved else { return true }
            return saved.previous != state.cursor.previous
                || state.cursor.sequence >= saved.sequence + Self.passedCount
        }
        if isDue { try save() }
    }

    func save() throws {
        try saving.withLock { _ in
            let cursor = state.withLock { $0.saved == $0.cursor ? nil : $0.cursor }
            guard let cursor else { return }
            try cursor.save(cursorPath, inspection.fileSystem)
            state.withLock { $0.saved = cursor }
        }
    }

    /// Holds the sink back, over restarts too, until it is resumed.
    package func setPaused(_ paused: Bool) throws {
        state.withLock { $0.cursor.isPaused = paused }
        try save()
    }

    /// Goes back, or on, to an event, which is the next that is told of.
    package func replay(from sequence: UInt64) throws {
        guard sequence >= 1, sequence <= store.head.sequence.rawValue + 1 else {
            throw SinkError("the log has events 1 to \(store.head.sequence), and not \(sequence)")
        }
        state.withLock { state in
            var cursor = state.cursor
            cursor.sequence = sequence - 1
            cursor.previous = 0
            cursor.replays = (cursor.replays ?? 0) + 1
            (cursor.chain, cursor.epochs) = (nil, nil)
            state.putBack(cursor)
            state.isPlaced = false
        }
        try save()
    }

    // MARK: Standing

    /// How a sink stands.
    package struct Standing: Sendable {
        package let name: String
        package let kind: String
        package let target: String
        package let isPaused: Bool
        package let breaker: CircuitBreaker.State
        /// Events up to here are dealt with.
        package let sequence: UInt64
        /// Events that are not.
        package let lag: UInt64
        /// Since this process began.
        package let delivered: UInt64
        package let deadLetters: UInt64
        package let lastDelivery: Timestamp?
        package let lastError: String?
    }

    package var standing: Standing {
        let head = store.head.sequence.rawValue
        let now = surroundings.uptime()
        return state.withLock { state in
            Standing(
                name: name, kind: transport.kind, target: transport.target, isPaused: state.cursor.isPaused,
                breaker: state.breaker.state(at: now), sequence: state.cursor.sequence,
                lag: head - min(head, state.cursor.sequence), delivered: state.delivered,
                deadLetters: state.deadLetters, lastDelivery: state.lastDelivery, lastError: state.lastError)
        }
    }
}
