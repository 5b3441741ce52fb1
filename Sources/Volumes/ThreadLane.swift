import Foundation
import Synchronization

/// Threads of their own behind a bounded queue, first in, first out.
public final class ThreadLane: Lane {
    private struct State {
        var queue: [@Sendable () -> Void] = []
        /// Items before this index of `queue` are taken.
        var taken = 0
        var running = 0
        var isFinished = false
        var waiting: Int { queue.count - taken }
    }

    public let name: String
    private let capacity: Int
    private let state = Mutex(State())
    private let available = DispatchSemaphore(value: 0)
    private let threadCount: Int

    public init(_ shape: LaneShape) {
        precondition(
            shape.threads > 0 && shape.capacity > 0, "a lane has a thread and room for an item")
        name = shape.name
        capacity = shape.capacity
        threadCount = shape.threads
        for number in 0..<shape.threads {
            // The threads own the lane until it is finished.
            let thread = Thread { [self] in
                nameCurrentThread(shape.threads == 1 ? name : "\(name)-\(number + 1)")
                if shape.niceness > 0 { lowerCurrentThread(shape.niceness) }
                run()
            }
            thread.stackSize = 1 << 20
            thread.start()
        }
    }

    public func submit(_ work: @escaping @Sendable () -> Void) -> Bool {
        let accepted = state.withLock { state in
            guard !state.isFinished, state.waiting < capacity else { return false }
            state.queue.append(work)
            return true
        }
        if accepted { available.signal() }
        return accepted
    }

    public var depth: Int { state.withLock { $0.waiting + $0.running } }

    public func finish() {
        let first = state.withLock { state in
            defer { state.isFinished = true }
            return !state.isFinished
        }
        if first { for _ in 0..<threadCount { available.signal() } }
    }

    private func run() {
        while true {
            available.wait()
            let (work, isOver) = state.withLock { state -> ((@Sendable () -> Void)?, Bool) in
                guard state.waiting > 0 else { return (nil, state.isFinished) }
                let work = state.queue[state.taken]
                state.queue[state.taken] = {}
                state.taken += 1
                if state.taken == state.queue.count {
                    state.queue.removeAll(keepingCapacity: true)
                    state.taken = 0
                } else if state.taken > 1024 {
                    state.queue.removeFirst(state.taken)
                    state.taken = 0
                }
                state.running += 1
                return (work, false)
            }
            if let work {
                work()
                state.withLock { $0.running -= 1 }
            } else if isOver {
                return
            }
        }
    }
}
