import Foundation
import Model
import ObjectStore
import TestSupport
import Testing
import Volumes

/// A volume fails between giving a blob its name, or taking it away, and making that durable; it comes back; then the
/// machine dies.
@Suite struct HalfDoneTests {
    private static let large = [UInt8](repeating: 7, count: 150_000)

    /// Where the syncs of directories below `blobs` fail: that of `blobs` itself, of the first level, of the second.
    @Test(arguments: [0, 1, 2])
    func aBlobWhoseVolumeFailedAsItWasNamedIsDurableThereWhenTheVolumeIsBack(skip: Int) async throws {
        let stage = try await StartedStore()
        let (store, bucket) = (stage.store, stage.bucket)
        stage.strike(2, .fail(EIO), on: [.syncDirectory], below: "blobs", skip: skip, times: 1)
        #expect(try await store.put(bucket, "k", Self.large).commit.replicas == 2)
        store.maintain()
        #expect(stage.standings == [.inService, .inService, .inService])
        #expect(try stage.halfThere() == [])
        for seed in 0..<24 as Range<UInt64> {
            let found = stage.disk.recovered(seed: seed)
            #expect(try found.files(below: "/volume-2/blobs").count == 1, "seed \(seed)")
        }
        store.close()
    }

    /// Two volumes cannot make the blob's name durable, so the upload is given up; nor can they make durable that it
    /// is gone.
    @Test func aBlobThatWasGivenUpDoesNotComeBackWithTheMachine() async throws {
        let stage = try await StartedStore()
        let (store, bucket) = (stage.store, stage.bucket)
        for volume in [1, 3] {
            // The third sync of a directory is that of the blob's name, the next that of its removal.
            stage.strike(volume, .fail(EIO), on: [.syncDirectory], below: "blobs", skip: 2, times: 2)
        }
        await #expect(throws: StoreError.self) { try await store.put(bucket, "k", Self.large) }
        for _ in 0..<2 { store.maintain() }
        #expect(stage.standings == [.inService, .inService, .inService], "\(store.volumeStatuses)")
        #expect(try stage.halfThere() == [])
        try await store.put(bucket, "other", Self.large)
        store.close()
        for seed in 0..<24 as Range<UInt64> {
            let found = stage.disk.recovered(seed: seed)
            // The catalog is of the machine that was opened before, whose log has an epoch more.
            try stage.fixture.forgetCatalog()
            let again = try await stage.fixture.open(found)
            let blobs = try (1...3).map { try found.files(below: "/volume-\($0)/blobs").count }
            #expect(blobs == [1, 1, 1], "seed \(seed)")
            again.close()
        }
    }

    /// Reclaiming fails on one volume after the name has gone, and is done again when the volume is back.
    @Test func aBlobThatWasReclaimedInTwoGoesDoesNotComeBackWithTheMachine() async throws {
        let stage = try await StartedStore()
        let (store, bucket) = (stage.store, stage.bucket)
        try await store.put(bucket, "k", Self.large)
        try await store.put(bucket, "k", [1])
        stage.fixture.advance(seconds: 8 * 86_400)
        stage.strike(3, .fail(EIO), on: [.syncDirectory], below: "blobs/", times: 1)
        while try await store.reclaim() {}
        for _ in 0..<2 { store.maintain() }
        #expect(stage.standings == [.inService, .inService, .inService], "\(store.volumeStatuses)")
        store.close()
        for seed in 0..<24 as Range<UInt64> {
            let found = stage.disk.recovered(seed: seed)
            #expect(try found.files(below: "/volume-3/blobs") == [], "seed \(seed)")
        }
    }
}
