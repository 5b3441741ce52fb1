import Foundation
import Model
import ObjectStore
import TestSupport
import Testing
import Volumes

/// Volumes that go away as a whole, and what comes back in their place.
@Suite struct VolumeReturnTests {
    private static let large = [UInt8](repeating: 7, count: 150_000)

    private func started() async throws -> StartedStore {
        let stage = try await StartedStore { $0.segmentByteCount = 128 * 1024 }
        for number in 0..<10 {
            try await stage.store.put(stage.bucket, "k\(number)", Array(repeating: 3, count: 20_000))
        }
        try await stage.store.put(stage.bucket, "large", Self.large)
        return stage
    }

    /// What is on volume 2 alone is what the store holds.
    private func expectWhole(_ stage: StartedStore, sourceLocation: SourceLocation = #_sourceLocation)
        async throws
    {
        #expect(
            stage.standings == [.inService, .inService, .inService], "\(stage.store.volumeStatuses)",
            sourceLocation: sourceLocation)
        #expect(try stage.halfThere() == [], sourceLocation: sourceLocation)
        for volume in [1, 3] { try stage.disk.unmount("/volume-\(volume)") }
        let store = stage.store
        #expect(try await store.get(stage.bucket, "large") == Self.large, sourceLocation: sourceLocation)
        #expect(try await store.get(stage.bucket, "k3").count == 20_000, sourceLocation: sourceLocation)
        for volume in [1, 3] { try stage.disk.mount("/volume-\(volume)") }
        store.maintain()
        store.close()
        let again = try await stage.fixture.open(stage.disk)
        #expect(again.volumeStatuses.allSatisfy { $0.standing == .inService }, sourceLocation: sourceLocation)
        #expect(try await again.get(stage.bucket, "large") == Self.large, sourceLocation: sourceLocation)
        again.close()
    }

    private func waitForReplacement(_ store: ObjectStore) async throws {
        var next = SequenceNumber(1)
        while true {
            for event in try store.events(from: next, limit: 1000) {
                if case .volumeReplaced = event.record.change { return }
                next = event.sequence.next
            }
            await store.waitForEvents(after: SequenceNumber(next.rawValue - 1))
        }
    }

    @Test func aDirectoryThatWasEmptiedUnderTheStoreIsFilledAgain() async throws {
        let stage = try await started()
        try stage.disk.empty("/volume-2")
        stage.store.maintain()
        #expect(try await stage.store.put(stage.bucket, "large", Self.large).commit.replicas == 2)
        try await waitForReplacement(stage.store)
        stage.store.maintain()
        try await expectWhole(stage)
    }

    @Test func aDiskThatIsUnmountedIsNotFilledAndReturnsWhenItIsMounted() async throws {
        let stage = try await started()
        try stage.disk.unmount("/volume-2")
        stage.store.maintain()
        #expect(stage.standings[1] == .setAside)
        try await stage.store.put(stage.bucket, "large", Self.large)
        stage.store.maintain()
        #expect(try stage.disk.paths(below: "/volume-2") == [])
        try stage.disk.mount("/volume-2")
        stage.store.maintain()
        try await expectWhole(stage)
    }

    /// The events that give it room come behind those that want some.
    @Test func aVolumeThatIsFullOfWhatIsGoneComesBack() async throws {
        let stage = try await started()
        let store = stage.store
        for number in 0..<20 {
            try await store.put(stage.bucket, "gone \(number)", [UInt8](repeating: 5, count: 100_000))
        }
        try stage.disk.unmount("/volume-2")
        store.maintain()
        #expect(stage.standings[1] == .setAside)
        try await store.put(stage.bucket, "large", Self.large)
        for number in 0..<20 {
            _ = try await store.delete(
                stage.bucket, try ObjectKey("gone \(number)"), .current, conditions: .none, actor: tester)
        }
        stage.fixture.advance(seconds: 14 * 86_400)
        while try await store.reclaim() {}
        try stage.disk.mount("/volume-2")
        // Less is free than the large object takes.
        let space = try stage.disk.space(at: "/volume-2")
        stage.disk.setCapacity(space.total - space.free + 64 * 1024)
        for _ in 0..<5 where stage.standings[1] != .inService {
            store.maintain()
            stage.fixture.advance(seconds: 300)
        }
        stage.disk.setCapacity(nil)
        try await expectWhole(stage)
    }

    @Test func aVolumeIsReplacedByAnEmptyDirectoryOnDemand() async throws {
        let stage = try await started()
        let store = stage.store
        await #expect(throws: StoreError.self) { try await store.replaceVolume(2) }
        let old = try DirectoryVolume.readIdentity("/volume-2", fileSystem: stage.disk).volumeID
        try stage.disk.unmount("/volume-2")
        store.maintain()
        let new = try await store.replaceVolume(2)
        #expect(new != old)
        store.maintain()
        try await expectWhole(stage)
    }

    @Test func aDirectoryWithSomethingInItReplacesNothing() async throws {
        let stage = try await started()
        try stage.disk.unmount("/volume-2")
        stage.store.maintain()
        try stage.disk.place([1], at: "/volume-2/photo.jpg")
        await #expect(throws: VolumeError.self) { try await stage.store.replaceVolume(2) }
        #expect(try stage.disk.contents(of: "/volume-2/photo.jpg") == [1])
        stage.store.close()
    }

    @Test func aVolumeOfAnotherStoreIsNotTakenBack() async throws {
        let stage = try await started()
        let other = try await StartedStore()
        other.store.close()
        try stage.disk.unmount("/volume-2")
        stage.store.maintain()
        for path in try other.disk.files(below: "/volume-2") {
            try stage.disk.place(try other.disk.contents(of: path), at: path)
        }
        stage.store.maintain()
        #expect(stage.standings[1] == .setAside)
        #expect(stage.store.volumeStatuses[1].reason?.contains("store") == true)
        #expect(try await stage.store.put(stage.bucket, "k", [1]).commit.replicas == 2)
        stage.store.close()
    }
}
