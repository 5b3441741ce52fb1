import EventLog
import Foundation
import Model
import ObjectStore
import TestSupport
import Testing
import Volumes

/// Copies of a store's volumes, a second process, and what a volume brings that was attached elsewhere meanwhile.
@Suite struct FencingTests {
    private func put(_ store: ObjectStore, _ bucket: BucketName, _ names: [String], size: Int = 20_000)
        async throws
    {
        for name in names {
            try await store.put(bucket, name, Array("\(name) ".utf8) + [UInt8](repeating: 1, count: size))
        }
    }

    private func names(_ prefix: String, _ count: Int) -> [String] { (0..<count).map { "\(prefix)\($0)" } }

    private func replace(_ directory: String, of disk: SimulatedFileSystem, with other: SimulatedFileSystem)
        throws
    {
        for path in try disk.files(below: directory) { try disk.lose(path) }
        for path in try other.files(below: directory) {
            try disk.place(try other.contents(of: path), at: path)
        }
    }

    private func keys(_ store: ObjectStore, _ bucket: BucketName) throws -> Set<String> {
        let page = try store.listCurrent(bucket, prefix: "", delimiter: "", after: "", limit: 1000)
        return Set(
            page.items.compactMap { item in
                if case .version(let listed) = item { listed.key.rawValue } else { nil }
            })
    }

    @Test func aSecondProcessIsRefusedEvenWithAStateDirectoryOfItsOwn() async throws {
        let stage = try await StartedStore()
        defer { stage.store.close() }
        let second = try StoreFixture()
        await #expect(throws: VolumeError.self) { try await second.open(stage.disk) }
        try await put(stage.store, stage.bucket, ["k"])
    }

    /// A copy of all volumes was served elsewhere; then one of them is attached to the original, which went on.
    @Test(arguments: [(1, 1), (1, 30), (30, 1), (30, 30)])
    func aVolumeThatWasServedElsewhereNeverWins(_ here: Int, _ there: Int) async throws {
        let stage = try await StartedStore { $0.segmentByteCount = 128 * 1024 }
        try await put(stage.store, stage.bucket, names("common", 3))
        stage.store.close()
        let copy = stage.disk.clone()
        var store = try await stage.fixture.open(stage.disk)
        try await put(store, stage.bucket, names("here", here))
        store.close()
        // Opened more often: its epochs are higher.
        for round in 0..<3 {
            let elsewhere = try StoreFixture { $0.segmentByteCount = 128 * 1024 }
            let other = try await elsewhere.open(copy)
            if round == 0 { try await put(other, stage.bucket, names("there", there)) }
            other.close()
        }
        try replace("/volume-3", of: stage.disk, with: copy)
        store = try await stage.fixture.open(stage.disk)
        let expected = Set(names("common", 3) + names("here", here))
        #expect(try keys(store, stage.bucket) == expected)
        for key in expected {
            let bytes = try await store.get(stage.bucket, key)
            #expect(bytes.starts(with: Array("\(key) ".utf8)))
        }
        store.maintain()
        #expect(store.volumeStatuses.allSatisfy { $0.standing == .inService })
        #expect(try stage.disk.files(below: "/volume-3/quarantine") != [])
        store.close()
        // And it holds by itself what the others do.
        let again = try await stage.fixture.open(stage.disk)
        #expect(try keys(again, stage.bucket) == expected)
        #expect(again.opening.log.lagging == [])
        again.close()
    }

    @Test func aVolumeThatIsServedElsewhereIsCaughtUpWhileTheStoreRuns() async throws {
        let stage = try await StartedStore()
        let store = stage.store
        try await put(store, stage.bucket, ["common"])
        let copy = stage.disk.clone()
        let elsewhere = try StoreFixture()
        let other = try await elsewhere.open(copy)
        try await put(other, stage.bucket, ["there"], size: 100_000)
        other.close()
        try stage.disk.unmount("/volume-2")
        store.maintain()
        try await put(store, stage.bucket, ["here"], size: 100_000)
        try stage.disk.mount("/volume-2")
        try replace("/volume-2", of: stage.disk, with: copy)
        store.maintain()
        #expect(store.volumeStatuses.allSatisfy { $0.standing == .inService }, "\(store.volumeStatuses)")
        #expect(try keys(store, stage.bucket) == ["common", "here"])
        store.close()
    }

    /// A disk that was out while an object was deleted for good, and its bytes reclaimed, brings neither back.
    @Test func aStaleVolumeNeverBringsBackWhatWasDeleted() async throws {
        let stage = try await StartedStore()
        let store = stage.store
        let key = try ObjectKey("gone")
        try await put(store, stage.bucket, ["gone", "stays"], size: 200_000)
        let held = try stage.blobs()[1]
        try stage.disk.unmount("/volume-2")
        store.maintain()
        _ = try await store.delete(
            stage.bucket, key, .current, conditions: .none, actor: tester)
        stage.fixture.advance(seconds: 8 * 86_400)
        while try await store.reclaim() {}
        try stage.disk.mount("/volume-2")
        #expect(try stage.blobs()[1] == held)
        store.maintain()
        #expect(stage.standings == [.inService, .inService, .inService])
        #expect(try stage.blobs()[1].count == 1)
        #expect(try stage.halfThere() == [])
        #expect(try keys(store, stage.bucket) == ["stays"])
        store.close()
        let again = try await stage.fixture.open(stage.disk)
        #expect(try keys(again, stage.bucket) == ["stays"])
        again.close()
    }
}
