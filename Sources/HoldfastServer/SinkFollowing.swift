import Logging
import Notifications

/// The sinks of a server at work, each on a thread of its own: one that hangs keeps neither the others nor anything else
/// waiting.
final class SinkFollowing: Sendable {
    private let threads: [WorkerPool]
    private let tasks: [Task<Void, Never>]

    init(_ sinks: Sinks, _ logger: Logger) {
        let threads = sinks.all.map { _ in WorkerPool(threads: 1) }
        self.threads = threads
        tasks = zip(sinks.all, threads).map { sink, threads in
            Task(executorPreference: threads) {
                await sink.run { logger.error("sink \(sink.name): \($0)") }
            }
        }
    }

    func cancel() { for task in tasks { task.cancel() } }

    /// Returns when all have ended; after ``cancel()``.
    func wait() async {
        for task in tasks { await task.value }
        for threads in threads { threads.stop() }
    }
}
