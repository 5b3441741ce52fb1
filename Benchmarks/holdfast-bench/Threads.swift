import Foundation
import Synchronization

/// Runs `body` on `count` threads at once and gives what each returned, in order.
/// - Throws: the error of the first thread that has one, once all have ended.
func onThreads<Value: Sendable>(
    _ count: Int, _ body: @escaping @Sendable (Int) throws -> Value
) throws -> [Value] {
    let outcomes = Outcomes<Value>()
    let group = DispatchGroup()
    for index in 0..<count {
        group.enter()
        let thread = Thread {
            outcomes.set(index, Result { try body(index) })
            group.leave()
        }
        thread.start()
    }
    group.wait()
    return try (0..<count).map { try outcomes.get($0) }
}

private final class Outcomes<Value: Sendable>: Sendable {
    private let values = Mutex<[Int: Result<Value, any Error>]>([:])

    func set(_ index: Int, _ value: Result<Value, any Error>) { values.withLock { $0[index] = value } }

    func get(_ index: Int) throws -> Value {
        guard let value = values.withLock({ $0[index] }) else {
            preconditionFailure("a thread sets its outcome before it leaves the group")
        }
        return try value.get()
    }
}

/// Numbers from 0, each taken once.
final class SharedCounter: Sendable {
    private let value = Atomic<Int>(0)
    func take() -> Int { value.wrappingAdd(1, ordering: .relaxed).oldValue }
}

/// Where threads wait for each other.
final class Barrier: Sendable {
    private struct State {
        var waiting = 0
        var round = 0
        var votes = true
        var decision = true
    }

    private let count: Int
    private let state = Mutex(State())
    private let gates: [DispatchSemaphore]

    init(count: Int) {
        self.count = count
        gates = (0..<2).map { _ in DispatchSemaphore(value: 0) }
    }

    /// Returns when all threads have called it.
    func wait() { _ = goesOn(true) }

    /// As ``wait()``.
    /// - Returns: to all threads alike, whether each of them voted to go on.
    func goesOn(_ vote: Bool) -> Bool {
        // Each round has the other gate than the one before, so that no thread runs through a gate twice.
        let (isLast, round) = state.withLock { state in
            state.votes = state.votes && vote
            state.waiting += 1
            let round = state.round
            guard state.waiting == count else { return (false, round) }
            state.decision = state.votes
            state.votes = true
            state.waiting = 0
            state.round += 1
            return (true, round)
        }
        if isLast {
            for _ in 1..<count { gates[round % 2].signal() }
        } else {
            gates[round % 2].wait()
        }
        // The next round cannot end, and decide anew, before this thread takes part in it.
        return state.withLock { $0.decision }
    }
}
