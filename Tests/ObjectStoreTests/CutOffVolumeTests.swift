import Foundation
import Model
import ObjectStore
import TestSupport
import Testing
import Volumes

/// Every operation of the file system is where a process may end that makes a volume anew, and a power cut too: doing it
/// again finishes it.
@Suite struct CutOffVolumeTests {
    private static let large = [UInt8](repeating: 7, count: 150_000)

    /// A store that is closed, whose log has several segments; some of its volumes have been emptied.
    private func closed(
        emptied volumes: [Int]
    ) async throws -> (fixture: StoreFixture, disk: SimulatedFileSystem, bucket: BucketName) {
        let stage = try await StartedStore { $0.segmentByteCount = 128 * 1024 }
        for number in 0..<10 {
            try await stage.store.put(stage.bucket, "k\(number)", Array(repeating: 3, count: 20_000))
        }
        try await stage.store.put(stage.bucket, "large", Self.large)
        stage.store.close()
        let disk = stage.disk.recovered(seed: 1)
        for volume in volumes { try disk.empty("/volume-\(volume)") }
        return (stage.fixture, disk, stage.bucket)
    }

    private func open(_ disk: SimulatedFileSystem, _ fixture: StoreFixture) async throws -> ObjectStore {
        try fixture.forgetCatalog()
        return try await fixture.open(disk)
    }

    @Test func aReplacementThatIsCutOffIsFinishedByGivingItAgain() async throws {
        let (fixture, before, bucket) = try await closed(emptied: [2])
        var point = 1
        while true {
            let disk = before.clone()
            let store = try await open(disk, fixture)
            try #require(store.volumeStatuses[1].standing == .setAside)
            disk.crash(atOperation: point)
            var isDone = false
            do {
                _ = try await store.replaceVolume(2)
                isDone = true
            } catch {}  // cut off, which is what this is about
            store.close()
            if isDone { break }
            for survivor in [disk.clone(), disk.recovered(seed: UInt64(point))] {
                let again = try await open(survivor, fixture)
                // Where it was made already, it is filled without a word.
                if let reason = again.volumeStatuses[1].reason, reason.contains("replace it") {
                    _ = try await again.replaceVolume(2)
                }
                again.maintain()
                let statuses = again.volumeStatuses
                #expect(
                    statuses.allSatisfy { $0.standing == .inService },
                    "after operation \(point): \(statuses)")
                for volume in [1, 3] { try survivor.unmount("/volume-\(volume)") }
                #expect(try await again.get(bucket, "large") == Self.large, "after operation \(point)")
                #expect(try await again.get(bucket, "k3").count == 20_000, "after operation \(point)")
                for volume in [1, 3] { try survivor.mount("/volume-\(volume)") }
                again.close()
            }
            point += 1
        }
        #expect(point > 13)
    }
}
