import Foundation
import Integrity
import Model
import ObjectStore
import Synchronization
import TestSupport
import Testing
import Volumes

@Suite struct ReplicaCheckTests {
    private struct Stage {
        let fixture: StoreFixture
        let disk: SimulatedFileSystem
        let store: ObjectStore
        let bucket: BucketName
        let bytes: [UInt8]

        func check(deep: Bool = false, repair: Bool = false) async throws -> ([Finding], CheckSummary) {
            var found: [Finding] = []
            let summary = try await ReplicaCheck(store, .init(isDeep: deep, repairs: repair)).run {
                found.append($0)
            }
            return (found, summary)
        }

        func file(_ volume: Int) throws -> String {
            try #require(try disk.files(below: "/volume-\(volume)/blobs").first)
        }
    }

    private func stage() async throws -> Stage {
        let fixture = try StoreFixture()
        let disk = SimulatedFileSystem()
        try fixture.create(disk)
        let store = try await fixture.open(disk)
        let bucket = try bucketName("bucket")
        _ = try await store.createBucket(bucket, region: "r", actor: tester)
        var random = SeededGenerator(seed: 3)
        let bytes = random.bytes(300_000)
        try await store.put(bucket, "photo.jpg", bytes)
        return Stage(fixture: fixture, disk: disk, store: store, bucket: bucket, bytes: bytes)
    }

    /// Damages one replica, expects exactly this finding, mends it, and expects a second check to be clean
    /// and the bytes to be right.
    private func expect(
        _ code: FindingCode, deep: Bool = false, sourceLocation: SourceLocation = #_sourceLocation,
        damage: (Stage) throws -> Void
    ) async throws {
        let stage = try await stage()
        defer { stage.store.close() }
        let (clean, _) = try await stage.check(deep: true)
        #expect(clean.isEmpty, "\(clean)", sourceLocation: sourceLocation)
        try damage(stage)
        let (found, summary) = try await stage.check(deep: deep)
        #expect(found.map(\.code) == [code], "\(found)", sourceLocation: sourceLocation)
        #expect(summary.exitStatus == 4, sourceLocation: sourceLocation)
        let volume = found.first?.volume
        #expect(volume == 2, sourceLocation: sourceLocation)
        let (mended, after) = try await stage.check(deep: deep, repair: true)
        let isAllMended = mended.allSatisfy { $0.isRepaired }
        #expect(isAllMended, "\(mended)", sourceLocation: sourceLocation)
        #expect(after.exitStatus == 1, sourceLocation: sourceLocation)
        let (left, last) = try await stage.check(deep: true)
        #expect(left.isEmpty, "\(left)", sourceLocation: sourceLocation)
        #expect(last.exitStatus == 0, sourceLocation: sourceLocation)
        let read = try await stage.store.get(stage.bucket, "photo.jpg")
        #expect(read == stage.bytes, sourceLocation: sourceLocation)
    }

    @Test func aMissingReplicaIsNamedAndRestored() async throws {
        try await expect(.missingReplica) { try $0.disk.lose(try $0.file(2)) }
    }

    @Test func aCorruptBlockIsFoundByADeepCheckAndRestored() async throws {
        try await expect(.corruptBlock, deep: true) { try $0.disk.corrupt(try $0.file(2), at: 70_000) }
    }

    @Test func aTruncatedFileIsToldFromADamagedOne() async throws {
        try await expect(.truncatedFile) { try $0.disk.corruptSize(try $0.file(2), to: 100_000) }
    }

    @Test func aFileThatSomethingWasAppendedToIsTold() async throws {
        try await expect(.extendedFile) {
            let path = try $0.file(2)
            try $0.disk.place(try $0.disk.contents(of: path) + [1, 2, 3], at: path)
        }
    }

    @Test func aDamagedFooterIsFound() async throws {
        try await expect(.damagedTrailer) {
            let path = try $0.file(2)
            try $0.disk.corrupt(path, at: UInt64(try $0.disk.contents(of: path).count - 50))
        }
    }

    @Test func aSecondReplicaUnderAnotherNameGoesToQuarantine() async throws {
        try await expect(.duplicateFile) {
            let path = try $0.file(2)
            let copy = try $0.disk.contents(of: path)
            let name = String(repeating: "0", count: 32)
            let folder = "/volume-2/blobs/00/00"
            try $0.disk.createDirectories(folder)
            try $0.disk.place(copy, at: "\(folder)/\(name)")
        }
    }

    @Test func aLeftoverInIncomingGoesToQuarantine() async throws {
        try await expect(.leftover) {
            try $0.disk.place([1, 2, 3], at: "/volume-2/incoming/" + String(repeating: "a", count: 32))
        }
    }

    @Test func aForeignFileGoesToQuarantine() async throws {
        try await expect(.foreignFile) { try $0.disk.place([1], at: "/volume-2/incoming/notes.txt") }
    }

    @Test func anObjectWithNoReplicaLeftIsNamedWithItsKeyAndVersion() async throws {
        let stage = try await stage()
        defer { stage.store.close() }
        for volume in 1...3 { try stage.disk.lose(try stage.file(volume)) }
        let (found, summary) = try await stage.check(repair: true)
        let dangling = try #require(found.first { $0.code == .danglingMetadata })
        #expect(dangling.bucket == "bucket")
        #expect(dangling.key == "photo.jpg")
        #expect(dangling.versionID == "null")
        #expect(summary.exitStatus == 4)
    }

    @Test func swappedReplicasAreToldByTheirIdentity() async throws {
        let stage = try await stage()
        defer { stage.store.close() }
        var random = SeededGenerator(seed: 4)
        try await stage.store.put(stage.bucket, "other.jpg", random.bytes(300_000))
        let files = try stage.disk.files(below: "/volume-2/blobs")
        let contents = try files.map { try stage.disk.contents(of: $0) }
        try stage.disk.place(contents[1], at: files[0])
        try stage.disk.place(contents[0], at: files[1])
        let (found, _) = try await stage.check()
        #expect(found.map(\.code) == [.wrongIdentity, .wrongIdentity])
        let (_, summary) = try await stage.check(repair: true)
        #expect(summary.exitStatus == 1)
        let (left, _) = try await stage.check(deep: true)
        #expect(left.isEmpty)
    }
}
