import Catalog
import EventLog
import Foundation
import Model
import ObjectStore
import Snapshots
import Synchronization
import TestSupport
import Testing
import Volumes

@Suite struct SnapshotTests {
    @Test func aSnapshotHoldsEveryVersionAsItWas() async throws {
        let stage = try await SnapshotStage()
        for number in 0..<20 {
            try await stage.store.put(stage.bucket, "k\(number)", bytes(UInt8(number), number * 9_000))
        }
        let position = stage.store.head
        let report = try await stage.snapshot("one")
        #expect(report.manifest.sequence == position.sequence.rawValue)
        #expect(report.manifest.chain == position.chain.description)
        #expect(report.manifest.versions == 20 && report.manifest.buckets == 1)
        #expect(report.manifest.parent == nil)
        guard
            case .snapshotTaken(let noted) = try stage.store.events(from: position.sequence.next, limit: 1)
                .first?
                .record.change
        else {
            Issue.record("the store's log does not say that the snapshot was taken")
            return
        }
        #expect(noted.snapshot == "one" && noted.repository == "/backup" && report.unnoted == nil)
        #expect(noted.sequence == position.sequence.rawValue && Array(noted.chain) == position.chain.bytes)
        #expect(noted.versions == 20 && noted.lostBlobs == 0)
        #expect(noted.versionBytes == report.manifest.versionBytes)
        // What comes later is not in it.
        try await stage.store.put(stage.bucket, "k3", bytes(99, 100_000))
        try await stage.delete("k19")
        let versions = try stage.versions("one")
        #expect(versions.count == 20)
        #expect(versions.first { $0.key == "k3" }?.size == 27_000)
        #expect(try stage.verify() == [])
        stage.store.close()
    }

    @Test func aSecondSnapshotCopiesOnlyWhatIsNew() async throws {
        let stage = try await SnapshotStage()
        for number in 0..<30 { try await stage.store.put(stage.bucket, "k\(number)", bytes(1, 100_000)) }
        let first = try await stage.snapshot("one")
        #expect(first.blobs == 30)
        try await stage.store.put(stage.bucket, "new", bytes(2, 100_000))
        let second = try await stage.snapshot("two")
        #expect(second.blobs == 1 && second.manifest.parent == "one")
        // The new object's, and the one that says that the first snapshot was taken.
        #expect(second.events == 2 && second.bytes < first.bytes / 20)
        let third = try await stage.snapshot("three")
        #expect(third.blobs == 0 && third.events == 1 && third.bytes < 1000)
        #expect(try stage.verify() == [])
        stage.store.close()
    }

    @Test func theRepositorysLogIsTheStoresByteForByteAcrossSegments() async throws {
        let stage = try await SnapshotStage()
        for round in 0..<6 {
            for number in 0..<10 { try await stage.store.put(stage.bucket, "k\(number)", bytes(3, 9_000)) }
            try await stage.snapshot("s\(round)")
        }
        let mine = try stage.backup.files(below: "/backup/log").sorted()
        let theirs = try stage.started.disk.files(below: "/volume-1/log")
            .filter { $0.hasSuffix(".log") }.sorted()
        #expect(mine.count == theirs.count && mine.count > 3)
        for (copy, original) in zip(mine, theirs).dropLast() {
            #expect(try stage.backup.contents(of: copy) == stage.started.disk.contents(of: original))
        }
        #expect(try stage.verify() == [])
        stage.store.close()
    }

    @Test func whatDiedAndWasReclaimedMeanwhileIsStillInTheOlderSnapshot() async throws {
        let stage = try await SnapshotStage()
        try await stage.store.put(stage.bucket, "a", bytes(1, 100_000))
        try await stage.snapshot("one")
        try await stage.delete("a")
        stage.started.fixture.advance(seconds: 8 * 86_400)
        while try await stage.store.reclaim() {}
        #expect(try stage.started.blobs() == [[], [], []])
        try await stage.snapshot("two")
        #expect(try stage.files().count == 1)
        #expect(try stage.versions("one").map(\.key) == ["a"])
        #expect(try stage.versions("two").isEmpty)
        #expect(try stage.verify() == [])
        stage.store.close()
    }

    @Test func aRepositoryOfAnotherStoreAndAVolumeAreRefusedByName() async throws {
        let stage = try await SnapshotStage()
        try await stage.snapshot("one")
        #expect(throws: SnapshotError.self) {
            try Repository.open("/backup", of: StoreID(high: 9, low: 9), fileSystem: stage.backup)
        }
        stage.store.close()
        #expect(throws: SnapshotError.self) {
            try Repository.open("/volume-1", of: nil, fileSystem: stage.started.disk)
        }
        #expect(throws: SnapshotError.self) {
            try Repository.open("/nowhere", of: nil, fileSystem: stage.backup)
        }
    }

    @Test func aNameIsTakenOnceAndHasNoOddCharacters() async throws {
        let stage = try await SnapshotStage()
        try await stage.snapshot("one")
        for name in ["one", "", ".hidden", "a/b", "ä", String(repeating: "x", count: 101), "a b"] {
            await #expect(throws: SnapshotError.self) { try await stage.snapshot(name) }
        }
        stage.store.close()
    }

    /// Every operation of the file system is where a process may end, and a power cut too.
    @Test func aSnapshotThatIsCutOffLeavesARepositoryInWhichTheNextOneIsWhole() async throws {
        let stage = try await SnapshotStage()
        for number in 0..<4 {
            try await stage.store.put(stage.bucket, "k\(number)", bytes(8, number * 40_000))
        }
        try await stage.snapshot("one")
        for number in 4..<8 {
            try await stage.store.put(stage.bucket, "k\(number)", bytes(9, number * 20_000))
        }
        var point = 1
        while true {
            let disk = stage.backup.clone()
            disk.crash(atOperation: point)
            do {
                try await stage.snapshot("two", on: disk)
                break
            } catch {
                let survivor = disk.recovered(seed: UInt64(point))
                #expect(try stage.verify(on: survivor).isEmpty, "after operation \(point)")
                let repository = try stage.repository(on: survivor)
                let names = try repository.snapshots().good.map(\.name)
                repository.close()
                if !names.contains("two") { try await stage.snapshot("two", on: survivor) }
                #expect(try stage.verify(on: survivor).isEmpty, "finished after operation \(point)")
            }
            point += 1
        }
        #expect(point > 40)
        stage.store.close()
    }

    @Test func theWriteAheadLogOfACatalogThatIsComputedStaysSmall() async throws {
        let stage = try await SnapshotStage()
        for number in 0..<200 { try await stage.store.put(stage.bucket, "k\(number)", []) }
        try await stage.snapshot("one")
        let repository = try stage.repository()
        defer { repository.close() }
        /// What it comes to between the steps.
        func largest(limit: UInt64) throws -> UInt64 {
            let scratch = stage.scratch
            let largest = Mutex<UInt64>(0)
            let snapshot = try SnapshotCatalog.make(
                repository, scratch: scratch, from: nil, through: repository.log.head.sequence,
                walLimit: limit
            ) { _ in
                for file in try FileManager.default.contentsOfDirectory(atPath: scratch)
                where file.hasPrefix("snapshot-") && file.hasSuffix("-wal") {
                    let size = try RealFileSystem().status(of: "\(scratch)/\(file)")?.size ?? 0
                    largest.withLock { $0 = max($0, size) }
                }
            }
            #expect(try snapshot.catalog.read { try $0.counts() }.versions == 200)
            return largest.withLock { $0 }
        }
        #expect(try largest(limit: .max) > 0)
        #expect(try largest(limit: 1) == 0)
        stage.store.close()
    }
}
