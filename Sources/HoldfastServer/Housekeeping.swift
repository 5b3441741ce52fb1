import Integrity
import Logging
import ObjectStore
import Snapshots

/// What a server does by itself, each on a thread of its own: confirms uploads, mends what reads find damaged, follows incidents,
/// gives space back, lets objects expire, keeps catalogs of the past, reads everything back within a period. Once, when it
/// starts: looks for master keys that are missing.
final class Housekeeping: Sendable {
    private static let reclaimInterval = Duration.seconds(30)

    private let threads: WorkerPool
    /// Of the scrub, which has all the time there is: what requests need of the processors they get first.
    private let leisure: WorkerPool
    private let tasks: [Task<Void, Never>]

    init(
        _ store: ObjectStore, _ settings: ServerSettings, _ masterKeys: MasterKeyStore, _ scrub: ScrubService,
        _ sampler: MetricSampler, _ logger: Logger
    ) {
        let threads = WorkerPool(threads: 7)
        let leisure = WorkerPool(threads: 1, niceness: 10)
        self.threads = threads
        self.leisure = leisure
        let verifier = CompletionVerifier(store, VerifierPacer(share: Double(settings.verifyShare) / 100))
        let repair = DamageRepair(store)
        let incidents = IncidentFollower(store, settings.incidents)
        tasks = [
            Task(executorPreference: threads) {
                await verifier.run { logger.error("confirming uploads: \($0)") }
            },
            Task(executorPreference: threads) {
                await repair.run { logger.error("could not be mended: \($0)") }
            },
            Task(executorPreference: threads) {
                await incidents.run { logger.error("following incidents: \($0)") }
            },
            Task(executorPreference: threads) { await Self.reclaim(store, logger) },
            Task(executorPreference: leisure) { await scrub.run { logger.error("scrub: \($0)") } },
            Task(executorPreference: threads) { await LifecycleRunner(store, settings, logger).run() },
            Task(executorPreference: threads) {
                await HistoryKeeper(store).run { logger.error("keeping a catalog of the past: \($0)") }
            },
            Task(executorPreference: threads) { await sampler.run() },
            Task(executorPreference: threads) { MissingMasterKeys.look(store, masterKeys, logger) },
        ]
    }

    private static func reclaim(_ store: ObjectStore, _ logger: Logger) async {
        while !Task.isCancelled {
            do {
                while try await store.reclaim() {}
                try await Task.sleep(for: reclaimInterval)
            } catch is CancellationError {
                return
            } catch {
                logger.error("reclaiming space: \(error)")
                // Cancelled while it sleeps, the loop ends above.
                try? await Task.sleep(for: reclaimInterval)
            }
        }
    }

    func cancel() { for task in tasks { task.cancel() } }

    /// Returns when everything has ended; after ``cancel()`` and the closing of the store.
    func wait() async {
        for task in tasks { await task.value }
        threads.stop()
        leisure.stop()
    }
}
