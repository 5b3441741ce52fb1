import Foundation
import Synchronization
import Volumes

/// The threads on which requests are worked at: they may wait for the catalog's file, which neither event loops
/// nor Swift's own pool may.
///
/// The queue is bounded by the connections, each of which has one request at a time.
public final class WorkerPool: TaskExecutor {
    private struct State {
        var jobs: [UnownedJob] = []
        var first = 0
        var isStopping = false
    }

    private let state = Mutex(State())
    private let available = DispatchSemaphore(value: 0)
    private let count: Int

    public init(threads: Int) {
        count = threads
        for number in 0..<threads {
            let thread = Thread { [self] in
                nameCurrentThread("worker-\(number)")
                run()
            }
            thread.stackSize = 1024 * 1024
            thread.start()
        }
    }

    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        state.withLock { $0.jobs.append(job) }
        available.signal()
    }

    /// Lets the threads end when what is queued is done.
    public func stop() {
        state.withLock { $0.isStopping = true }
        for _ in 0..<count { available.signal() }
    }

    private func run() {
        let executor = asUnownedTaskExecutor()
        while true {
            available.wait()
            let (job, isOver) = state.withLock { state -> (UnownedJob?, Bool) in
                guard state.first < state.jobs.count else { return (nil, state.isStopping) }
                let job = state.jobs[state.first]
                state.first += 1
                if state.first == state.jobs.count {
                    state.jobs.removeAll(keepingCapacity: true)
                    state.first = 0
                } else if state.first > 1024 {
                    state.jobs.removeFirst(state.first)
                    state.first = 0
                }
                return (job, false)
            }
            if let job { job.runSynchronously(on: executor) } else if isOver { return }
        }
    }
}
