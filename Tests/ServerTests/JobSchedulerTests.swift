import Foundation
import HoldfastServer
import Integrity
import Logging
import Model
import ObjectStore
import Synchronization
import Testing

/// The scheduler on a clock of its own: it begins, holds up, stops, cancels and remembers.
@Suite struct JobSchedulerTests {
    /// Time that passes when a test says so, and when a job is held up.
    private final class World: Sendable {
        private struct State {
            var now: UInt64 = 1_700_000_000_000_000
            var secondOfDay = 43_200
            var isRepairing = false
            var slept = 0.0
            var told: [String] = []
        }
        private let state = Mutex(State())

        var clock: JobSchedule.Clock {
            state.withLock {
                JobSchedule.Clock(now: Timestamp(microseconds: $0.now), secondOfDay: $0.secondOfDay)
            }
        }
        var slept: Double { state.withLock { $0.slept } }
        var told: [String] { state.withLock { $0.told } }
        var isRepairing: Bool {
            get { state.withLock { $0.isRepairing } }
            set { state.withLock { $0.isRepairing = newValue } }
        }
        func pass(_ seconds: Double) {
            state.withLock {
                $0.now += UInt64(seconds * 1_000_000)
                $0.secondOfDay = ($0.secondOfDay + Int(seconds)) % 86_400
            }
        }
        func sleep(_ seconds: Double) {
            state.withLock { $0.slept += seconds }
            pass(seconds)
        }
        func tell(_ text: String) { state.withLock { $0.told.append(text) } }
    }

    private struct Broken: Error, CustomStringConvertible {
        let description = "the disk is gone"
    }

    /// A job that waits, in its middle, until the test lets it go on; it is told of each run.
    private final class Gate: Sendable {
        private let state = Mutex((runs: 0, isOpen: false))
        var runs: Int { state.withLock { $0.runs } }
        func enter() { state.withLock { $0.runs += 1 } }
        func open() { state.withLock { $0.isOpen = true } }
        func close() { state.withLock { $0.isOpen = false } }
        /// Goes on when the gate is open or the job's task is cancelled.
        func wait() async {
            while !state.withLock({ $0.isOpen }), !Task.isCancelled { await Task.yield() }
        }
    }

    private let world = World()
    private let directory = FileManager.default.temporaryDirectory.path + "/jobs-\(UUID().uuidString)"

    private func scheduler(
        _ definitions: [JobDefinition], _ change: (inout JobWatchdog) -> Void = { _ in },
        pace: @escaping @Sendable (_ worked: Double?, _ isOver: () -> Bool) -> Void = { _, _ in }
    ) throws -> JobScheduler {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        let world = world
        var surroundings = JobScheduler.Surroundings(
            clock: { world.clock }, isRepairing: { world.isRepairing }, sleep: { world.sleep($0) })
        surroundings.pace = pace
        surroundings.watchdog.told = { action, job, _ in world.tell("\(action) \(job)") }
        change(&surroundings.watchdog)
        var logger = Logger(label: "jobs")
        logger.logLevel = .critical
        return JobScheduler(
            definitions, path: directory + "/jobs.json", isServing: true, surroundings, logger)
    }

    private func end(_ scheduler: JobScheduler) async {
        scheduler.cancel()
        #expect(await scheduler.wait(atMost: .seconds(60)) == [])
        do { try FileManager.default.removeItem(atPath: directory) } catch {
            Issue.record("\(directory): \(error)")
        }
    }

    private func status(_ scheduler: JobScheduler, _ name: String) throws -> JobStatus {
        try #require(scheduler.statuses().first { $0.name == name })
    }

    /// - Throws: if it does not come true within a minute.
    private func eventually(_ what: String, _ condition: () throws -> Bool) async throws {
        let deadline = ContinuousClock.now + .seconds(60)
        while try !condition() {
            try #require(ContinuousClock.now < deadline, "\(what) did not happen")
            try await Task.sleep(for: .milliseconds(1))
        }
    }

    /// Ticks, and returns when the job has run so many times and does no more.
    private func settle(_ scheduler: JobScheduler, _ name: String, runs: Int) async throws {
        scheduler.tick()
        try await eventually("run \(runs) of \(name)") {
            let found = try status(scheduler, name).runs
            return found.good + found.bad + found.failed == runs
        }
    }

    @Test func aJobRunsWhenItIsDueAndNotBefore() async throws {
        let scheduler = try scheduler([
            JobDefinition(.reclaim, .every(60)) { _ in JobOutcome("nothing to give back") }
        ])
        try await settle(scheduler, "reclaim", runs: 1)
        #expect(try status(scheduler, "reclaim").record.result == "nothing to give back")
        world.pass(59)
        scheduler.tick()
        #expect(try status(scheduler, "reclaim").state == .idle)
        world.pass(2)
        try await settle(scheduler, "reclaim", runs: 2)
        await end(scheduler)
    }

    @Test func whatFailsIsTriedAgainLaterAndLater() async throws {
        let scheduler = try scheduler([JobDefinition(.reclaim, .every(0.1)) { _ in throw Broken() }])
        try await settle(scheduler, "reclaim", runs: 1)
        for (failures, pause) in [(1, 1.0), (2, 2.0), (3, 4.0)] {
            let record = try status(scheduler, "reclaim").record
            #expect(record.failures == failures && record.error == "the disk is gone")
            world.pass(pause - 0.1)
            scheduler.tick()
            #expect(try status(scheduler, "reclaim").waitingFor == JobPlan.backoff)
            world.pass(0.2)
            try await settle(scheduler, "reclaim", runs: failures + 1)
        }
        await end(scheduler)
    }

    @Test func aRateIsKeptByWaiting() async throws {
        var job = JobDefinition(.snapshot, repository: "nas", .every(3600)) { context in
            for _ in 0..<10 { try context.spent(1000) }
            return JobOutcome("taken")
        }
        job.rate = 500
        let scheduler = try scheduler([job])
        try await settle(scheduler, "snapshot:nas", runs: 1)
        #expect(world.slept > 19.9 && world.slept < 21)
        await end(scheduler)
    }

    @Test func repairsAreWaitedForInTheMiddle() async throws {
        let gate = Gate()
        let scheduler = try scheduler([
            JobDefinition(.verify, repository: "nas", .every(3600)) { context in
                gate.enter()
                await gate.wait()
                try context.spent(1)
                return JobOutcome("checked")
            }
        ])
        // Needs a snapshot first: somebody asks, and there is none.
        scheduler.tick()
        #expect(try status(scheduler, "verify:nas").waitingFor == "a first snapshot")
        #expect(gate.runs == 0)
        try await scheduler.asGuest(.snapshot, repository: "nas") {}
        scheduler.tick()
        try await eventually("the run") { gate.runs == 1 }
        world.isRepairing = true
        gate.open()
        try await eventually("waiting") {
            try status(scheduler, "verify:nas").waitingFor == JobPlan.repairs
        }
        world.isRepairing = false
        try await settle(scheduler, "verify:nas", runs: 1)
        await end(scheduler)
    }

    @Test func aPauseStopsTheRunUnderWayAndIsNoFailure() async throws {
        let gate = Gate()
        let scheduler = try scheduler([
            JobDefinition(.snapshot, repository: "nas", .every(1)) { context in
                gate.enter()
                await gate.wait()
                try context.spent(1)
                return JobOutcome("taken")
            }
        ])
        scheduler.tick()
        try await eventually("the run") { gate.runs == 1 }
        try scheduler.pause("snapshot:nas")
        gate.open()
        try await eventually("the pause") { try status(scheduler, "snapshot:nas").state == .paused }
        #expect(try status(scheduler, "snapshot:nas").record.failures == 0)
        world.pass(100)
        scheduler.tick()
        #expect(gate.runs == 1)
        try scheduler.resume("snapshot:nas")
        try await settle(scheduler, "snapshot:nas", runs: 1)
        #expect(gate.runs == 2)
        await end(scheduler)
    }

    /// A job whose window closes in the middle of its run, which goes on then and comes to whatever end.
    private func behindItsWindow(
        _ kind: JobKind, repository: String? = nil, endsWithWindow: Bool, _ gate: Gate
    ) async throws -> JobScheduler {
        var job = JobDefinition(kind, repository: repository, .every(1)) { context in
            gate.enter()
            await gate.wait()
            try context.spent(1)
            return JobOutcome("done")
        }
        job.window = try #require(ScrubWindow("12:00-13:00"))
        job.endsWithWindow = endsWithWindow
        let name = job.name
        let scheduler = try scheduler([job]) { $0.stallSeconds = 100_000 }
        scheduler.tick()
        try await eventually("the run") { gate.runs == 1 }
        world.pass(3601)
        gate.open()
        try await eventually("its end") {
            scheduler.tick()
            return try status(scheduler, name).waitingFor == JobPlan.window
        }
        return scheduler
    }

    @Test func aRunThatWouldBeginAnewGoesOnToItsEndBehindItsWindow() async throws {
        let gate = Gate()
        let scheduler = try await behindItsWindow(.reclaim, endsWithWindow: false, gate)
        #expect(try status(scheduler, "reclaim").runs.good == 1)
        #expect(gate.runs == 1)
        await end(scheduler)
    }

    @Test func aWindowEndsARunUnlessItWasAskedFor() async throws {
        let gate = Gate()
        let scheduler = try await behindItsWindow(
            .snapshot, repository: "nas", endsWithWindow: true, gate)
        #expect(try status(scheduler, "snapshot:nas").runs.good == 0)
        try scheduler.ask("snapshot:nas")
        try await settle(scheduler, "snapshot:nas", runs: 1)
        #expect(gate.runs == 2)
        await end(scheduler)
    }

    @Test func aRunThatHangsIsCancelledAndBeginsAnewButNotForEver() async throws {
        let gate = Gate()
        let scheduler = try scheduler([
            JobDefinition(.snapshot, repository: "nas", .every(1)) { context in
                gate.enter()
                await gate.wait()
                try context.spent(1)
                return JobOutcome("taken")
            }
        ]) {
            $0.stallSeconds = 100
            $0.restartsPerHour = 2
        }
        for number in 1...3 {
            scheduler.tick()
            try await eventually("run \(number)") { gate.runs == number }
            world.pass(99)
            scheduler.tick()
            #expect(try status(scheduler, "snapshot:nas").runs.failed == number - 1)
            world.pass(2)
            try await settle(scheduler, "snapshot:nas", runs: number)
            world.pass(10)
        }
        #expect(
            world.told == [
                "restart-job snapshot:nas", "restart-job snapshot:nas", "hold-job snapshot:nas",
            ])
        let held = try status(scheduler, "snapshot:nas")
        #expect(held.state == .paused)
        #expect(held.record.error?.contains("holdfast jobs resume snapshot:nas") == true)
        world.pass(7200)
        scheduler.tick()
        #expect(gate.runs == 3)
        // Who resumes it has looked at it.
        try scheduler.resume("snapshot:nas")
        gate.open()
        try await settle(scheduler, "snapshot:nas", runs: 4)
        #expect(try status(scheduler, "snapshot:nas").record.isGood == true)
        await end(scheduler)
    }

    /// What a run was kept waiting for is no work of it.
    @Test func thePaceIsToldOfTheWorkAloneAndNotOfWaits() async throws {
        let told = Mutex<[Double?]>([])
        let world = world
        var job = JobDefinition(.snapshot, repository: "nas", .every(3600)) { context in
            for _ in 0..<3 {
                world.pass(2)
                // At its rate it waits for ten more seconds.
                try context.spent(1200)
            }
            return JobOutcome("taken")
        }
        job.rate = 100
        let scheduler = try scheduler(
            [job],
            pace: { worked, _ in
                told.withLock { $0.append(worked) }
                world.pass(5)
            })
        try await settle(scheduler, "snapshot:nas", runs: 1)
        let seconds = told.withLock { $0.map { ($0 ?? 0).rounded() } }
        #expect(seconds == [2, 2, 2])
        await end(scheduler)
    }

    /// What a store has lost is in no snapshot, and keeps none from being pruned and practised with.
    @Test func aSnapshotThatIsNotWholeIsOneAllTheSame() async throws {
        let scheduler = try scheduler([
            JobDefinition(.snapshot, repository: "nas", .every(3600)) { _ in
                JobOutcome("one blob is lost", isGood: false, isMade: true)
            },
            JobDefinition(.prune, repository: "nas", .follows(.snapshot)) { _ in JobOutcome("pruned") },
        ])
        try await settle(scheduler, "snapshot:nas", runs: 1)
        #expect(try status(scheduler, "snapshot:nas").record.isGood == false)
        try await settle(scheduler, "prune:nas", runs: 1)
        await end(scheduler)
    }

    /// Copies are made on threads that have no task: what ends a run reaches them all the same.
    @Test func aServerThatStopsEndsWhatHasTimeOnWhicheverThreadItWorks() async throws {
        let gate = Gate()
        let confirms = Gate()
        let scheduler = try scheduler([
            JobDefinition(.confirm, .continuous) { _ in
                confirms.enter()
                await confirms.wait()
                return JobOutcome("")
            },
            JobDefinition(.scrub, .every(60)) { context in
                gate.enter()
                let error: (any Error)? = await withCheckedContinuation { done in
                    let thread = Thread {
                        while true {
                            do { try context.spent(1) } catch { return done.resume(returning: error) }
                        }
                    }
                    thread.start()
                }
                throw try #require(error)
            },
        ])
        scheduler.tick()
        try await eventually("both runs") { gate.runs == 1 && confirms.runs == 1 }
        scheduler.endLeisure()
        try await eventually("the end of what has time") { try status(scheduler, "scrub").state != .running }
        #expect(try status(scheduler, "confirm").state == .running)
        let scrub = try status(scheduler, "scrub")
        #expect(scrub.runs.failed == 0 && scrub.record.error == nil)
        world.pass(3600)
        scheduler.tick()
        #expect(gate.runs == 1)
        await end(scheduler)
    }

    /// A mount that does not answer keeps a thread, and nobody else.
    @Test func aStepThatNeverEndsIsLeftBehindAndNamed() async throws {
        let gate = Gate()
        let step = DispatchSemaphore(value: 0)
        let scheduler = try scheduler([
            JobDefinition(.snapshot, repository: "nas", .every(60)) { _ in
                gate.enter()
                await withCheckedContinuation { done in
                    Thread {
                        step.wait()
                        done.resume()
                    }.start()
                }
                return JobOutcome("")
            }
        ])
        scheduler.tick()
        try await eventually("the run") { gate.runs == 1 }
        scheduler.cancel()
        #expect(await scheduler.wait(atMost: .milliseconds(1)) == ["snapshot:nas"])
        step.signal()
        await end(scheduler)
    }

    @Test func whereJobsAreNotToBeRestartedOneThatHangsIsLeftAlone() async throws {
        let gate = Gate()
        let scheduler = try scheduler([
            JobDefinition(.snapshot, repository: "nas", .every(1)) { context in
                gate.enter()
                await gate.wait()
                try context.spent(1)
                return JobOutcome("taken")
            }
        ]) {
            $0.stallSeconds = 100
            $0.restarts = false
        }
        scheduler.tick()
        try await eventually("the run") { gate.runs == 1 }
        world.pass(1000)
        scheduler.tick()
        #expect(try status(scheduler, "snapshot:nas").waitingFor?.contains("it hangs") == true)
        gate.open()
        try await settle(scheduler, "snapshot:nas", runs: 1)
        #expect(try status(scheduler, "snapshot:nas").runs.good == 1)
        #expect(world.told == [])
        await end(scheduler)
    }

    @Test func whoTellsOfProgressDoesNotHang() async throws {
        let gate = Gate()
        let ticked = Gate()
        let scheduler = try scheduler([
            JobDefinition(.snapshot, repository: "nas", .every(10_000)) { context in
                for _ in 0..<5 {
                    gate.enter()
                    await ticked.wait()
                    ticked.close()
                    try context.spent(1)
                }
                return JobOutcome("taken")
            }
        ]) { $0.stallSeconds = 100 }
        scheduler.tick()
        for number in 1...5 {
            try await eventually("step \(number)") { gate.runs == number }
            world.pass(90)
            scheduler.tick()
            ticked.open()
        }
        try await settle(scheduler, "snapshot:nas", runs: 1)
        #expect(try status(scheduler, "snapshot:nas").runs.good == 1)
        await end(scheduler)
    }

    @Test func aJobThatNeverEndsHangsWhereItWorksAndNotWhereItWaits() async throws {
        let gate = Gate()
        let ticked = Gate()
        let scheduler = try scheduler([
            JobDefinition(.confirm, .continuous) { context in
                for beat in [JobBeat.waits, .worked] {
                    context.pulse(beat)
                    gate.enter()
                    await ticked.wait()
                    ticked.close()
                }
                return JobOutcome("")
            }
        ]) { $0.stallSeconds = 100 }
        scheduler.tick()
        try await eventually("its waiting") { gate.runs == 1 }
        world.pass(100_000)
        scheduler.tick()
        #expect(try status(scheduler, "confirm").waitingFor?.contains("it hangs") != true)
        ticked.open()
        try await eventually("its work") { gate.runs == 2 }
        world.pass(101)
        try await settle(scheduler, "confirm", runs: 1)
        #expect(try status(scheduler, "confirm").runs.failed == 1)
        #expect(world.told == ["restart-job confirm"])
        await end(scheduler)
    }

    @Test func whatJobsDidIsKnownToTheNextServer() async throws {
        let job = JobDefinition(.snapshot, repository: "nas", .every(3600)) { _ in JobOutcome("taken") }
        let first = try scheduler([job])
        try await settle(first, "snapshot:nas", runs: 1)
        try await eventually("its record") {
            FileManager.default.fileExists(atPath: directory + "/jobs.json")
        }
        first.cancel()
        _ = await first.wait(atMost: .seconds(60))
        world.pass(3500)
        let second = try scheduler([job])
        second.tick()
        #expect(try status(second, "snapshot:nas").state == .idle)
        #expect(try status(second, "snapshot:nas").record.result == "taken")
        world.pass(101)
        try await settle(second, "snapshot:nas", runs: 1)
        await end(second)
    }

    @Test func sinceWhenAFirstSnapshotIsToBeTakenIsRemembered() async throws {
        func snapshots(_ schedule: JobSchedule) throws -> JobScheduler {
            try scheduler([JobDefinition(.snapshot, repository: "nas", schedule) { _ in throw Broken() }])
        }
        let wanted = world.clock.now.microseconds
        let first = try snapshots(.every(3600))
        #expect(try status(first, "snapshot:nas").record.lastMade == wanted)
        try await settle(first, "snapshot:nas", runs: 1)
        try await eventually("its record") {
            FileManager.default.fileExists(atPath: directory + "/jobs.json")
        }
        first.cancel()
        _ = await first.wait(atMost: .seconds(60))
        world.pass(86_400)
        let second = try snapshots(.every(60))
        #expect(try status(second, "snapshot:nas").record.lastMade == wanted)
        world.pass(86_400)
        let third = try snapshots(.never)
        #expect(try status(third, "snapshot:nas").record.lastMade == nil)
        third.cancel()
        _ = await third.wait(atMost: .seconds(60))
        await end(second)
    }

    @Test func aRepositoryThatComesAgainWaitsForItsFirstSnapshotAnew() async throws {
        func jobs(of repository: String) throws -> JobScheduler {
            try scheduler([
                JobDefinition(.snapshot, repository: repository, .every(3600)) { _ in throw Broken() }
            ])
        }
        for repository in ["nas", "other"] {
            let scheduler = try jobs(of: repository)
            // Written at the start.
            scheduler.start()
            scheduler.cancel()
            _ = await scheduler.wait(atMost: .seconds(60))
            world.pass(86_400)
        }
        let again = try jobs(of: "nas")
        #expect(try status(again, "snapshot:nas").record.lastMade == world.clock.now.microseconds)
        await end(again)
    }

    @Test func onceASnapshotIsMadeItsOwnAgeCounts() async throws {
        let scheduler = try scheduler([
            JobDefinition(.snapshot, repository: "nas", .every(3600)) { _ in JobOutcome("taken") }
        ])
        world.pass(60)
        let begun = world.clock.now.microseconds
        try await settle(scheduler, "snapshot:nas", runs: 1)
        #expect(try status(scheduler, "snapshot:nas").record.lastMade == begun)
        await end(scheduler)
    }
}
