import Integrity
import Logging
import ObjectStore

/// What a server does by itself: the jobs of ``JobScheduler``. Beside them it samples what is costly to measure. Once, when it
/// starts: looks for master keys that are missing, and clears away what the jobs of a process that was killed left.
final class Housekeeping: Sendable {
    private let jobs: JobScheduler
    private let threads: WorkerPool
    private let tasks: [Task<Void, Never>]
    private let logger: Logger
    /// How long jobs of repositories are waited for that were told to end, and samples of disks that may hang: who takes over
    /// waits as long.
    private static let grace = Duration.seconds(10)

    init(
        _ store: ObjectStore, _ settings: ServerSettings, _ masterKeys: MasterKeyStore, _ jobs: JobScheduler,
        _ sampler: MetricSampler, _ incidents: IncidentSampler, _ throughput: ThroughputSampler,
        _ space: SpaceWatch, _ logger: Logger
    ) {
        let threads = WorkerPool(threads: 5)
        self.threads = threads
        self.jobs = jobs
        self.logger = logger
        do { try StateScratch.clear(settings.store.stateDirectory) } catch {
            logger.warning("clearing the state directory: \(error)")
        }
        tasks = [
            Task(executorPreference: threads) { await sampler.run() },
            Task(executorPreference: threads) { await incidents.run() },
            Task(executorPreference: threads) { await throughput.run() },
            Task(executorPreference: threads) { await space.run(store, jobs, logger) },
            Task(executorPreference: threads) { MissingMasterKeys.look(store, masterKeys, logger) },
        ]
        jobs.start()
    }

    /// What has time makes an end of it, while requests are still answered.
    func endLeisure() { jobs.endLeisure() }

    func cancel() {
        for task in tasks { task.cancel() }
        jobs.cancel()
    }

    /// Returns when everything has ended, after ``cancel()`` and the closing of the store; what hangs in a repository is left
    /// behind.
    func wait() async {
        async let haveSampled = Grace.wait(atMost: Self.grace) { [tasks] in
            for task in tasks { await task.value }
        }
        var hanging = await jobs.wait(atMost: Self.grace)
        // The thread of one that hangs stays until it has ended.
        if await haveSampled { threads.stop() } else { hanging.append("samples") }
        if !hanging.isEmpty {
            logger.warning("left behind, for a step hangs: \(hanging.joined(separator: ", "))")
        }
    }
}
