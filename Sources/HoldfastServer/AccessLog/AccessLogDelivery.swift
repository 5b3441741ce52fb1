import Logging
import S3

/// Writes access logs to the buckets that keep them, on a thread of its own, and the rest of them at the end.
final class AccessLogDelivery: Sendable {
    /// How often is looked for batches that are full or old enough.
    private static let interval = Duration.seconds(1)

    private let logs: AccessLogs
    private let logger: Logger
    private let threads = WorkerPool(threads: 1)
    private let task: Task<Void, Never>

    /// - Parameter age: how old a batch gets before it is written.
    init(_ logs: AccessLogs, age: Duration, _ logger: Logger) {
        self.logs = logs
        self.logger = logger
        task = Task(executorPreference: threads) {
            while !Task.isCancelled {
                // Cancelled while it sleeps, the loop ends above.
                try? await Task.sleep(for: Self.interval)
                guard !Task.isCancelled else { return }
                Self.tell(await logs.deliver(olderThan: age), logger)
            }
        }
    }

    private static func tell(_ problems: [String], _ logger: Logger) {
        for problem in problems { logger.error("access log: \(problem)") }
    }

    /// Writes what is there; no request is under way any more, and the store is still open.
    func stop() async {
        task.cancel()
        await task.value
        let (logs, logger) = (logs, logger)
        await Task(executorPreference: threads) { Self.tell(await logs.deliverAll(), logger) }.value
        threads.stop()
    }
}
