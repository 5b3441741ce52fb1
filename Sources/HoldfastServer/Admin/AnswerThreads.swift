import Synchronization

/// Threads for the answers of one kind that read disks, of which any may hang: as many answers are under way as there are
/// threads, and whoever comes when none is left is told so at once. So nothing queues, and no other answer has to wait.
package final class AnswerThreads: Sendable {
    private let pool: WorkerPool
    private let limit: Int
    private let underWay = Mutex(0)

    package init(_ limit: Int) {
        pool = WorkerPool(threads: limit)
        self.limit = limit
    }

    /// An answer under way keeps its threads.
    deinit { pool.stop() }

    /// Leaves the caller's thread free meanwhile.
    /// - Returns: `nil` if every thread is at an answer.
    package func run<Answer: Sendable>(_ body: @escaping @Sendable () -> Answer) async -> Answer? {
        let isLetIn = underWay.withLock { count in
            guard count < limit else { return false }
            count += 1
            return true
        }
        guard isLetIn else { return nil }
        return await Task(executorPreference: pool) { [self] in
            defer { underWay.withLock { $0 -= 1 } }
            return body()
        }.value
    }
}
