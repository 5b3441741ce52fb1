import Dispatch
import Foundation
import Integrity
import Model
import ObjectStore
import Synchronization
import TestSupport
import Testing
import Volumes

/// A scrub whose clock goes on by itself when it sleeps.
private final class ScrubStage: Sendable {
    let stage: StartedStore
    let scrub: ScrubService
    let repair: DamageRepair
    static let period = 40 * 86_400.0

    init(_ stage: StartedStore, period: Double? = ScrubStage.period) throws {
        self.stage = stage
        repair = DamageRepair(stage.store)
        scrub = try Self.service(stage.store, period)
    }

    static func service(_ store: ObjectStore, _ period: Double?) throws -> ScrubService {
        let clock = FakeClock()
        return try ScrubService(
            store, ScrubSchedule(periodSeconds: period),
            .init(
                pace: LoadPace(
                    requests: { LatencyCounts() }, uptime: { clock.now }, sleep: { clock.advance($0) }),
                minute: { 0 }, uptime: { clock.now }, sleep: { clock.advance($0) }))
    }

    /// Rounds until there is nothing to do.
    func settle() async throws {
        for _ in 0..<20 where try await !scrub.round() { return }
        Issue.record("the scrub finds no end")
    }

    var scrubbed: [EventScrubAdvanced] {
        get throws {
            try stage.store.events(from: SequenceNumber(1), limit: 10_000).compactMap {
                if case .scrubAdvanced(let change) = $0.record.change { change } else { nil }
            }
        }
    }

    var recorded: [String] {
        get throws {
            try stage.store.events(from: SequenceNumber(1), limit: 10_000).compactMap {
                switch $0.record.change {
                case .findingRecorded(let change):
                    "found \(change.finding.faultClass) \(change.finding.volume)"
                case .replicaRepaired(let change):
                    "mended \(change.finding.faultClass) \(change.finding.volume)"
                default: nil
                }
            }
        }
    }
}

private final class FakeClock: Sendable {
    private let reading = Mutex(0.0)
    /// Time goes on a little whenever somebody looks.
    var now: Double {
        reading.withLock {
            $0 += 0.000_1
            return $0
        }
    }
    func advance(_ seconds: Double) { reading.withLock { $0 += seconds } }
}

/// Of a task that blocks: the threads that tests share are few.
private final class OwnThread: TaskExecutor {
    private let queue = DispatchQueue(label: "scrub")

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}

@Suite struct ScrubTests {
    private static let large = [UInt8](repeating: 7, count: 300_000)

    private func staged(objects: Int = 12) async throws -> ScrubStage {
        let stage = try await StartedStore { $0.segmentByteCount = 128 * 1024 }
        for number in 0..<objects {
            try await stage.store.put(stage.bucket, "small\(number)", [UInt8](repeating: 3, count: 20_000))
            try await stage.store.put(stage.bucket, "large\(number)", Self.large)
        }
        _ = try await CompletionVerifier(stage.store).confirm()
        return try ScrubStage(stage)
    }

    /// Mends what was reported until nothing is, on the task of the test.
    private func withRepairs<Value>(_ scrub: ScrubStage, _ body: () async throws -> Value) async throws
        -> Value
    {
        let task = Task { [repair = scrub.repair] in await repair.run { Issue.record("\($0)") } }
        defer { task.cancel() }
        return try await body()
    }

    private func waitForRepairs(_ scrub: ScrubStage, _ count: Int) async throws {
        while try scrub.recorded.count(where: { $0.hasPrefix("mended") }) < count {
            await scrub.stage.store.waitForEvents(after: scrub.stage.store.head.sequence)
        }
    }

    @Test func aNewStoreIsGreenAndNothingIsDue() async throws {
        let scrub = try await staged()
        defer { scrub.stage.store.close() }
        let before = scrub.stage.store.head
        #expect(try scrub.scrub.health().reasons == [])
        #expect(try await scrub.scrub.round() == false)
        #expect(scrub.stage.store.head == before)
    }

    @Test func everyVolumeIsReadWithinThePeriodAndSaysSo() async throws {
        let scrub = try await staged()
        let store = scrub.stage.store
        defer { store.close() }
        for volume in 1...3 {
            scrub.stage.fixture.advance(seconds: UInt64(ScrubStage.period / 4) + 1)
            try await scrub.settle()
            #expect(try scrub.scrubbed.count(where: \.complete) == volume)
            #expect(try scrub.scrubbed.last?.volume == UInt32(volume))
        }
        let last = try #require(try scrub.scrubbed.last)
        #expect(last.findings == 0)
        #expect(last.bytes >= UInt64(12 * 320_000))
        #expect(try scrub.scrub.health().reasons == [])
        scrub.stage.fixture.advance(seconds: UInt64(ScrubStage.period) + 1)
        #expect(try scrub.scrub.health().reasons.count == 3)
        #expect(try !scrub.scrub.health().isGreen)
    }

    @Test func whatIsDamagedIsFoundRecordedAndMended() async throws {
        let scrub = try await staged()
        let (stage, store) = (scrub.stage, scrub.stage.store)
        defer { store.close() }
        let replica = try #require(try stage.disk.files(below: "/volume-2/blobs").first)
        try stage.disk.corrupt(replica, at: 70_000)
        let missing = try #require(try stage.disk.files(below: "/volume-3/blobs").last)
        try stage.disk.remove(missing)
        let (path, range) = try LogDamage(disk: stage.disk, volume: 1).frame(SequenceNumber(5))
        try stage.disk.corrupt(path, at: UInt64(range.upperBound - 60))
        try scrub.scrub.start(volume: nil)
        try await withRepairs(scrub) {
            for _ in 0..<3 { _ = try await scrub.scrub.round() }
            try await waitForRepairs(scrub, 3)
        }
        let recorded = try scrub.recorded
        for (what, volume) in [
            ("log.damaged-frame", 1), ("replica.corrupt-block", 2), ("replica.missing", 3),
        ] {
            let found = try #require(recorded.firstIndex(of: "found \(what) \(volume)"))
            let mended = try #require(recorded.firstIndex(of: "mended \(what) \(volume)"))
            #expect(found < mended)
        }
        #expect(recorded.count == 6)
        #expect(try scrub.scrub.health().reasons == [])
        var left: [Finding] = []
        _ = try await StoreCheck(store, .init(isDeep: true), includesOpening: false).run { left.append($0) }
        #expect(left == [])
    }

    @Test func aFindingIsOpenUntilItIsMendedWhateverHappensInBetween() async throws {
        let scrub = try await staged(objects: 3)
        let stage = scrub.stage
        let replica = try #require(try stage.disk.files(below: "/volume-2/blobs").first)
        try stage.disk.corrupt(replica, at: 70_000)
        try scrub.scrub.start(volume: 2)
        // Nobody repairs: the process is killed before.
        _ = try await scrub.scrub.round()
        #expect(try scrub.recorded == ["found replica.corrupt-block 2"])
        #expect(try !scrub.scrub.health().isGreen)
        stage.store.close()
        let again = try await stage.fixture.open(stage.disk)
        defer { again.close() }
        let service = try ScrubStage.service(again, ScrubStage.period)
        #expect(try service.health().openFindings == 1)
        let repair = DamageRepair(again)
        let task = Task { await repair.run { Issue.record("\($0)") } }
        let before = again.head.sequence
        _ = try await service.round()
        await again.waitForEvents(after: before)
        task.cancel()
        #expect(try service.health().reasons == [])
    }

    @Test func aFindingThatIsMendedWhileItIsReadAgainIsNotRecordedAnew() async throws {
        let scrub = try await staged(objects: 3)
        let stage = scrub.stage
        defer { stage.store.close() }
        let replica = try #require(try stage.disk.files(below: "/volume-2/blobs").first)
        // In its trailer, which is read first.
        try stage.disk.corrupt(replica, at: UInt64(try stage.disk.contents(of: replica).count) - 9)
        try scrub.scrub.start(volume: 2)
        _ = try await scrub.scrub.round()
        let found = try scrub.recorded
        #expect(found.count == 1)
        // The damaged file is open when another takes its place.
        let stall = Stall()
        stage.disk.inject(Fault(.stall(stall), on: [.read]) { $0 == replica })
        let round = Task.detached(executorPreference: OwnThread()) { try await scrub.scrub.round() }
        stall.waitUntilReached()
        try await withRepairs(scrub) { try await waitForRepairs(scrub, 1) }
        stall.release()
        _ = try await round.value
        #expect(try scrub.recorded == found + [found[0].replacing("found", with: "mended")])
        #expect(try scrub.scrub.health().reasons == [])
    }

    @Test func aPassGoesOnWhereItWasWhenTheStoreIsOpenedAgain() async throws {
        let scrub = try await staged(objects: 80)
        let stage = scrub.stage
        try scrub.scrub.start(volume: 1)
        // In the middle of the blobs somebody stops it.
        let replicas = try stage.disk.files(below: "/volume-1/blobs").count
        #expect(replicas == 80)
        let task = Task { [service = scrub.scrub] in
            withUnsafeCurrentTask { $0?.cancel() }
            _ = try await service.round()
        }
        _ = await task.result
        let stopped = try #require(try scrub.scrubbed.last)
        #expect(!stopped.complete)
        stage.store.close()
        let again = try await stage.fixture.open(stage.disk)
        defer { again.close() }
        let service = try ScrubStage.service(again, ScrubStage.period)
        #expect(try await service.round())
        let ends = try again.events(from: SequenceNumber(1), limit: 10_000).compactMap {
            if case .scrubAdvanced(let change) = $0.record.change { change } else { nil }
        }
        let end = try #require(ends.last)
        #expect(end.complete)
        #expect(end.pass == stopped.pass)
        #expect(end.startedMicroseconds == stopped.startedMicroseconds)
        #expect(end.headSequence == stopped.headSequence)
    }

    @Test func pausedItReadsNothingAndIsPausedInTheNextProcess() async throws {
        let scrub = try await staged(objects: 1)
        defer { scrub.stage.store.close() }
        scrub.stage.fixture.advance(seconds: UInt64(ScrubStage.period))
        try scrub.scrub.pause()
        #expect(try await scrub.scrub.round() == false)
        let next = try ScrubStage.service(scrub.stage.store, ScrubStage.period)
        #expect(next.isPaused)
        try next.start(volume: nil)
        #expect(try await next.round())
        #expect(try scrub.scrubbed.last?.complete == true)
    }

    @Test func whatWasReclaimedMeanwhileIsNoFinding() async throws {
        let scrub = try await staged(objects: 2)
        let (stage, store) = (scrub.stage, scrub.stage.store)
        defer { store.close() }
        try await store.put(stage.bucket, "large0", Self.large)
        stage.fixture.advance(seconds: 8 * 86_400)
        while try await store.reclaim() {}
        try scrub.scrub.start(volume: nil)
        for _ in 0..<3 { _ = try await scrub.scrub.round() }
        #expect(try scrub.recorded == [])
        #expect(try scrub.scrubbed.count(where: \.complete) == 3)
    }
}
