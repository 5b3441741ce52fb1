import Foundation
import Integrity
import Logging
import Model
import ObjectStore
import Snapshots

/// The jobs of a store, in the table's order.
enum StoreJobs {
    private static let reclaimSeconds = 30.0
    private static let historySeconds = 600.0

    static func scheduler(
        _ store: ObjectStore, _ settings: ServerSettings, _ scrub: ScrubService, _ logger: Logger,
        space: SpaceWatch? = nil, isServing: Bool
    ) -> JobScheduler {
        let inspection = store.inspection
        var watchdog = JobWatchdog()
        watchdog.stallSeconds = Double(settings.healing.stallSeconds)
        watchdog.restarts = settings.healing.store.allows(.jobs)
        watchdog.restartsPerHour = settings.healing.store.restartsPerHour
        watchdog.told = { inspection.announceHealing($0, "job \($1)", $2) }
        var surroundings = JobScheduler.Surroundings(
            isRepairing: { inspection.pendingRepairs > 0 || inspection.refills.isRunning })
        surroundings.watchdog = watchdog
        surroundings.pace = { scrub.pace.pass(worked: $0, isOver: $1) }
        let definitions =
            isServing
            ? definitions(store, settings, scrub, logger, space) : told(store, settings, scrub)
        return JobScheduler(
            definitions.map(settings.jobWindows.applied), path: settings.store.stateDirectory + "/jobs.json",
            isServing: isServing,
            surroundings, logger)
    }

    private static func definitions(
        _ store: ObjectStore, _ settings: ServerSettings, _ scrub: ScrubService, _ logger: Logger,
        _ space: SpaceWatch?
    ) -> [JobDefinition] {
        // Made at once: reads report damage to it from the first request on.
        let repair = DamageRepair(store)
        let verifier = CompletionVerifier(store, VerifierPacer(share: Double(settings.verifyShare) / 100))
        let incidents = IncidentFollower(store, settings.incidents)
        var definitions: [JobDefinition] = [
            JobDefinition(.confirm, .continuous) { context in
                try await verifier.run(context.pulse)
                return JobOutcome("")
            },
            JobDefinition(.repair, .continuous) { context in
                await repair.run(context.pulse) { context.failed($0) }
                return JobOutcome("")
            },
            JobDefinition(.incidents, .continuous) { context in
                try await incidents.run(context.pulse)
                return JobOutcome("")
            },
            JobDefinition(.reclaim, .every(reclaimSeconds)) { context in
                var rounds = 0
                while try await store.reclaim(early: space?.isLow ?? false) {
                    rounds += 1
                    try context.spent(0)
                }
                return JobOutcome(rounds == 0 ? "nothing to give back" : "\(counted(rounds, "round"))")
            },
            JobDefinition(.lifecycle, .every(1)) { try await lifecycle(store, settings, logger, $0) },
            JobDefinition(.history, .every(historySeconds)) { context in
                let event = try HistoryKeeper(store).makeIfDue(
                    { try context.spent($0) }, progress: context.progress)
                return JobOutcome(
                    event.map { "the catalog as of event \($0) is kept" }
                        ?? "too little has come since the last one")
            },
        ]
        definitions += told(store, settings, scrub).filter { $0.repository != nil }
        definitions.append(
            scrubJob(scrub) { context in
                await scrub.run { context.failed("\($0)") }
                return JobOutcome("")
            })
        return definitions
    }

    /// Of a store that is not served: what can be paused, and told of.
    private static func told(
        _ store: ObjectStore, _ settings: ServerSettings, _ scrub: ScrubService
    ) -> [JobDefinition] {
        @Sendable func refuse(_ context: JobContext) throws -> JobOutcome { throw JobRefusal.notServing }
        let findings = RepositoryFindings(store, scrub.openFindings)
        let repositories = settings.repositories.flatMap {
            RepositoryJobs(
                store: store, setting: $0, findings: findings, scratch: settings.store.stateDirectory
            ).definitions
        }
        var definitions: [JobDefinition] = [
            JobDefinition(.confirm, .continuous) { try refuse($0) },
            JobDefinition(.repair, .continuous) { try refuse($0) },
            JobDefinition(.incidents, .continuous) { try refuse($0) },
            JobDefinition(.reclaim, .every(reclaimSeconds)) { try refuse($0) },
            JobDefinition(.lifecycle, .every(1)) { try refuse($0) },
            JobDefinition(.history, .every(historySeconds)) { try refuse($0) },
        ]
        definitions += repositories
        definitions.append(scrubJob(scrub) { try refuse($0) })
        return definitions
    }

    private static func lifecycle(
        _ store: ObjectStore, _ settings: ServerSettings, _ logger: Logger, _ context: JobContext
    ) async throws -> JobOutcome {
        let time = LifecycleRunner.Time(
            now: { .now() },
            sleep: { duration in
                try context.spent(0)
                try await Task.sleep(for: duration)
            })
        let runner = LifecycleRunner(store, settings, logger, time: time)
        try await runner.passIfDue()
        return JobOutcome("today's rules are carried out", nextIn: runner.untilNextDay)
    }

    /// It has its own schedule, window and pause (`Integrity/Scrub`); it is told through here.
    private static func scrubJob(
        _ scrub: ScrubService, _ body: @escaping @Sendable (JobContext) async throws -> JobOutcome
    ) -> JobDefinition {
        var definition = JobDefinition(.scrub, .continuous, body: body)
        definition.control = JobDefinition.Control(
            isPaused: { scrub.isPaused }, pause: { try scrub.pause() }, resume: { try scrub.resume() },
            run: { try scrub.start(volume: nil) },
            activity: {
                scrub.activity.map { ("\($0.kind.rawValue) volume \($0.volume)", $0.part) }
            })
        return definition
    }
}
