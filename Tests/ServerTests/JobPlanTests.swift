import HoldfastServer
import Model
import Testing

/// Which jobs begin, and what the others wait for.
@Suite struct JobPlanTests {
    private func job(
        _ kind: JobKind, _ repository: String? = nil, _ change: (inout JobPlan.Job) -> Void = { _ in }
    ) -> JobPlan.Job {
        let name = repository.map { "\(kind.rawValue):\($0)" } ?? kind.rawValue
        var job = JobPlan.Job(name: name, kind: kind, repository: repository)
        job.isDue = true
        change(&job)
        return job
    }

    private func steps(_ jobs: [JobPlan.Job], repairing: Bool = false) -> [String: JobPlan.Step] {
        JobPlan.steps(jobs, isRepairing: repairing)
    }

    @Test func thereAreNeverTwoSnapshotsAtOnce() {
        let found = steps([job(.snapshot, "nas"), job(.snapshot, "off")])
        #expect(found["snapshot:nas"] == .start)
        #expect(found["snapshot:off"] == .wait("snapshot:nas"))
    }

    @Test(arguments: [JobKind.prune, .verify, .drill])
    func whatIsDoneWithOneRepositoryDoesNotWaitForASnapshotIntoAnother(_ kind: JobKind) {
        let taking = job(.snapshot, "slow") { $0.isRunning = true }
        #expect(steps([taking, job(kind, "nas")])["\(kind.rawValue):nas"] == .start)
        let other = job(kind, "slow") { $0.isRunning = true }
        #expect(steps([other, job(.snapshot, "nas")])["snapshot:nas"] == .start)
        #expect(steps([other, job(kind, "nas")])["\(kind.rawValue):nas"] == .start)
    }

    @Test(arguments: [JobKind.prune, .verify, .drill])
    func noSnapshotIsTakenIntoARepositoryBesideWhatIsDoneWithIt(_ kind: JobKind) {
        let name = "\(kind.rawValue):nas"
        let other = job(kind, "nas") { $0.isRunning = true }
        #expect(steps([other, job(.snapshot, "nas")])["snapshot:nas"] == .wait(name))
        let taking = job(.snapshot, "nas") { $0.isRunning = true }
        #expect(steps([taking, job(kind, "nas")])[name] == .wait("snapshot:nas"))
    }

    @Test func ofOneRepositoryThereIsOneJobAtATimeAndTheSnapshotGoesFirst() {
        let jobs = [job(.verify, "nas"), job(.drill, "nas"), job(.snapshot, "nas"), job(.drill, "off")]
        let found = steps(jobs)
        #expect(found["snapshot:nas"] == .start)
        #expect(found["verify:nas"] == .wait("snapshot:nas"))
        #expect(found["drill:nas"] == .wait("snapshot:nas"))
        #expect(found["drill:off"] == .start)
    }

    @Test(arguments: [JobKind.snapshot, .prune, .drill, .verify])
    func whatReadsTheDisksAtLeisureWaitsForRepairs(_ kind: JobKind) {
        let found = steps([job(kind, "nas") { $0.isAsked = true }], repairing: true)
        #expect(found["\(kind.rawValue):nas"] == .wait(JobPlan.repairs))
    }

    @Test func whatKeepsObjectsSafeWaitsForNothing() {
        for kind in [JobKind.confirm, .repair, .incidents, .reclaim] {
            #expect(steps([job(kind)], repairing: true)[kind.rawValue] == .start)
        }
    }

    @Test func whoeverAsksIsNotKeptByTheTimeNorByAFailure() {
        let late: (inout JobPlan.Job) -> Void = {
            $0.isInWindow = false
            $0.isBackingOff = true
        }
        #expect(steps([job(.snapshot, "nas", late)])["snapshot:nas"] == .wait(JobPlan.backoff))
        let outside = job(.snapshot, "nas") { $0.isInWindow = false }
        #expect(steps([outside])["snapshot:nas"] == .wait(JobPlan.window))
        let asked = job(.snapshot, "nas") {
            late(&$0)
            $0.isAsked = true
        }
        #expect(steps([asked])["snapshot:nas"] == .start)
    }

    @Test func aDrillWaitsForAFirstSnapshot() {
        let first = job(.drill, "nas") { $0.hasNeeded = false }
        #expect(steps([first])["drill:nas"] == .wait("a first snapshot"))
    }

    @Test func aJobThatIsPausedStaysSo() {
        #expect(steps([job(.verify, "nas") { $0.isPaused = true }])["verify:nas"] == .paused)
    }

    @Test func aJobIsDueByItsSchedule() {
        func at(_ seconds: UInt64) -> Timestamp { Timestamp(microseconds: seconds * 1_000_000) }
        let day: UInt64 = 86_400
        let noon = JobSchedule.Clock(now: at(10 * day + 43_200), secondOfDay: 43_200)
        func due(_ schedule: JobSchedule, last: Timestamp?, followed: Timestamp? = nil) -> Timestamp? {
            schedule.due(last: last, began: at(10 * day + 40_000), followed: followed, at: noon)
        }
        #expect(due(.every(60), last: at(1000)) == at(1060))
        #expect(due(.every(60), last: nil) == noon.now)
        // 02:30: missed yesterday's last, made up for; made today, tomorrow; never yet, tomorrow.
        #expect(due(.daily(minute: 150), last: at(9 * day)) == at(10 * day + 9000))
        #expect(due(.daily(minute: 150), last: at(10 * day + 9100)) == at(11 * day + 9000))
        #expect(due(.daily(minute: 150), last: nil) == at(11 * day + 9000))
        #expect(due(.follows(.snapshot), last: at(5), followed: at(9)) == at(9))
        #expect(due(.follows(.snapshot), last: at(9), followed: at(5)) == nil)
        #expect(due(.never, last: nil) == nil)
    }

    @Test func intervalsAreANumberAndAUnit() {
        #expect(["90s", "15m", "24h", "7d"].map(JobSchedule.interval) == [90, 900, 86_400, 604_800])
        for bad in ["", "h", "0s", "-1h", "1.5h", "10", "1w"] { #expect(JobSchedule.interval(bad) == nil) }
    }

    @Test func whatFailsIsTriedLessAndLessOften() {
        #expect((1...4).map(JobScheduler.retry) == [1, 2, 4, 8])
        #expect(JobScheduler.retry(after: 1000) == 600)
    }
}
