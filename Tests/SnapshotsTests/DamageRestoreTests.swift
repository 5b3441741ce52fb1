import Catalog
import Foundation
import Integrity
import Model
import ObjectStore
import Snapshots
import Synchronization
import TestSupport
import Testing
import Volumes

/// Restores of what is damaged, in place, and what happens while they copy.
@Suite struct DamageRestoreTests {
    /// Copied in three runs.
    private static let length = 2 * 1024 * 1024 + 5000
    private static let content = [UInt8](repeating: 3, count: length)

    /// An object whose replicas are all damaged in the same place, or gone, and that a snapshot has.
    private struct Damaged {
        let stage: SnapshotStage
        let id: BlobID
        /// What the replica on volume 2 was.
        let replica: [UInt8]
        var store: ObjectStore { stage.store }
        var disk: SimulatedFileSystem { stage.started.disk }

        init(isThere: Bool = true, _ configure: (inout StoreSettings) -> Void = { _ in }) async throws {
            stage = try await SnapshotStage(configure)
            let put = try await stage.store.put(stage.bucket, "k", DamageRestoreTests.content)
            id = try #require(BlobID(bytes: put.value.record.pieces[0].blobID))
            try await stage.snapshot("one")
            replica = try stage.started.disk.contents(of: Self.paths(of: id)[1])
            for path in paths(of: id) {
                if isThere { try disk.corrupt(path, at: 10) } else { try disk.lose(path) }
            }
        }

        func paths(of id: BlobID) -> [String] { Self.paths(of: id) }

        private static func paths(of id: BlobID) -> [String] {
            let digits = "\(id)"
            return (1...3).map {
                "/volume-\($0)/blobs/\(digits.prefix(2))/\(digits.dropFirst(2).prefix(2))/\(digits)"
            }
        }

        /// The files that stand under the blob's name.
        func files() throws -> [FileStatus?] { try paths(of: id).map { try disk.status(of: $0) } }

        /// The volumes whose replicas are good.
        func good(_ store: ObjectStore? = nil) throws -> [Int] {
            let inspection = (store ?? self.store).inspection
            let row = try #require(try inspection.catalog.read { try $0.blob(id) })
            return inspection.volumes.filter {
                $0.verify(id, length: row.length, sha256: row.sha256, deep: true).isEmpty
            }.map(\.index)
        }
    }

    private func restore(
        _ store: ObjectStore, _ repository: Repository, _ pace: BytePace? = nil, search: BytePace? = nil
    ) async throws -> [RestoreOutcome] {
        var order = RestoreOrder(repository: "/backup", snapshot: "one")
        order.unit.isDamagedOnly = true
        var outcomes: [RestoreOutcome] = []
        _ = try await Restore(store, repository, order, pace: pace, search: search).run {
            outcomes.append($0)
        }
        return outcomes
    }

    /// - Parameters:
    ///   - whileSearching: whether it is the search that is waited for, not the copying.
    ///   - meanwhile: called with the number of each wait, the first one 1: three for each volume that is written to; one for
    ///     each look at a blob that is damaged.
    private func restore(
        _ damaged: Damaged, in store: ObjectStore? = nil,
        whileSearching: Bool = false, _ meanwhile: @escaping @Sendable (Int, Repository) async throws -> Void
    ) async throws -> [RestoreOutcome] {
        let repository = try damaged.stage.repository()
        defer { repository.close() }
        let waits = Mutex(0)
        // So slow that each run of bytes is waited for, which here takes no time.
        let pace = BytePace(rate: 1) { _ in
            let number = waits.withLock { count -> Int in
                count += 1
                return count
            }
            try await meanwhile(number, repository)
        }
        return try await restore(
            store ?? damaged.store, repository, whileSearching ? nil : pace,
            search: whileSearching ? pace : nil)
    }

    @Test func aReplicaComesIntoItsPlaceWhenItIsWholeOneVolumeAfterTheOther() async throws {
        let damaged = try await Damaged()
        let before = try damaged.files()
        let outcomes = try await restore(damaged) { number, _ in
            let done = (number - 1) / 3
            #expect(try damaged.good() == Array(1...3).filter { $0 <= done }, "wait \(number)")
            let files = try damaged.files()
            #expect(files[done...] == before[done...], "wait \(number)")
        }
        #expect(outcomes.map(\.action) == [.restored] && outcomes[0].detail == "volumes 1, 2, 3")
        #expect(try damaged.good() == [1, 2, 3])
        #expect(try damaged.stage.started.halfThere() == [])
        for volume in 1...3 {
            let kept = try damaged.disk.files(below: "/volume-\(volume)/quarantine")
            #expect(kept.count == 2, "what was there, and a note")
        }
        damaged.store.close()
    }

    /// Runs what is submitted at once, and knows whether it does.
    private final class WatchedLane: Lane {
        private let state = Mutex((running: 0, ran: 0))

        var isHeld: Bool { state.withLock { $0.running > 0 } }
        var ran: Int { state.withLock { $0.ran } }

        func submit(_ work: @escaping @Sendable () -> Void) -> Bool {
            state.withLock { $0.running += 1 }
            work()
            state.withLock {
                $0.running -= 1
                $0.ran += 1
            }
            return true
        }

        var depth: Int { 0 }
        func finish() {}
    }

    /// - Returns: the store, opened with repairs that are watched; and another blob, whose replica on volume 2 is damaged.
    private func watched(_ damaged: Damaged) async throws -> (ObjectStore, BlobID, WatchedLane) {
        let put = try await damaged.store.put(damaged.stage.bucket, "other", bytes(1, 80_000))
        let other = try #require(BlobID(bytes: put.value.record.pieces[0].blobID))
        try damaged.disk.corrupt(damaged.paths(of: other)[1], at: 10)
        damaged.store.close()
        let lane = WatchedLane()
        var environment = damaged.stage.started.fixture.environment(damaged.disk)
        environment.makeLane = { $0.name == "repairs" ? lane as any Lane : InlineLane() }
        return (try await ObjectStore.open(damaged.stage.started.fixture.settings, environment), other, lane)
    }

    @Test func otherRepairsAreMadeWhileABlobIsCopiedAndNoneOfTheSame() async throws {
        let damaged = try await Damaged()
        let (store, other, lane) = try await watched(damaged)
        let outcomes = try await restore(damaged, in: store) { number, _ in
            #expect(!lane.isHeld && lane.ran > 0)
            guard number == 1 else { return }
            let report = try await store.inspection.restoreReplica(of: other, on: 2, reason: "a test")
            #expect(report != nil)
            do {
                try await store.inspection.restoreReplica(of: damaged.id, on: 2, reason: "a test")
                Issue.record("two write the same")
            } catch StoreError.busy {}
        }
        #expect(outcomes.map(\.action) == [.restored])
        #expect(try damaged.good(store) == [1, 2, 3])
        store.close()
    }

    @Test func otherRepairsAreMadeWhileBlobsAreReadForDamage() async throws {
        let damaged = try await Damaged()
        let (store, other, lane) = try await watched(damaged)
        let before = lane.ran
        let last = Mutex(0)
        let outcomes = try await restore(damaged, in: store, whileSearching: true) { number, _ in
            #expect(!lane.isHeld)
            last.withLock { $0 = number }
            guard number == 1 else { return }
            #expect(lane.ran == before)
            let report = try await store.inspection.restoreReplica(of: other, on: 2, reason: "a test")
            #expect(report != nil)
        }
        #expect(outcomes.map(\.action) == [.restored])
        #expect(last.withLock { $0 } == 3, "what is damaged is read again when it is claimed")
        #expect(try damaged.good(store) == [1, 2, 3])
        store.close()
    }

    @Test func whatIsGoodAgainWhenItIsToBeCopiedIsLeftAsItIs() async throws {
        let damaged = try await Damaged(isThere: false)
        let path = damaged.paths(of: damaged.id)[1]
        // A volume that was away comes back with it, say.
        let outcomes = try await restore(damaged, whileSearching: true) { number, _ in
            if number == 1 { try damaged.disk.replaceFile(path, with: damaged.replica) }
        }
        #expect(outcomes.isEmpty)
        #expect(try damaged.good() == [2])
        #expect(try repairs(damaged) == 0)
        damaged.store.close()
    }

    @Test func whatIsCopiedIsLeftAloneByAnotherRestoreAndByAChecksRepairs() async throws {
        let damaged = try await Damaged()
        let outcomes = try await restore(damaged) { number, repository in
            guard number == 2 else { return }
            let second = try await restore(damaged.store, repository)
            #expect(second.map(\.action) == [.failed])
            let options = ReplicaCheck.Options(isDeep: true, repairs: true)
            _ = try await ReplicaCheck(damaged.store, options).run { _ in }
        }
        #expect(outcomes.map(\.action) == [.restored] && outcomes[0].detail == "volumes 1, 2, 3")
        #expect(try damaged.stage.started.halfThere() == [])
        var findings: [String] = []
        _ = try await StoreCheck(damaged.store, .init(isDeep: true), includesOpening: false).run {
            findings.append("\($0)")
        }
        #expect(findings == [])
        damaged.store.close()
    }

    @Test func whoReadsWhatIsCopiedIsToComeAgainAndIsServedFromTheFirstVolumeThatHasIt() async throws {
        let damaged = try await Damaged()
        let store = damaged.store
        let bucket = damaged.stage.bucket
        let repair = DamageRepair(store)
        defer { withExtendedLifetime(repair) {} }
        _ = try await restore(damaged) { number, _ in
            if number == 4 { #expect(try await store.get(bucket, "k") == Self.content) }
            guard number == 1 else { return }
            do {
                _ = try await store.get(bucket, "k")
                Issue.record("what is damaged was read")
            } catch StoreError.busy {}
        }
        let version = try store.version(bucket, try ObjectKey("k"), .current)
        #expect(try store.integrityState(of: version) == nil, "it is not taken for lost")
        #expect(try await store.get(bucket, "k") == Self.content)
        store.close()
    }

    @Test func whatIsDeletedWhileItIsCopiedIsReclaimedAfterwards() async throws {
        let damaged = try await Damaged { $0.historySeconds = 600 }
        let stage = damaged.stage
        let outcomes = try await restore(damaged) { number, _ in
            guard number == 1 else { return }
            try await stage.delete("k")
            stage.started.fixture.advance(seconds: 1000)
            while try await stage.store.reclaim() {}
        }
        #expect(outcomes.map(\.action) == [.restored])
        #expect(try damaged.good() == [1, 2, 3])
        while try await stage.store.reclaim() {}
        #expect(try stage.started.blobs() == [[], [], []])
        #expect(try stage.started.halfThere() == [])
        stage.store.close()
    }

    @Test func aVolumeThatLeavesMeanwhileAndReturnsKeepsNoOtherFromItsReplica() async throws {
        let damaged = try await Damaged()
        let started = damaged.stage.started
        let outcomes = try await restore(damaged) { number, _ in
            guard number == 1 else { return }
            try started.disk.unmount("/volume-1")
            started.store.maintain()
            #expect(started.standings[0] == .setAside)
            try started.disk.mount("/volume-1")
            started.store.maintain()
            #expect(started.standings[0] == .inService)
        }
        #expect(outcomes.map(\.action) == [.restored] && outcomes[0].detail == "volumes 2, 3")
        #expect(try damaged.good() == [2, 3])
        #expect(try started.halfThere() == [])
        _ = try await ReplicaCheck(started.store, .init(isDeep: true, repairs: true)).run { _ in }
        #expect(try damaged.good() == [1, 2, 3])
        started.store.close()
    }

    private func repairs(_ damaged: Damaged) throws -> Int {
        try damaged.store.events(from: SequenceNumber(1), limit: 10_000).count { event in
            if case .replicaRepaired = event.record.change { true } else { false }
        }
    }

    @Test func aRestoreThatIsEndedLeavesNothingOfWhatItHadNotFinished() async throws {
        let damaged = try await Damaged()
        await #expect(throws: CancellationError.self) {
            _ = try await restore(damaged) { number, _ in if number == 5 { throw CancellationError() } }
        }
        #expect(try damaged.good() == [1])
        #expect(try repairs(damaged) == 1, "what was done is told")
        #expect(try damaged.stage.started.halfThere() == [])
        let report = try await damaged.store.inspection.restoreReplica(
            of: damaged.id, on: 2, reason: "a test")
        #expect(report != nil, "it can be mended by others again")
        damaged.store.close()
    }

    @Test(arguments: [true, false])
    func aProcessThatEndsMeanwhileLeavesWhatWasThereAndCanBeginAgain(isThere: Bool) async throws {
        let damaged = try await Damaged(isThere: isThere)
        let fixture = damaged.stage.started.fixture
        let past = Mutex<SimulatedFileSystem?>(nil)
        _ = try await restore(damaged) { number, _ in
            if number == 2 { past.withLock { $0 = damaged.disk.clone() } }
        }
        damaged.store.close()
        try fixture.forgetCatalog()
        let disk = try #require(past.withLock { $0 }).recovered(seed: 1)
        let store = try await fixture.open(disk)
        #expect(try damaged.good(store) == [])
        for volume in 1...3 {
            #expect(try disk.files(below: "/volume-\(volume)/incoming") == [])
            #expect(try disk.files(below: "/volume-\(volume)/blobs").count == (isThere ? 1 : 0))
        }
        let outcomes = try await restore(damaged, in: store) { _, _ in }
        #expect(outcomes.map(\.action) == [.restored])
        #expect(try await store.get(damaged.stage.bucket, "k") == Self.content)
        store.close()
    }

    @Test func aReplicaThatTheRepositoryHasNotGoodReplacesNone() async throws {
        let damaged = try await Damaged()
        let backup = damaged.stage.backup
        try backup.corrupt(try #require(try damaged.stage.files().first), at: 2 * 1024 * 1024)
        let before = try damaged.files()
        let outcomes = try await restore(damaged) { _, _ in }
        #expect(outcomes.map(\.action) == [.failed])
        #expect(outcomes[0].detail.contains("is not good") && outcomes[0].detail.contains("block 32"))
        #expect(try damaged.files() == before)
        #expect(try damaged.stage.started.halfThere() == [])
        #expect(try damaged.disk.files(below: "/volume-1/quarantine") == [])
        damaged.store.close()
    }
}
