import Catalog
import Foundation
import Integrity
import Model
import ObjectStore
import Synchronization
import TestSupport
import Testing
import Volumes

/// Objects of a store, some of their replicas damaged.
private struct IncidentStage {
    let stage: StartedStore
    var store: ObjectStore { stage.store }
    static let size = 200_000
    static let settings = IncidentSettings(burstCount: 3, windowSeconds: 60)

    init(objects: Int, inline: Int = 0) async throws {
        stage = try await StartedStore()
        for number in 0..<objects {
            try await store.put(
                stage.bucket, "k\(number)", [UInt8](repeating: UInt8(number), count: Self.size))
        }
        for number in 0..<inline { try await store.put(stage.bucket, "s\(number)", [1, 2, 3]) }
    }

    func version(_ number: Int) throws -> ObjectVersion {
        try store.version(stage.bucket, try ObjectKey("k\(number)"), .current)
    }

    private func path(_ number: Int, _ volume: Int) throws -> String {
        let id = try #require(BlobID(bytes: try version(number).record.pieces[0].blobID)).description
        return try #require(
            try stage.disk.files(below: "/volume-\(volume)/blobs").first { $0.hasSuffix(id) })
    }

    /// Or mends, when it is done again.
    func flip(_ number: Int, _ volume: Int, at offset: UInt64 = 70_000) throws {
        try stage.disk.corrupt(try path(number, volume), at: offset)
    }

    func check(repair: Bool) async throws {
        _ = try await StoreCheck(store, .init(isDeep: true, repairs: repair), includesOpening: false).run {
            _ in
        }
    }

    @discardableResult
    func follow() async throws -> IncidentFollower {
        let follower = IncidentFollower(store, Self.settings)
        try await follower.followToEnd()
        return follower
    }

    func incidents() throws -> [IncidentRow] { try IncidentReport(store).incidents() }

    /// Counts by state of the incident that there is.
    func states(_ id: UInt64? = nil) throws -> [String: Int] {
        let report = IncidentReport(store)
        let row = try #require(try report.incidents().last { id == nil || $0.id == id })
        return try Self.words(report.totals(row).all)
    }

    static func words(_ group: IncidentTotals.Group) -> [String: Int] {
        Dictionary(uniqueKeysWithValues: group.states.map { ($0.key.word, $0.value) })
    }
}

@Suite struct IncidentTests {
    @Test func fewFindingsMakeNoIncidentAndAreShownAsNone() async throws {
        let stage = try await IncidentStage(objects: 3)
        defer { stage.store.close() }
        try stage.flip(0, 1)
        try stage.flip(1, 2)
        try await CompletionVerifier(stage.store).confirm()
        try await stage.follow()
        #expect(try stage.incidents().map(\.id) == [0])
        #expect(try stage.states() == ["detected": 2])
        try await stage.check(repair: true)
        try await stage.follow()
        #expect(try stage.states() == ["repaired": 2])
        #expect(try stage.store.integrityState(of: try stage.version(0))?.detail == "volume 2")
        #expect(try stage.store.integrityState(of: try stage.version(2)) == nil)
    }

    @Test func aBurstTakesUpWhatWasFoundBeforeItWasOne() async throws {
        let stage = try await IncidentStage(objects: 5)
        defer { stage.store.close() }
        try stage.flip(0, 1)
        try stage.flip(1, 1)
        try await CompletionVerifier(stage.store).confirm()
        try await stage.follow()
        #expect(try stage.incidents().map(\.id) == [0])
        try stage.flip(2, 1)
        try stage.flip(3, 3)
        try await stage.check(repair: true)
        try await stage.follow()
        let incidents = try stage.incidents()
        #expect(incidents.count == 1 && incidents[0].cause == .findings && incidents[0].isOpen)
        #expect(try stage.states() == ["repaired": 4])
    }

    @Test func aVersionIsRepairedOnlyWhenEveryReplicaOfItIs() async throws {
        let stage = try await IncidentStage(objects: 2)
        defer { stage.store.close() }
        try stage.flip(0, 1)
        try stage.flip(0, 2, at: 140_000)
        try await CompletionVerifier(stage.store).confirm()
        try await stage.follow()
        #expect(try stage.store.integrityState(of: try stage.version(0))?.detail == "volumes 1, 2")
        let blob = try #require(BlobID(bytes: try stage.version(0).record.pieces[0].blobID))
        try await stage.store.inspection.restoreReplica(of: blob, on: 1, reason: "test")
        var repaired = EventReplicaRepaired()
        repaired.finding.code = "HF002"
        repaired.finding.faultClass = "replica.corrupt-block"
        repaired.finding.volume = 1
        repaired.finding.blobID = Data(blob.bytes)
        repaired.source = "volume 3"
        _ = try await stage.store.inspection.record(.replicaRepaired(repaired))
        try await stage.follow()
        let state = try stage.store.integrityState(of: try stage.version(0))
        #expect(state?.state == .detected && state?.detail == "volume 2")
    }

    @Test func whatIsStatedIsNotStatedAgainByTheNextProcess() async throws {
        let stage = try await IncidentStage(objects: 6)
        defer { stage.store.close() }
        for number in 0..<4 { try stage.flip(number, 2) }
        try await CompletionVerifier(stage.store).confirm()
        try await stage.follow()
        try await stage.check(repair: true)
        try await stage.follow()
        let head = stage.store.head.sequence
        try await stage.follow()
        #expect(stage.store.head.sequence == head)
        #expect(try stage.states() == ["repaired": 4])
    }

    @Test func lostVersionsBelongToTheIncidentOfTheirFindings() async throws {
        let stage = try await IncidentStage(objects: 5)
        defer { stage.store.close() }
        for volume in 1...3 { try stage.flip(0, volume) }
        try stage.flip(1, 2)
        try await CompletionVerifier(stage.store).confirm()
        try await stage.check(repair: true)
        try await stage.follow()
        #expect(try stage.incidents().count == 1)
        #expect(try stage.states() == ["lost": 1, "repaired": 1])
        for volume in 1...3 { try stage.flip(0, volume) }
        try await stage.check(repair: true)
        try await stage.follow()
        #expect(try stage.incidents().count == 1)
        #expect(try stage.states() == ["repaired": 2])
    }

    @Test func aBurstThatAProcessSawTheBeginningOfIsOneForTheNext() async throws {
        let stage = try await IncidentStage(objects: 4)
        defer { stage.store.close() }
        try stage.flip(0, 1)
        try stage.flip(1, 2)
        try await CompletionVerifier(stage.store).confirm()
        try await stage.follow()
        try stage.flip(2, 3)
        try await stage.check(repair: true)
        // Another follower, as after a crash.
        try await stage.follow()
        #expect(try stage.incidents().map(\.cause) == [.findings])
        #expect(try stage.states() == ["repaired": 3])
    }

    @Test func aLossThatNoFindingTellsOfCountsAsOne() async throws {
        let stage = try await IncidentStage(objects: 3)
        defer { stage.store.close() }
        try await CompletionVerifier(stage.store).confirm()
        for number in 0..<3 { for volume in 1...3 { try stage.flip(number, volume) } }
        try await stage.check(repair: true)
        try await stage.follow()
        #expect(try stage.incidents().map(\.cause) == [.findings])
        #expect(try stage.states() == ["lost": 3])
    }

    @Test func anIncidentClosesWhenAllIsSettledAndQuiet() async throws {
        let stage = try await IncidentStage(objects: 4)
        defer { stage.store.close() }
        for number in 0..<3 { try stage.flip(number, 2) }
        try await CompletionVerifier(stage.store).confirm()
        let follower = try await stage.follow()
        stage.stage.fixture.advance(seconds: 100)
        try await follower.followToEnd()
        #expect(try stage.incidents()[0].isOpen)
        try await stage.check(repair: true)
        try await follower.followToEnd()
        #expect(try stage.incidents()[0].isOpen)
        stage.stage.fixture.advance(seconds: 61)
        try await follower.followToEnd()
        #expect(try stage.incidents()[0].outcome == "3 repaired")
        // What comes later is another matter.
        try stage.flip(3, 1)
        try await stage.check(repair: true)
        try await follower.followToEnd()
        #expect(try stage.incidents().map(\.isOpen) == [false, true])
        #expect(try stage.states(0) == ["repaired": 1])
    }

    @Test func aVersionThatIsDeletedIsWaitedForNoLonger() async throws {
        let stage = try await IncidentStage(objects: 3)
        defer { stage.store.close() }
        for number in 0..<3 { try stage.flip(number, 2) }
        try await CompletionVerifier(stage.store).confirm()
        let follower = try await stage.follow()
        _ = try await stage.store.delete(
            stage.stage.bucket, try ObjectKey("k0"), .current, conditions: .none, actor: tester)
        try await stage.check(repair: true)
        stage.stage.fixture.advance(seconds: 61)
        try await follower.followToEnd()
        #expect(try stage.states() == ["repaired": 2, "removed": 1])
    }

    @Test func anOperatorsIncidentTakesWhatIsFoundFromThenOn() async throws {
        let stage = try await IncidentStage(objects: 3)
        defer { stage.store.close() }
        var opened = EventIncidentOpened()
        opened.cause = .operator
        opened.reason = "water"
        let commit = try await stage.store.inspection.record(.incidentOpened(opened))
        let follower = try await stage.follow()
        stage.stage.fixture.advance(seconds: 1000)
        try await follower.followToEnd()
        #expect(try stage.incidents().map(\.isOpen) == [true])
        try stage.flip(0, 2)
        try await stage.check(repair: true)
        try await follower.followToEnd()
        #expect(try stage.states(commit.sequence.rawValue) == ["repaired": 1])
        stage.stage.fixture.advance(seconds: 61)
        try await follower.followToEnd()
        #expect(try stage.incidents().map(\.isOpen) == [false])
    }

    @Test func whatSomebodyHasSeenIsNewsAgainWhenItChanges() async throws {
        let stage = try await IncidentStage(objects: 4)
        defer { stage.store.close() }
        for number in 0..<3 { try stage.flip(number, 2) }
        try await CompletionVerifier(stage.store).confirm()
        try await stage.follow()
        var seen = EventIncidentAcknowledged()
        seen.incident = try stage.incidents()[0].id
        seen.bucket = "bucket"
        seen.key = "k1"
        _ = try await stage.store.inspection.record(.incidentAcknowledged(seen))
        let report = IncidentReport(stage.store)
        #expect(try report.totals(try stage.incidents()[0]).all.acknowledged == 1)
        seen.key = ""
        seen.owner = tester.id
        _ = try await stage.store.inspection.record(.incidentAcknowledged(seen))
        #expect(try report.totals(try stage.incidents()[0]).all.acknowledged == 3)
        try await stage.check(repair: true)
        try await stage.follow()
        #expect(try report.totals(try stage.incidents()[0]).all.acknowledged == 0)
    }

    /// How many large objects have their replica on volume 2, counted in its directory.
    @Test func theTotalsOfALostVolumeAreTheTruthWhileItIsFilled() async throws {
        let stage = try await IncidentStage(objects: 10, inline: 4)
        let fixture = stage.stage.fixture
        let disk = stage.stage.disk
        stage.store.close()
        var environment = fixture.environment(disk)
        let hook = Mutex<(@Sendable () -> Void)?>(nil)
        environment.sleep = { seconds in
            fixture.advance(seconds: UInt64(seconds.rounded(.up)))
            hook.withLock { $0 }?()
        }
        var settings = fixture.settings
        settings.refillBytesPerSecond = 100_000
        // A report reads while the refill does.
        settings.catalogReaders = 4
        let store = try await ObjectStore.open(settings, environment)
        defer { store.close() }
        try disk.unmount("/volume-2")
        store.maintain()
        let follower = IncidentFollower(store, IncidentStage.settings)
        try await follower.followToEnd()
        let row = try #require(try IncidentReport(store).incidents().first)
        #expect(row.cause == .volume && row.volume == 2)
        #expect(try IncidentStage.words(IncidentReport(store).totals(row).all) == ["detected": 14])
        _ = try await store.replaceVolume(2)
        let seen = Mutex<[(there: Int, repaired: Int, all: Int)]>([])
        hook.withLock {
            $0 = {
                let there = (try? disk.files(below: "/volume-2/blobs").count) ?? -1
                guard let totals = try? IncidentReport(store).totals(row).all else { return }
                seen.withLock { $0.append((there, totals.states[.repaired] ?? 0, totals.versions)) }
            }
        }
        store.maintain()
        hook.withLock { $0 = nil }
        let counts = seen.withLock { $0 }
        #expect(counts.count > 10)
        for count in counts {
            // One more may be there than its event is passed.
            #expect(count.all == 14 && (count.there - 1...count.there).contains(count.repaired), "\(count)")
        }
        #expect(Set(counts.map(\.repaired)).count > 5)
        #expect(store.volumeStatuses.allSatisfy { $0.standing == .inService })
        try await store.put(stage.stage.bucket, "later", [UInt8](repeating: 1, count: IncidentStage.size))
        #expect(try IncidentStage.words(IncidentReport(store).totals(row).all) == ["repaired": 14])
        try await follower.followToEnd()
        #expect(try IncidentReport(store).incident(row.id).isOpen, "nobody has read it back")
        var healed = EventScrubAdvanced()
        healed.volume = 2
        healed.complete = true
        _ = try await store.inspection.record(.scrubAdvanced(healed))
        try await follower.followToEnd()
        let closed = try IncidentReport(store).incident(row.id)
        #expect(!closed.isOpen && closed.outcome == "14 repaired")
    }

    @Test func anEpochThatBeginsWithoutAVolumeOpensItsIncident() async throws {
        let stage = try await IncidentStage(objects: 2)
        stage.store.close()
        try stage.stage.disk.unmount("/volume-3")
        let store = try await stage.stage.fixture.open(stage.stage.disk)
        defer { store.close() }
        try await IncidentFollower(store, IncidentStage.settings).followToEnd()
        #expect(try IncidentReport(store).incidents().map(\.volume) == [3])
    }

    @Test(arguments: [
        ("cat.jpg", 1, ""), ("a/cat.jpg", 1, "a/"), ("a/b/cat.jpg", 1, "a/"), ("a/b/cat.jpg", 2, "a/b/"),
        ("a/b/cat.jpg", 9, "a/b/"), ("/x", 1, "/"), ("é/x", 1, "é/"),
    ])
    func aPrefixIsAKeysFirstParts(_ key: String, _ depth: Int, _ prefix: String) {
        #expect(IncidentTotals.prefix(of: key, depth: depth) == prefix)
    }
}
