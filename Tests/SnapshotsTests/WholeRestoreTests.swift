import Foundation
import Model
import ObjectStore
import Snapshots
import Synchronization
import TestSupport
import Testing
import Volumes

/// A store that is made anew of a repository that is damaged itself.
@Suite struct WholeRestoreTests {
    private func stage() async throws -> SnapshotStage {
        let stage = try await SnapshotStage()
        // Several segments of 128 KiB, the last one open.
        for number in 0..<12 {
            try await stage.store.put(stage.bucket, "k\(number)", bytes(UInt8(number), 20_000))
        }
        return stage
    }

    /// Damages the bytes of an object where the repository's log has them.
    private func strike(_ payload: [UInt8], _ stage: SnapshotStage) throws {
        for path in try stage.backup.files(below: "/backup/log") {
            guard let range = Data(try stage.backup.contents(of: path)).range(of: Data(payload)) else {
                continue
            }
            return try stage.backup.corrupt(path, at: UInt64(range.lowerBound) + 7)
        }
        Issue.record("the repository has the bytes")
    }

    private func restore(
        _ stage: SnapshotStage
    ) async throws -> (store: ObjectStore, report: WholeRestore.Report, fixture: StoreFixture) {
        let fixture = try StoreFixture { $0.segmentByteCount = 128 * 1024 }
        let disk = SimulatedFileSystem()
        let repository = try stage.repository()
        defer { repository.close() }
        let report = try await WholeRestore(fixture.settings, fixture.environment(disk)).run(
            from: repository, snapshot: "one", scratch: stage.scratch)
        return (try await fixture.open(disk), report, fixture)
    }

    /// In a sealed segment, in the last one, and the last event of all: it is no torn write.
    @Test(arguments: [1, 10, 11]) func bytesInTheLogThatTheRepositoryHasNotGotGoodAreNamed(number: Int)
        async throws
    {
        let stage = try await stage()
        try await stage.snapshot("one")
        let version = try stage.store.version(stage.bucket, try ObjectKey("k\(number)"), .current)
        try strike(bytes(UInt8(number), 20_000), stage)
        stage.store.close()
        let (store, report, fixture) = try await restore(stage)
        let missing = report.recreation.missing
        #expect(missing.count == 1)
        #expect(missing.first?.place == .event(version.sequence))
        #expect(missing.first?.bucket == "bucket" && missing.first?.key == "k\(number)")
        #expect(missing.first?.version == version.wireVersionID)
        for other in 0..<12 where other != number {
            #expect(try await store.get(stage.bucket, "k\(other)") == bytes(UInt8(other), 20_000))
        }
        await #expect(throws: (any Error).self) { try await store.get(stage.bucket, "k\(number)") }
        let last = try store.events(from: SequenceNumber(report.manifest.sequence), limit: 1)
        #expect(last.first?.chain.description == report.manifest.chain, "every event is there")
        store.close()
        _ = fixture
    }

    @Test func aVersionMadeOfPartsIsNamedAndWhatNobodyNeedsIsNot() async throws {
        let stage = try await stage()
        let key = try ObjectKey("big")
        let upload = try await stage.store.createUpload(
            stage.bucket, key, metadata: EventMetadata(), checksumAlgorithm: .unspecified, composite: false,
            actor: tester
        ).value
        let part = try await stage.store.putPart(
            stage.bucket, "big", upload.uploadID, 1, bytes(200, 20_000))
        let version = try await stage.store.completeUpload(
            stage.bucket, key, upload.uploadID,
            parts: [CompletedPart(number: part.number, etag: part.etag)], checksums: [], conditions: .none,
            actor: tester
        ).value
        try await stage.store.put(stage.bucket, "k2", bytes(99, 20_000))
        try await stage.snapshot("one")
        for seed in [UInt8(200), 2] { try strike(bytes(seed, 20_000), stage) }
        stage.store.close()
        let (store, report, fixture) = try await restore(stage)
        #expect(report.recreation.missing.map(\.place) == [.event(part.sequence)])
        #expect(report.recreation.missing.map(\.version) == [version.wireVersionID])
        #expect(report.recreation.missing.map(\.key) == ["big"])
        store.close()
        _ = fixture
    }

    @Test func aPartOfAnUploadIsNamed() async throws {
        let stage = try await stage()
        let upload = try await stage.store.createUpload(
            stage.bucket, try ObjectKey("big"), metadata: EventMetadata(),
            checksumAlgorithm: .unspecified, composite: false, actor: tester
        ).value
        let part = try await stage.store.putPart(
            stage.bucket, "big", upload.uploadID, 1, bytes(200, 20_000))
        try await stage.snapshot("one")
        try strike(bytes(200, 20_000), stage)
        stage.store.close()
        let (store, report, fixture) = try await restore(stage)
        #expect(report.recreation.missing.map(\.place) == [.event(part.sequence)])
        #expect(report.recreation.missing.map(\.key) == ["big"])
        store.close()
        _ = fixture
    }

    @Test func whatAStoreThatIsMadeAnewDoesNotHeedIsRefusedByName() throws {
        let order = RestoreOrder(repository: "/backup", snapshot: "one")
        try order.checkMakingStore()
        var all = order
        all.overwrites = true
        all.unit.hasEveryVersion = true
        do {
            try all.checkMakingStore()
            Issue.record("it is refused")
        } catch { #expect("\(error)".contains("--overwrite, --versions")) }
        var paced = order
        paced.rate = 1
        try paced.checkMakingStore()
    }

    /// What each volume is given is waited for: a blob while it is copied, the log behind each segment.
    @Test func aStoreIsMadeAtTheRateThatIsGiven() async throws {
        let stage = try await stage()
        let large = [UInt8](repeating: 3, count: 2 * 1024 * 1024 + 5000)
        try await stage.store.put(stage.bucket, "large", large)
        try await stage.snapshot("one")
        stage.store.close()
        let fixture = try StoreFixture { $0.segmentByteCount = 128 * 1024 }
        let disk = SimulatedFileSystem()
        let repository = try stage.repository()
        defer { repository.close() }
        let seen = Mutex<[[String]]>([])
        // So slow that each run of bytes is waited for, which here takes no time.
        let pace = BytePace(rate: 1) { _ in
            let files = try (1...3).map { try disk.files(below: "/volume-\($0)") }
            let blobs = files.map { files in files.count { $0.contains("/blobs/") } }
            let segments = files.map { files in files.count { $0.hasSuffix(".log") } }
            seen.withLock { $0.append((blobs + segments).map(String.init)) }
        }
        _ = try await WholeRestore(fixture.settings, fixture.environment(disk)).run(
            from: repository, snapshot: "one", scratch: stage.scratch, pace: pace)
        let segments = try stage.backup.files(below: "/backup/log").filter { $0.hasSuffix(".log") }.count
        try #require(segments > 1)
        var expected: [[String]] = []
        for blobs in 0..<3 {
            let line = (0..<3).map { $0 < blobs ? "1" : "0" } + ["0", "0", "0"]
            expected += [line, line, line]
        }
        for done in 1...segments {
            for volume in 1...3 {
                let given = (1...3).map { "\($0 <= volume ? done : done - 1)" }
                expected.append(["1", "1", "1"] + given)
            }
        }
        #expect(seen.withLock { $0 } == expected)
        let store = try await fixture.open(disk)
        #expect(try await store.get(stage.bucket, "large") == large)
        store.close()
    }

    @Test func aStoreThatIsNotMadeToItsEndIsFinishedByGivingItAgain() async throws {
        let stage = try await stage()
        try await stage.store.put(stage.bucket, "large", bytes(1, 90_000))
        try await stage.snapshot("one")
        stage.store.close()
        let fixture = try StoreFixture { $0.segmentByteCount = 128 * 1024 }
        let disk = SimulatedFileSystem()
        let repository = try stage.repository()
        defer { repository.close() }
        func make(_ pace: BytePace) async throws {
            _ = try await WholeRestore(fixture.settings, fixture.environment(disk)).run(
                from: repository, snapshot: "one", scratch: stage.scratch, pace: pace)
        }
        // Ended while the second volume is given the blob.
        let waits = Mutex(0)
        await #expect(throws: CancellationError.self) {
            try await make(
                BytePace(rate: 1) { _ in
                    let number = waits.withLock { count -> Int in
                        count += 1
                        return count
                    }
                    if number == 2 { throw CancellationError() }
                })
        }
        #expect(try disk.files(below: "/volume-2/incoming") == [])
        await #expect(throws: (any Error).self) { try await fixture.open(disk) }
        try await make(BytePace(rate: 0))
        let store = try await fixture.open(disk)
        #expect(try await store.get(stage.bucket, "large") == bytes(1, 90_000))
        store.close()
    }

    @Test func whatThereWouldBeIsToldWithoutMakingIt() async throws {
        let stage = try await stage()
        try await stage.store.put(stage.bucket, "large", bytes(1, 90_000))
        let manifest = try await stage.snapshot("one").manifest
        let before = try stage.backup.files(below: "/backup")
        let repository = try stage.repository()
        defer { repository.close() }
        let plan = try WholeRestore.plan(from: repository, snapshot: "one")
        #expect(plan == manifest && plan.blobBytes == 90_000 && plan.versions == 13)
        #expect(throws: SnapshotError.self) { try WholeRestore.plan(from: repository, snapshot: "two") }
        #expect(try stage.backup.files(below: "/backup") == before)
        stage.store.close()
    }
}
