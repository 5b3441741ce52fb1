import Foundation
import Model
import ObjectStore
import TestSupport
import Testing
import Volumes

@Suite struct PayloadCacheTests {
    private static func name(_ number: Int) -> PayloadCache.Name {
        PayloadCache.Name(bucket: "bucket", key: "key-\(number)")
    }

    private static func sequence(_ number: Int) -> SequenceNumber { SequenceNumber(UInt64(number + 1)) }

    /// Asks for a payload as a read does, and puts it in if it is wanted.
    /// - Returns: whether it was there.
    @discardableResult
    private static func read(_ cache: PayloadCache, _ number: Int, _ bytes: [UInt8]) -> Bool {
        switch cache.payload(of: sequence(number), name(number)) {
        case .found(let found):
            #expect(found == bytes)
            return true
        case .missing(let isWanted):
            if isWanted { cache.insert(bytes, of: sequence(number), name(number)) }
            return false
        }
    }

    private static func bytes(_ number: Int) -> [UInt8] {
        [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 1000)
    }

    @Test func whatIsAskedForTwiceIsThereTheThirdTime() {
        let cache = PayloadCache(byteLimit: 1 << 20)
        #expect((0..<4).map { _ in Self.read(cache, 7, Self.bytes(7)) } == [false, false, true, true])
        let counts = cache.counts
        #expect(counts.hits == 2 && counts.misses == 2 && counts.byteCount >= 1000)
    }

    @Test func itTakesNoMoreMemoryThanItMayAndKeepsWhatIsHot() {
        let cache = PayloadCache(byteLimit: 256 * 1024)
        let hot = 0..<20
        for _ in 0..<3 { for number in hot { Self.read(cache, number, Self.bytes(number)) } }
        var hits = 0
        for round in 0..<40 {
            // A hundred others, each asked for twice, go by for each round of the hot ones.
            for number in 1000 + round * 100..<1100 + round * 100 {
                for _ in 0..<2 { Self.read(cache, number, Self.bytes(number)) }
            }
            for number in hot where Self.read(cache, number, Self.bytes(number)) { hits += 1 }
            #expect(cache.counts.byteCount <= 256 * 1024)
        }
        #expect(cache.counts.evictions > 1000)
        #expect(hits > 40 * 20 * 7 / 10, "\(hits) of 800")
    }

    @Test func aPassOverEverythingPutsNothingIn() {
        let cache = PayloadCache(byteLimit: 1 << 20)
        for number in 0..<10_000 { Self.read(cache, number, Self.bytes(number)) }
        #expect(cache.counts.byteCount < 100_000)
    }

    @Test func anEventAboutAKeyDropsWhatIsThereOfIt() {
        let cache = PayloadCache(byteLimit: 1 << 20)
        for number in [1, 2] { for _ in 0..<2 { Self.read(cache, number, Self.bytes(number)) } }
        var published = EventVersionPublished()
        published.bucket = "bucket"
        published.key = "key-1"
        var record = EventRecord()
        record.versionPublished = published
        cache.follow(record)
        #expect(!Self.read(cache, 1, Self.bytes(1)))
        #expect(Self.read(cache, 2, Self.bytes(2)))
        #expect(cache.counts.invalidations == 1)
        // Dropped and put in again and again, it takes no more than once.
        for _ in 0..<1000 {
            for _ in 0..<2 { Self.read(cache, 1, Self.bytes(1)) }
            cache.follow(record)
        }
        #expect(cache.counts.byteCount < 3000)
    }

    @Test func anotherVersionOfTheKeyIsNotTakenForIt() {
        let cache = PayloadCache(byteLimit: 1 << 20)
        cache.insert([1], of: SequenceNumber(1), Self.name(1))
        cache.insert([2], of: SequenceNumber(2), Self.name(1))
        for (number, byte) in [(1, 1), (2, 2)] as [(UInt64, UInt8)] {
            guard case .found(let bytes) = cache.payload(of: SequenceNumber(number), Self.name(1)) else {
                Issue.record("version \(number) is not there")
                continue
            }
            #expect(bytes == [byte])
        }
        guard case .missing = cache.payload(of: SequenceNumber(3), Self.name(1)) else {
            Issue.record("a version that was never put in is there")
            return
        }
    }

    @Test func aStoreAnswersFromMemoryAndNeverWithWhatWasThereBefore() async throws {
        let started = try await StartedStore { $0.payloadCacheByteCount = 1 << 20 }
        let (store, bucket) = (started.store, started.bucket)
        for round in 0..<5 as Range<UInt8> {
            let bytes = [UInt8](repeating: round, count: 5000)
            try await store.put(bucket, "key", bytes)
            for _ in 0..<5 { #expect(try await store.get(bucket, "key") == bytes) }
            let version = try store.version(bucket, try ObjectKey("key"), .current)
            #expect(try await store.read(version, 10..<20) == Array(bytes[10..<20]))
        }
        let counts = try #require(store.payloadCacheCounts)
        #expect(counts.hits == 20 && counts.misses == 10 && counts.invalidations == 4)
        store.close()
    }

    @Test func whatWasReadBeforeIsReadWhileNoVolumeCan() async throws {
        let started = try await StartedStore { $0.payloadCacheByteCount = 1 << 20 }
        let bytes = [UInt8](repeating: 9, count: 5000)
        try await started.store.put(started.bucket, "key", bytes)
        for _ in 0..<2 { #expect(try await started.store.get(started.bucket, "key") == bytes) }
        for volume in 1...3 { started.strike(volume, .fail(5), on: [.read, .readIfCached], below: "log") }
        #expect(try await started.store.get(started.bucket, "key") == bytes)
        started.store.close()
    }
}
