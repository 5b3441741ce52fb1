import Integrity
import Logging
import ObjectStore

/// What a server does by itself: the jobs of ``JobScheduler``. Once, when it starts: looks for master keys that are
/// missing, and clears away what the jobs of a process that was killed left.
final class Housekeeping: Sendable {
    private let jobs: JobScheduler
    private let threads: WorkerPool
    private let first: Task<Void, Never>

    init(
        _ store: ObjectStore, _ settings: ServerSettings, _ masterKeys: MasterKeyStore, _ jobs: JobScheduler,
        _ logger: Logger
    ) {
        let threads = WorkerPool(threads: 1)
        self.threads = threads
        self.jobs = jobs
        do { try StoreJobs.clearScratch(settings.store.stateDirectory) } catch {
            logger.warning("clearing the state directory: \(error)")
        }
        first = Task(executorPreference: threads) { MissingMasterKeys.look(store, masterKeys, logger) }
        jobs.start()
    }

    func cancel() {
        first.cancel()
        jobs.cancel()
    }

    /// Returns when everything has ended; after ``cancel()`` and the closing of the store.
    func wait() async {
        await first.value
        await jobs.wait()
        threads.stop()
    }
}
