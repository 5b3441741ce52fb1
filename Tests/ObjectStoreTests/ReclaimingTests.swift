import EventLog
import Foundation
import Integrity
import Model
import ObjectStore
import TestSupport
import Testing
import Volumes

@Suite struct ReclaimingTests {
    private static let large = [UInt8](repeating: 7, count: 150_000)
    private static let week: UInt64 = 7 * 86_400

    private func started() async throws -> StartedStore {
        try await StartedStore { $0.segmentByteCount = 128 * 1024 }
    }

    private func reclaim(_ store: ObjectStore) async throws { while try await store.reclaim() {} }

    private func findings(_ store: ObjectStore) async throws -> [String] {
        var found: [String] = []
        _ = try await StoreCheck(store, .init(isDeep: true), includesOpening: false).run {
            found.append("\($0.code) volume \($0.volume) \($0.path): \($0.evidence)")
        }
        return found
    }

    private static func small(_ number: Int) -> [UInt8] {
        [UInt8](repeating: UInt8(number), count: 20_000)
    }

    /// Six of them make a segment.
    private func putSmall(_ store: ObjectStore, _ bucket: BucketName) async throws {
        for number in 0..<30 { try await store.put(bucket, "k\(number)", Self.small(number)) }
    }

    private func delete(_ store: ObjectStore, _ bucket: BucketName, _ numbers: [Int]) async throws {
        for number in numbers {
            _ = try await store.delete(
                bucket, try ObjectKey("k\(number)"), .current, conditions: .none, actor: tester)
        }
    }

    private func logBytes(_ stage: StartedStore) throws -> [Int] {
        try (1...3).map { volume in
            try stage.disk.files(below: "/volume-\(volume)/log").filter { $0.hasSuffix(".log") }.reduce(0) {
                $0 + (try stage.disk.contents(of: $1).count)
            }
        }
    }

    @Test func aDeletedBlobIsKeptForTheHistoryWindowAndGoneAfterIt() async throws {
        let stage = try await started()
        let (store, bucket) = (stage.store, stage.bucket)
        try await store.put(bucket, "k", Self.large)
        _ = try await store.delete(bucket, try ObjectKey("k"), .current, conditions: .none, actor: tester)
        try await reclaim(store)
        #expect(try stage.blobs().map(\.count) == [1, 1, 1])
        stage.fixture.advance(seconds: Self.week - 60)
        try await reclaim(store)
        #expect(try stage.blobs().map(\.count) == [1, 1, 1])
        stage.fixture.advance(seconds: 120)
        try await reclaim(store)
        #expect(try stage.blobs() == [[], [], []])
        #expect(try await findings(store) == [])
        store.close()
    }

    @Test func aBlobThatACopySharesIsKeptWhileOneUseRemains() async throws {
        let stage = try await started()
        let (store, bucket) = (stage.store, stage.bucket)
        let source = try await store.put(bucket, "k", Self.large).value
        _ = try await store.copy(
            source, to: bucket, try ObjectKey("copy"), metadata: EventMetadata(), checksums: [],
            conditions: .none, actor: tester)
        #expect(try stage.blobs().map(\.count) == [1, 1, 1])
        _ = try await store.delete(bucket, try ObjectKey("k"), .current, conditions: .none, actor: tester)
        stage.fixture.advance(seconds: 2 * Self.week)
        try await reclaim(store)
        #expect(try await store.get(bucket, "copy") == Self.large)
        _ = try await store.delete(bucket, try ObjectKey("copy"), .current, conditions: .none, actor: tester)
        stage.fixture.advance(seconds: 2 * Self.week)
        try await reclaim(store)
        #expect(try stage.blobs() == [[], [], []])
        store.close()
    }

    /// A copy of a version that is gone must not bring its blob back to life half reclaimed.
    @Test func aVersionThatIsGoneCannotBeCopied() async throws {
        let stage = try await started()
        let (store, bucket) = (stage.store, stage.bucket)
        let source = try await store.put(bucket, "k", Self.large).value
        _ = try await store.delete(bucket, try ObjectKey("k"), .current, conditions: .none, actor: tester)
        await #expect(throws: StoreError.self) {
            try await store.copy(
                source, to: bucket, try ObjectKey("copy"), metadata: EventMetadata(), checksums: [],
                conditions: .none, actor: tester)
        }
        store.close()
    }

    @Test func whatAReaderMaySeeIsNotReclaimedUnderIt() async throws {
        let stage = try await started()
        let (store, bucket) = (stage.store, stage.bucket)
        let version = try await store.put(bucket, "k", Self.large).value
        var reader: ObjectReader? = store.reader(of: version, range: 0..<version.size)
        _ = try await store.delete(bucket, try ObjectKey("k"), .current, conditions: .none, actor: tester)
        stage.fixture.advance(seconds: 2 * Self.week)
        try await reclaim(store)
        let buffer = AlignedBuffer(capacity: 65_536)
        #expect(try await reader?.read(into: buffer.bytes) == 65_536)
        reader = nil
        try await reclaim(store)
        #expect(try stage.blobs() == [[], [], []])
        store.close()
    }

    @Test func deadPayloadsLeaveTheLogAndTheirEventsAndTheChainStay() async throws {
        let stage = try await started()
        let (store, bucket) = (stage.store, stage.bucket)
        var random = SeededGenerator(seed: 5)
        let kept = random.bytes(9_000)
        try await store.put(bucket, "kept", kept)
        for _ in 0..<40 { try await store.put(bucket, "k", random.bytes(20_000)) }
        let last = random.bytes(20_000)
        try await store.put(bucket, "k", last)
        let before = try logBytes(stage)
        let events = try store.events(from: SequenceNumber(1), limit: 1000)
        stage.fixture.advance(seconds: 2 * Self.week)
        try await reclaim(store)
        let after = try logBytes(stage)
        for (before, after) in zip(before, after) { #expect(after < before / 2, "\(before) \(after)") }
        let left = try store.events(from: SequenceNumber(1), limit: events.count)
        #expect(left.map(\.chain) == events.map(\.chain))
        #expect(left.map(\.record) == events.map(\.record))
        #expect(try await store.get(bucket, "k") == last)
        #expect(try await store.get(bucket, "kept") == kept)
        #expect(try await findings(store) == [])
        store.close()
        try stage.fixture.forgetCatalog()
        let again = try await stage.fixture.open(stage.disk)
        #expect(try await again.get(bucket, "k") == last)
        #expect(try await findings(again) == [])
        again.close()
    }

    /// A sixth of each segment is dead, then a third of it: what was counted before counts on, also in the next process.
    @Test(arguments: [false, true])
    func aSegmentIsWrittenAfreshOnceEnoughOfItIsDead(isOpenedAgain: Bool) async throws {
        let stage = try await started()
        var (store, bucket) = (stage.store, stage.bucket)
        try await putSmall(store, bucket)
        func lose(_ remainder: Int) async throws {
            try await delete(store, bucket, Array(stride(from: remainder, to: 24, by: 6)))
            stage.fixture.advance(seconds: 2 * Self.week)
        }
        let before = try logBytes(stage)
        try await lose(0)
        try await reclaim(store)
        #expect(try logBytes(stage) == before, "too little to be worth it")
        if isOpenedAgain {
            store.close()
            store = try await stage.fixture.open(stage.disk)
            try await reclaim(store)
            #expect(try logBytes(stage) == before)
        }
        try await lose(3)
        // What died last is in the window.
        try await delete(store, bucket, [1])
        try await reclaim(store)
        let after = try logBytes(stage)
        for (before, after) in zip(before, after) {
            #expect(before - after > 6 * 20_000, "\(before) \(after)")
        }
        let head = store.head.sequence
        #expect(try await !store.reclaim(), "it does not begin anew")
        #expect(store.head.sequence == head)
        for number in 24..<30 {
            #expect(try await store.get(bucket, "k\(number)") == Self.small(number))
        }
        #expect(try await findings(store) == [])
        store.close()
    }

    /// What is read pins the time at which it was written, which is before all that was counted.
    @Test func whatAReaderOfTheOldestKeepsIsGivenBackAfterIt() async throws {
        let stage = try await started()
        let (store, bucket) = (stage.store, stage.bucket)
        let oldest = try await store.put(bucket, "oldest", Self.large).value
        try await putSmall(store, bucket)
        let before = try logBytes(stage)
        try await delete(store, bucket, Array(0..<24))
        stage.fixture.advance(seconds: 2 * Self.week)
        #expect(try await store.reclaim(), "all are counted, and those of one segment planned")
        var reader: ObjectReader? = store.reader(of: oldest, range: 0..<oldest.size)
        try await reclaim(store)
        let during = try logBytes(stage)
        for (before, during) in zip(before, during) {
            #expect((1..<200_000).contains(before - during), "\(before) \(during)")
        }
        let buffer = AlignedBuffer(capacity: 65_536)
        #expect(try await reader?.read(into: buffer.bytes) == 65_536)
        reader = nil
        try await reclaim(store)
        for (before, after) in zip(before, try logBytes(stage)) {
            #expect(before - after > 20 * 20_000, "\(before) \(after)")
        }
        #expect(try await findings(store) == [])
        store.close()
    }

    @Test func aVolumeThatWasAwayWhileSpaceWasReclaimedGivesItBackToo() async throws {
        let stage = try await started()
        let (store, bucket) = (stage.store, stage.bucket)
        for _ in 0..<20 { try await store.put(bucket, "k", [UInt8](repeating: 1, count: 20_000)) }
        try await store.put(bucket, "large", Self.large)
        try await store.put(bucket, "large", [])
        let fault = stage.strike(2, .fail(EIO), on: [.sync])
        try await store.put(bucket, "k", [1])
        stage.fixture.advance(seconds: 2 * Self.week)
        try await reclaim(store)
        #expect(try stage.blobs().map(\.count) == [0, 1, 0])
        stage.disk.removeFault(fault)
        store.maintain()
        #expect(stage.standings == [.inService, .inService, .inService])
        #expect(try stage.blobs() == [[], [], []])
        let sizes = try (1...3).map { volume in
            try stage.disk.files(below: "/volume-\(volume)/log").filter { $0.hasSuffix(".log") }.dropLast()
                .map {
                    try stage.disk.contents(of: $0).count
                }
        }
        #expect(sizes[1] == sizes[0])
        #expect(try await findings(store) == [])
        store.close()
    }

    @Test func aCrashAtEveryOperationOfReclaimingLosesNothing() async throws {
        let stage = try await started()
        let (store, bucket) = (stage.store, stage.bucket)
        for _ in 0..<12 { try await store.put(bucket, "k", [UInt8](repeating: 1, count: 20_000)) }
        try await store.put(bucket, "kept", Self.large)
        for key in ["x", "y"] {
            try await store.put(bucket, key, Self.large)
            _ = try await store.delete(bucket, try ObjectKey(key), .current, conditions: .none, actor: tester)
        }
        store.close()
        stage.fixture.advance(seconds: 2 * Self.week)
        var points = 0
        while true {
            points += 1
            let disk = stage.disk.clone()
            try stage.fixture.forgetCatalog()
            let before = try await stage.fixture.open(disk)
            disk.crash(atOperation: points)
            do { try await reclaim(before) } catch {
                guard disk.hasCrashed else { throw error }
            }
            let isOver = !disk.hasCrashed
            before.close()
            let found = disk.recovered(seed: UInt64(points))
            try stage.fixture.forgetCatalog()
            let after = try await stage.fixture.open(found)
            #expect(try await after.get(bucket, "kept") == Self.large, "operation \(points)")
            #expect(try await after.get(bucket, "k").count == 20_000, "operation \(points)")
            #expect(try await findings(after) == [], "operation \(points)")
            try await reclaim(after)
            for volume in 1...3 {
                #expect(
                    try found.files(below: "/volume-\(volume)/blobs").count == 1, "operation \(points)")
            }
            #expect(try await findings(after) == [], "operation \(points), finished")
            after.close()
            if isOver { break }
        }
        print("\(points) crash points of reclaiming")
        #expect(points > 20)
    }
}
