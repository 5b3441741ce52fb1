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
