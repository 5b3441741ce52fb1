import Model
import Synchronization
import Volumes

/// Notices what takes longer than a disk in good standing would: an operation that is still under way when
/// its deadline passes is given up by the one who waits for it, and its volume is set aside (DESIGN invariant
/// 9).
///
/// The watch has no thread of its own: ``tick(now:)`` is called by the maintenance thread, and never in a
/// simulation.
final class OperationWatch: Sendable {
    private struct Entry {
        let deadline: ContinuousClock.Instant
        let expire: @Sendable () -> Void
    }

    private struct State {
        var next: UInt64 = 0
        var entries: [UInt64: Entry] = [:]
    }

    let limit: Duration
    private let state = Mutex(State())

    init(limit: Duration) { self.limit = limit }

    /// - Parameter expire: called at most once, on the thread that ticks, unless ``end(_:)`` comes first.
    func begin(_ expire: @escaping @Sendable () -> Void) -> UInt64 {
        let deadline = ContinuousClock.now + limit
        return state.withLock { state in
            state.next += 1
            state.entries[state.next] = Entry(deadline: deadline, expire: expire)
            return state.next
        }
    }

    func end(_ token: UInt64) {
        _ = state.withLock { $0.entries.removeValue(forKey: token) }
    }

    func tick(now: ContinuousClock.Instant = .now) {
        let expired = state.withLock { state in
            let late = state.entries.filter { $0.value.deadline <= now }
            for token in late.keys { state.entries.removeValue(forKey: token) }
            return late
        }
        for entry in expired.values { entry.expire() }
    }

    var count: Int { state.withLock { $0.entries.count } }
}

/// The operation did not end within its deadline.
struct DeadlinePassed: Error, Hashable, Sendable, CustomStringConvertible {
    let limit: Duration
    var description: String { "no answer within \(limit)" }
}

/// Work on a lane that someone waits for, but not for ever.
///
/// It ends exactly once for the one who waits: when it has run, when the lane refuses it, or when its
/// deadline passes. Work that has not started by then never starts, and lets go of what it holds.
final class WatchedJob: Sendable {
    private struct State {
        var work: (@Sendable () throws -> Void)?
        var ended: (@Sendable ((any Error)?) -> Void)?
        var token: UInt64 = 0
    }

    private let state: Mutex<State>
    private let watch: OperationWatch

    private init(
        watch: OperationWatch, work: @escaping @Sendable () throws -> Void,
        ended: @escaping @Sendable ((any Error)?) -> Void
    ) {
        self.watch = watch
        state = Mutex(State(work: work, ended: ended))
    }

    /// - Parameter ended: called once, with the error if there was one: what `work` threw, ``LaneRefused`` or
    ///   ``DeadlinePassed``.
    static func submit(
        to lane: any Lane, watch: OperationWatch, work: @escaping @Sendable () throws -> Void,
        ended: @escaping @Sendable ((any Error)?) -> Void
    ) {
        let job = WatchedJob(watch: watch, work: work, ended: ended)
        let token = watch.begin { job.end(DeadlinePassed(limit: watch.limit)) }
        job.state.withLock { $0.token = token }
        if !lane.submit({ job.run() }) { job.end(LaneRefused()) }
    }

    /// Runs `work` on the lane and returns its value.
    static func run<Value: Sendable>(
        on lane: any Lane, watch: OperationWatch, _ work: @escaping @Sendable () throws -> Value
    ) async throws -> Value {
        let result = Mutex<Value?>(nil)
        let box = SharedBox(result: result)
        return try await withUnsafeThrowingContinuation { continuation in
            submit(to: lane, watch: watch) {
                let value = try work()
                box.result.withLock { $0 = value }
            } ended: { error in
                if let error { return continuation.resume(throwing: error) }
                guard let value = box.result.withLock({ $0 }) else {
                    preconditionFailure("work that ended without an error has a value")
                }
                continuation.resume(returning: value)
            }
        }
    }

    private func run() {
        guard let work = state.withLock({ $0.work.take() }) else { return }
        do {
            try work()
            end(nil)
        } catch {
            end(error)
        }
    }

    private func end(_ error: (any Error)?) {
        let (ended, token) = state.withLock { state in
            state.work = nil
            return (state.ended.take(), state.token)
        }
        guard let ended else { return }
        watch.end(token)
        ended(error)
    }
}

private final class SharedBox<Value: Sendable>: Sendable {
    let result: Mutex<Value?>
    init(result: consuming Mutex<Value?>) { self.result = result }
}
