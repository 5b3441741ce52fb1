import Foundation
import Model
import ObjectStore
import TestSupport
import Testing
import Volumes

/// What a read says that no volume could serve: lost only if every replica was seen to be bad.
@Suite struct UnreadableTests {
    private static let large = [UInt8](repeating: 7, count: 150_000)

    private enum Outcome: Equatable { case bytes, lost, notReadable, other(String) }

    private func outcome(_ stage: StartedStore, _ key: String, _ bytes: [UInt8]) async throws -> Outcome {
        do {
            return try await stage.store.get(stage.bucket, key) == bytes ? .bytes : .other("other bytes")
        } catch StoreError.lost { return .lost } catch StoreError.notReadable { return .notReadable } catch {
            return .other("\(error)")
        }
    }

    private func takeAway(_ volumes: some Sequence<Int>, _ stage: StartedStore) throws {
        for volume in volumes { try stage.disk.unmount("/volume-\(volume)") }
        stage.store.maintain()
    }

    private func bringBack(_ volumes: some Sequence<Int>, _ stage: StartedStore) throws {
        for volume in volumes { try stage.disk.mount("/volume-\(volume)") }
        for _ in 0..<2 { stage.store.maintain() }
    }

    @Test func withNoVolumeInServiceNothingIsLost() async throws {
        let stage = try await StartedStore()
        try await stage.store.put(stage.bucket, "small", [1, 2, 3])
        try await stage.store.put(stage.bucket, "large", Self.large)
        try takeAway(1...3, stage)
        #expect(stage.standings == [.setAside, .setAside, .setAside])
        #expect(try await outcome(stage, "small", [1, 2, 3]) == .notReadable)
        #expect(try await outcome(stage, "large", Self.large) == .notReadable)
        try bringBack(1...3, stage)
        #expect(try await outcome(stage, "small", [1, 2, 3]) == .bytes)
        #expect(try await outcome(stage, "large", Self.large) == .bytes)
        stage.store.close()
    }

    /// Bad replicas on some volumes, and some volumes out of service.
    @Test(arguments: [
        (bad: [1, 2, 3], out: [Int](), isLost: true), (bad: [1, 2], out: [3], isLost: false),
        (bad: [1], out: [2, 3], isLost: false), (bad: [1, 2, 3], out: [3], isLost: false),
    ])
    func whatAVolumeThatIsOutHoldsIsNotCalledLost(bad: [Int], out: [Int], isLost: Bool) async throws {
        let stage = try await StartedStore()
        try await stage.store.put(stage.bucket, "large", Self.large)
        let small = try await stage.store.put(stage.bucket, "small", [UInt8](repeating: 9, count: 5000))
        for volume in bad {
            let path = try #require(try stage.disk.files(below: "/volume-\(volume)/blobs").first)
            try stage.disk.corrupt(path, at: 70_000)
            let (log, range) = try LogDamage(disk: stage.disk, volume: volume).frame(small.commit.sequence)
            try stage.disk.corrupt(log, at: UInt64(range.upperBound - 50))
        }
        try takeAway(out, stage)
        for (key, bytes) in [("large", Self.large), ("small", [UInt8](repeating: 9, count: 5000))] {
            #expect(try await outcome(stage, key, bytes) == (isLost ? .lost : .notReadable), "\(key)")
        }
        for volume in out { try stage.disk.mount("/volume-\(volume)") }
        stage.store.close()
    }

    /// The volume is listed as one to read from, and leaves before it is asked.
    @Test func aVolumeThatFailsUnderAReadIsNotHeldAgainstTheObject() async throws {
        let stage = try await StartedStore()
        try await stage.store.put(stage.bucket, "large", Self.large)
        for volume in 1...3 { stage.strike(volume, .fail(EIO), on: [.read], below: "blobs/") }
        let reader = stage.store.reader(
            of: try stage.store.version(stage.bucket, try ObjectKey("large"), .current), range: 0..<150_000)
        try takeAway([1, 2], stage)
        let buffer = AlignedBuffer(capacity: 1 << 20)
        await #expect {
            try await reader.read(into: buffer.bytes)
        } throws: {
            if case StoreError.notReadable = $0 { true } else { false }
        }
        for volume in [1, 2] { try stage.disk.mount("/volume-\(volume)") }
        stage.store.close()
    }

    /// One volume is left, and the frame of a small object is damaged on it: those that return have it, whether the
    /// damage is to the bytes or to the event.
    @Test(arguments: [true, false], [true, false])
    func aFrameThatOnlyVolumesSetAsideHaveIsTakenFromThem(isSealed: Bool, isPayload: Bool) async throws {
        let stage = try await StartedStore { $0.segmentByteCount = 128 * 1024 }
        let (store, bucket) = (stage.store, stage.bucket)
        var puts: [Committed<ObjectVersion>] = []
        for number in 0..<(isSealed ? 10 : 2) {
            puts.append(
                try await store.put(bucket, "k\(number)", Array(repeating: UInt8(number), count: 20_000)))
        }
        // Volume 1 misses something, volume 2 nothing.
        try takeAway([1], stage)
        try await store.put(bucket, "later", [1])
        try takeAway([2], stage)
        #expect(stage.standings == [.setAside, .setAside, .inService])
        for put in puts.prefix(2) {
            let (path, range) = try LogDamage(disk: stage.disk, volume: 3).frame(put.commit.sequence)
            try stage.disk.corrupt(
                path, at: UInt64(isPayload ? range.upperBound - 50 : range.lowerBound + 100))
        }
        #expect(try await outcome(stage, "k0", Array(repeating: 0, count: 20_000)) == .notReadable)
        try bringBack([1], stage)
        #expect(stage.standings == [.inService, .setAside, .inService], "\(store.volumeStatuses)")
        #expect(try await outcome(stage, "k0", Array(repeating: 0, count: 20_000)) == .bytes)
        #expect(try await store.put(bucket, "after", [1]).commit.replicas == 2)
        try bringBack([2], stage)
        #expect(stage.standings == [.inService, .inService, .inService], "\(store.volumeStatuses)")
        #expect(try await outcome(stage, "k1", Array(repeating: 1, count: 20_000)) == .bytes)
        store.close()
    }
}
