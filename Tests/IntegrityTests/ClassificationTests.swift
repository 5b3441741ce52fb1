import Foundation
import Integrity
import Model
import ObjectStore
import TestSupport
import Testing
import Volumes

/// Mismatches that look alike and are told apart.
@Suite struct ClassificationTests {
    private func check(_ store: ObjectStore, repair: Bool = false, includesOpening: Bool = false)
        async throws -> [Finding]
    {
        var found: [Finding] = []
        _ = try await StoreCheck(
            store, .init(isDeep: true, repairs: repair), includesOpening: includesOpening
        ).run { found.append($0) }
        return found
    }

    private func blobs(_ stage: StartedStore, _ volume: Int) throws -> Set<String> {
        Set(try stage.disk.files(below: "/volume-\(volume)/blobs"))
    }

    /// Expects findings of these codes and no others, then mends them.
    private func expect(
        _ codes: [FindingCode], _ stage: StartedStore, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let found = try await check(stage.store)
        #expect(found.map(\.code) == codes, "\(found)", sourceLocation: sourceLocation)
        let mended = try await check(stage.store, repair: true)
        #expect(mended.filter { !$0.isRepaired } == [], sourceLocation: sourceLocation)
        let left = try await check(stage.store)
        #expect(left == [], sourceLocation: sourceLocation)
    }

    @Test func aBlobThatWasReclaimedAndIsBackIsAnOrphanOfARemovedVersion() async throws {
        let stage = try await StartedStore()
        defer { stage.store.close() }
        var random = SeededGenerator(seed: 5)
        try await stage.store.put(stage.bucket, "k", random.bytes(100_000))
        let path = try #require(try blobs(stage, 2).first)
        let bytes = try stage.disk.contents(of: path)
        _ = try await stage.store.delete(
            stage.bucket, try ObjectKey("k"), .current, conditions: .none, actor: tester)
        stage.fixture.advance(seconds: 8 * 86_400)
        while try await stage.store.reclaim() {}
        #expect(try blobs(stage, 2).isEmpty)
        try stage.disk.place(bytes, at: path)
        try await expect([.removedOrphan], stage)
    }

    @Test func anOlderCopyPutBackIsToldFromAnotherObjectsReplica() async throws {
        let stage = try await StartedStore()
        defer { stage.store.close() }
        var random = SeededGenerator(seed: 6)
        try await stage.store.put(stage.bucket, "k", random.bytes(100_000))
        let old = try #require(try blobs(stage, 1).first)
        try await stage.store.put(stage.bucket, "k", random.bytes(100_000))
        let new = try #require(try blobs(stage, 1).subtracting([old]).first)
        try await stage.store.put(stage.bucket, "other", random.bytes(100_000))
        let other = try #require(try blobs(stage, 1).subtracting([old, new]).first)
        try stage.disk.place(try stage.disk.contents(of: old), at: new)
        try await expect([.olderVersion], stage)
        try stage.disk.place(try stage.disk.contents(of: other), at: new)
        try await expect([.wrongIdentity], stage)
    }

    @Test func aReplicaOfAnotherVolumeIsServedAndWrittenAnew() async throws {
        let stage = try await StartedStore()
        defer { stage.store.close() }
        var random = SeededGenerator(seed: 7)
        let bytes = random.bytes(100_000)
        try await stage.store.put(stage.bucket, "k", bytes)
        let paths = try (1...3).map { try #require(try blobs(stage, $0).first) }
        for volume in 0..<3 {
            try stage.disk.place(try stage.disk.contents(of: paths[0]), at: paths[volume])
        }
        #expect(try await stage.store.get(stage.bucket, "k") == bytes)
        try await expect([.otherVolume, .otherVolume], stage)
    }

    @Test func aBlockOfZerosIsAHoleAndOneThatOughtToBeZerosIsGood() async throws {
        let stage = try await StartedStore()
        defer { stage.store.close() }
        var random = SeededGenerator(seed: 8)
        let zeros = [UInt8](repeating: 0, count: Limits.blockSize)
        try await stage.store.put(stage.bucket, "k", zeros + random.bytes(70_000))
        #expect(try await check(stage.store) == [])
        let path = try #require(try blobs(stage, 3).first)
        try stage.disk.corrupt(path, at: UInt64(Limits.blockSize), with: zeros)
        try await expect([.hole], stage)
    }

    @Test func aFileThatMayNotBeReadIsToldFromOneThatCannot() async throws {
        for (code, expected) in [(EACCES, FindingCode.permissionDenied), (EIO, .unreadable)] {
            let stage = try await StartedStore()
            defer { stage.store.close() }
            var random = SeededGenerator(seed: 9)
            try await stage.store.put(stage.bucket, "k", random.bytes(100_000))
            stage.strike(2, .fail(code), on: [.open], below: "blobs/")
            let found = try await check(stage.store)
            #expect(found.map(\.code) == [expected])
            stage.disk.removeFaults()
        }
    }

    @Test func strangeFilesAreToldByTheirNameAndTrailer() async throws {
        let stage = try await StartedStore()
        defer { stage.store.close() }
        var random = SeededGenerator(seed: 10)
        try await stage.store.put(stage.bucket, "k", random.bytes(100_000))
        let replica = try stage.disk.contents(of: try #require(try blobs(stage, 1).first))
        let directory = "/volume-1/blobs/ab/ab/"
        try stage.disk.place(replica, at: directory + String(repeating: "ab", count: 16))
        try stage.disk.place([1], at: directory + String(repeating: "AB", count: 16))
        try stage.disk.place([1], at: directory + "abab" + String(repeating: "cd", count: 14))
        try stage.disk.place(replica, at: directory + "copy")
        try stage.disk.place([1], at: "/volume-1/blobs/stray")
        let found = try await check(stage.store)
        let counts = Dictionary(found.map { ($0.code, 1) }, uniquingKeysWith: +)
        #expect(
            counts == [.duplicateFile: 2, .nameVariant: 1, .orphanFile: 1, .foreignFile: 1], "\(found)")
        let mended = try await check(stage.store, repair: true)
        #expect(mended.count == 5)
        #expect(mended.filter { !$0.isRepaired } == [])
        #expect(try await check(stage.store) == [])
    }
}
