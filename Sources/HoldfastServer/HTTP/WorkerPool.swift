import Foundation
import Synchronization
import Volumes

/// The threads on which requests are worked at: they may wait for the catalog's file, which neither event loops
/// nor Swift's own pool may.
///
/// The queue is bounded by the connections, each of which has one request at a time, and by ``LineBudget``.
public final class WorkerPool: TaskExecutor {
    private struct State {
        var jobs: [UnownedJob] = []
        var first = 0
        /// Threads that wait for a job.
        var idle = 0
        /// A thread was woken and has not looked yet: it wakes the next one if there is more to do, so nobody
        /// else needs to. Waking costs a system call and a switch, more than most jobs do.
        var isWaking = false
        var isStopping = false

        /// Whether somebody is to be woken for what is queued.
        mutating func wakes() -> Bool {
            guard first < jobs.count, idle > 0, !isWaking else { return false }
            isWaking = true
            return true
        }

        mutating func take() -> UnownedJob? {
            guard first < jobs.count else { return nil }
            defer {
                first += 1
                if first == jobs.count {
                    jobs.removeAll(keepingCapacity: true)
                    first = 0
                } else if first > 1024 {
                    jobs.removeFirst(first)
                    first = 0
                }
            }
            return jobs[first]
        }
    }

    private let state = Mutex(State())
    private let available = DispatchSemaphore(value: 0)
    private let count: Int

    /// - Parameter niceness: how much the threads yield to others when the processors are busy; 0 to 19.
    public init(threads: Int, niceness: Int32 = 0) {
        count = threads
        for number in 0..<threads {
            let thread = Thread { [self] in
                nameCurrentThread(niceness > 0 ? "nice-\(number)" : "worker-\(number)")
                if niceness > 0 { lowerCurrentThread(niceness) }
                run()
            }
            thread.stackSize = 1024 * 1024
            thread.start()
        }
    }

    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let wakes = state.withLock { state in
            state.jobs.append(job)
            return state.wakes()
        }
        if wakes { available.signal() }
    }

    /// Jobs that wait for a thread.
    var queueDepth: Int { state.withLock { $0.jobs.count - $0.first } }

    /// Lets the threads end when what is queued is done.
    public func stop() {
        state.withLock { $0.isStopping = true }
        for _ in 0..<count { available.signal() }
    }

    private enum Step {
        case work(UnownedJob, wakes: Bool)
        case wait
        case end
    }

    private func run() {
        let executor = asUnownedTaskExecutor()
        var wasIdle = false
        while true {
            let step = state.withLock { state -> Step in
                if wasIdle {
                    state.idle -= 1
                    state.isWaking = false
                    wasIdle = false
                }
                if let job = state.take() { return .work(job, wakes: state.wakes()) }
                if state.isStopping { return .end }
                state.idle += 1
                return .wait
            }
            switch step {
            case .work(let job, let wakes):
                if wakes { available.signal() }
                job.runSynchronously(on: executor)
            case .wait:
                available.wait()
                wasIdle = true
            case .end: return
            }
        }
    }
}
