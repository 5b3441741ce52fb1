import Catalog
import Foundation
import Model
import ObjectStore
import TestSupport
import Testing
import Volumes

@Suite struct ObjectStoreTests {
    private func started() async throws -> (StoreFixture, SimulatedFileSystem, ObjectStore, BucketName) {
        let fixture = try StoreFixture()
        let disk = SimulatedFileSystem()
        try fixture.create(disk)
        let store = try await fixture.open(disk)
        let bucket = try bucketName("bucket")
        _ = try await store.createBucket(bucket, region: "us-east-1", actor: tester)
        return (fixture, disk, store, bucket)
    }

    @Test(arguments: [0, 1, 100, 65_536, 65_537, 200_000, 1_048_576, 3_000_001])
    func whatIsPutIsReadBack(count: Int) async throws {
        let (fixture, _, store, bucket) = try await started()
        var random = SeededGenerator(seed: UInt64(count))
        let bytes = random.bytes(count)
        let put = try await store.put(bucket, "key", bytes)
        #expect(put.commit.replicas == 3)
        #expect(put.value.size == UInt64(count))
        #expect(try await store.get(bucket, "key") == bytes)
        if count > 10 {
            let version = try store.version(bucket, try ObjectKey("key"), .current)
            let range = UInt64(count / 3)..<UInt64(count - 1)
            #expect(try await store.read(version, range, step: 7_777) == Array(bytes[count / 3..<count - 1]))
        }
        store.close()
        _ = fixture
    }

    @Test func versionsFollowTheStatesOfVersioning() async throws {
        let (fixture, _, store, bucket) = try await started()
        let key = try ObjectKey("k")
        try await store.put(bucket, "k", [1])
        try await store.put(bucket, "k", [2])
        #expect(
            try store.listVersions(
                bucket, prefix: "", delimiter: "", keyMarker: "", versionMarker: nil, limit: 10
            ).items.count == 1)
        _ = try await store.configureBucket(
            bucket, setting: "versioning", value: Array("Enabled".utf8), actor: tester)
        let third = try await store.put(bucket, "k", [3]).value
        #expect(try await store.get(bucket, "k") == [3])
        #expect(try await store.get(bucket, "k", .null) == [2])
        let marker = try await store.delete(bucket, key, .current, conditions: .none, actor: tester)
        #expect(marker.isDeleteMarker)
        await #expect(throws: StoreError.self) { try await store.get(bucket, "k") }
        #expect(try store.listCurrent(bucket, prefix: "", delimiter: "", after: "", limit: 10).items.isEmpty)
        #expect(try await store.get(bucket, "k", .id(third.versionID)) == [3])
        let markerID = try #require(marker.versionID.flatMap { VersionSelector(wire: $0) })
        _ = try await store.delete(bucket, key, markerID, conditions: .none, actor: tester)
        #expect(try await store.get(bucket, "k") == [3])
        _ = try await store.configureBucket(
            bucket, setting: "versioning", value: Array("Suspended".utf8), actor: tester)
        try await store.put(bucket, "k", [4])
        #expect(try await store.get(bucket, "k", .null) == [4])
        #expect(
            try store.listVersions(
                bucket, prefix: "", delimiter: "", keyMarker: "", versionMarker: nil, limit: 10
            ).items.count == 2)
        await #expect(throws: StoreError.self) {
            try await store.configureBucket(bucket, setting: "versioning", value: [], actor: tester)
        }
        store.close()
        _ = fixture
    }

    @Test func partsBecomeOneObjectWithoutBeingCopied() async throws {
        let (fixture, disk, store, bucket) = try await started()
        let key = try ObjectKey("big")
        let upload = try await store.createUpload(
            bucket, key, metadata: EventMetadata(), checksumAlgorithm: .unspecified, composite: false,
            actor: tester
        ).value
        var random = SeededGenerator(seed: 5)
        let parts = [random.bytes(5 << 20), random.bytes(5 << 20), random.bytes(1000)]
        var named: [CompletedPart] = []
        for (offset, bytes) in parts.enumerated() {
            let part = try await store.putPart(bucket, "big", upload.uploadID, offset + 1, bytes)
            named.append(CompletedPart(number: part.number, etag: part.etag))
        }
        let files = try disk.files(below: "/volume-1/blobs").count
        let done = try await store.completeUpload(
            bucket, key, upload.uploadID, parts: named, checksums: [], conditions: .none, actor: tester)
        #expect(try disk.files(below: "/volume-1/blobs").count == files)
        #expect(done.value.etag.hasSuffix("-3"))
        #expect(try await store.get(bucket, "big") == parts.flatMap { $0 })
        let again = try await store.completeUpload(
            bucket, key, upload.uploadID, parts: named, checksums: [], conditions: .none, actor: tester)
        #expect(again.value.sequence == done.value.sequence)
        let copy = try await store.copy(
            done.value, to: bucket, try ObjectKey("copy"), metadata: EventMetadata(), checksums: [],
            conditions: .none, actor: tester)
        #expect(copy.value.size == done.value.size)
        #expect(try await store.get(bucket, "copy") == parts.flatMap { $0 })
        store.close()
        _ = fixture
    }

    @Test func aConditionIsCheckedWhenTheChangeIsCommitted() async throws {
        let (fixture, _, store, bucket) = try await started()
        try await store.put(bucket, "k", [1], conditions: WriteConditions(ifNoneMatch: .any))
        await #expect(throws: StoreError.self) {
            try await store.put(bucket, "k", [2], conditions: WriteConditions(ifNoneMatch: .any))
        }
        await #expect(throws: StoreError.self) {
            try await store.put(bucket, "k", [2], conditions: WriteConditions(ifMatch: .tags(["nonsense"])))
        }
        #expect(try await store.get(bucket, "k") == [1])
        store.close()
        _ = fixture
    }

    @Test func aStoreOpensAgainWithEverythingAndACatalogMadeAnewIsTheSame() async throws {
        let (fixture, disk, store, bucket) = try await started()
        var random = SeededGenerator(seed: 9)
        var contents: [String: [UInt8]] = [:]
        for number in 0..<60 {
            let bytes = random.bytes(Int.random(in: 0...90_000, using: &random))
            contents["key-\(number)"] = bytes
            try await store.put(bucket, "key-\(number)", bytes)
        }
        store.close()
        try fixture.forgetCatalog()
        let again = try await fixture.open(disk)
        #expect(again.opening.eventsReplayed > 60)
        for (key, bytes) in contents { #expect(try await again.get(bucket, key) == bytes) }
        again.close()
    }

    /// The catalog is a view of the log: one that is unusable is as one that is not there, and is told of.
    @Test func aCatalogThatIsNoDatabaseIsMadeAnew() async throws {
        let (fixture, disk, store, bucket) = try await started()
        try await store.put(bucket, "k", [1, 2, 3])
        #expect(store.opening.catalogFlaw == nil)
        store.close()
        try fixture.forgetCatalog()
        let path = fixture.settings.catalogPath
        try Data(repeating: 0x41, count: 8192).write(to: URL(fileURLWithPath: path))
        let again = try await fixture.open(disk)
        #expect(again.opening.catalogFlaw?.hasPrefix("it is no SQLite database") == true)
        #expect(again.opening.eventsReplayed > 1)
        #expect(try await again.get(bucket, "k") == [1, 2, 3])
        again.close()
        #expect(!FileManager.default.fileExists(atPath: path + ".former"))
        let last = try await fixture.open(disk)
        #expect(last.opening.catalogFlaw == nil)
        last.close()
    }

    @Test func aCatalogOfAnotherStoreIsMadeAnew() async throws {
        let (other, _, stranger, _) = try await started()
        // All of it is in the one file that is copied.
        #expect(try stranger.inspection.catalog.checkpoint())
        stranger.close()
        let (fixture, disk, store, bucket) = try await started()
        try await store.put(bucket, "k", [1, 2, 3])
        store.close()
        try fixture.forgetCatalog()
        try FileManager.default.copyItem(
            atPath: other.settings.catalogPath, toPath: fixture.settings.catalogPath)
        let again = try await fixture.open(disk)
        #expect(again.opening.catalogFlaw == "it belongs to another store")
        #expect(try await again.get(bucket, "k") == [1, 2, 3])
        again.close()
    }

    @Test func threeReplicasDamagedInThreePlacesReadCorrectly() async throws {
        let (fixture, disk, store, bucket) = try await started()
        var random = SeededGenerator(seed: 11)
        let bytes = random.bytes(400_000)
        try await store.put(bucket, "k", bytes)
        for volume in 1...3 {
            let path = try #require(try disk.files(below: "/volume-\(volume)/blobs").first)
            try disk.corrupt(path, at: UInt64(volume) * 70_000)
        }
        #expect(try await store.get(bucket, "k") == bytes)
        store.close()
        _ = fixture
    }

    @Test func aVolumeThatFailsIsSetAsideAndComesBackFromTheLog() async throws {
        let (fixture, disk, store, bucket) = try await started()
        var random = SeededGenerator(seed: 12)
        try await store.put(bucket, "before", random.bytes(100_000))
        let fault = disk.inject(Fault(.fail(EIO), on: [.sync], times: nil) { $0.hasPrefix("/volume-2/") })
        let small = random.bytes(10)
        let large = random.bytes(300_000)
        #expect(try await store.put(bucket, "small", small).commit.replicas == 2)
        #expect(try await store.put(bucket, "large", large).commit.replicas == 2)
        #expect(store.volumeStatuses[1].standing == .setAside)
        disk.removeFault(fault)
        store.maintain()
        #expect(store.volumeStatuses[1].standing == .inService, "\(store.volumeStatuses[1])")
        #expect(try await store.put(bucket, "after", [1]).commit.replicas == 3)
        // The two others go away: what is read now is on volume 2.
        for volume in [1, 3] {
            for path in try disk.files(below: "/volume-\(volume)/blobs") { try disk.lose(path) }
        }
        #expect(try await store.get(bucket, "large") == large)
        #expect(try await store.get(bucket, "small") == small)
        store.close()
        _ = fixture
    }

    @Test func withTwoVolumesFailingNothingIsAcknowledged() async throws {
        let (fixture, disk, store, bucket) = try await started()
        for volume in [1, 2] {
            disk.inject(Fault(.fail(EIO), on: [.sync], times: nil) { $0.hasPrefix("/volume-\(volume)/") })
        }
        await #expect(throws: StoreError.self) { try await store.put(bucket, "k", [1]) }
        await #expect(throws: StoreError.self) {
            try await store.put(bucket, "l", [UInt8](repeating: 1, count: 100_000))
        }
        store.close()
        disk.removeFaults()
        let again = try await fixture.open(disk)
        try await again.put(bucket, "k", [2])
        #expect(try await again.get(bucket, "k") == [2])
        again.close()
    }
}
