import Foundation
import EventLog
import Model
import ObjectStore
import TestSupport
import Testing
import Volumes

/// What a store does when fewer than two volumes take a write, and when they are back.
@Suite struct QuorumTests {
    private static let large = [UInt8](repeating: 7, count: 150_000)

    @Test(arguments: [[1, 2], [2, 3], [1, 2, 3]])
    func aStoreThatLostItsQuorumTakesWritesAgainWithoutARestart(failing: [Int]) async throws {
        let stage = try await StartedStore()
        let (store, bucket) = (stage.store, stage.bucket)
        try await store.put(bucket, "before", Self.large)
        for volume in failing { stage.strike(volume, .fail(EIO), on: [.sync]) }
        await #expect(throws: StoreError.self) { try await store.put(bucket, "small", [1]) }
        await #expect(throws: StoreError.self) { try await store.put(bucket, "large", Self.large) }
        store.maintain()
        await #expect(throws: StoreError.self) { try await store.put(bucket, "small", [1]) }
        stage.disk.removeFaults()
        store.maintain()
        #expect(stage.standings == [.inService, .inService, .inService], "\(store.volumeStatuses)")
        #expect(try await store.put(bucket, "after", [2]).commit.replicas == 3)
        #expect(try await store.put(bucket, "large", Self.large).commit.replicas == 3)
        #expect(try await store.get(bucket, "before") == Self.large)
        #expect(try await store.get(bucket, "after") == [2])
        #expect(try stage.halfThere() == [])
        store.close()
        let again = try await stage.fixture.open(stage.disk)
        #expect(try await again.get(bucket, "large") == Self.large)
        #expect(again.opening.log.lagging == [])
        again.close()
    }

    /// The event of the large object stands on one mirror, and its blob on three volumes, when the caller gives up.
    @Test(arguments: [true, false])
    func aPutThatLostItsQuorumIsWholeOrNotThere(restarts: Bool) async throws {
        for survivors in [[1], [2], [3], []] {
            let stage = try await StartedStore()
            var store = stage.store
            let bucket = stage.bucket
            for volume in 1...3 where !survivors.contains(volume) {
                stage.strike(volume, .fail(EIO), on: [.sync], below: "log/")
            }
            await #expect {
                try await store.put(bucket, "k", Self.large)
            } throws: {
                if case StoreError.outcomeUnknown = $0 { true } else { false }
            }
            await #expect(throws: StoreError.self) { try await store.get(bucket, "k") }
            stage.disk.removeFaults()
            if restarts {
                store.close()
                store = try await stage.fixture.open(stage.disk)
            } else {
                store.maintain()
            }
            store.maintain()
            do {
                #expect(try await store.get(bucket, "k") == Self.large)
            } catch StoreError.noSuchKey {
                #expect(try stage.blobs() == [[], [], []])
            }
            #expect(try stage.halfThere() == [], "survivors \(survivors)")
            #expect(store.volumeStatuses.allSatisfy { $0.standing == .inService }, "\(store.volumeStatuses)")
            store.close()
        }
    }

    @Test func withOneVolumeLeftNothingIsAppendedThatCouldNotBeAcknowledged() async throws {
        let stage = try await StartedStore()
        let (store, bucket) = (stage.store, stage.bucket)
        for volume in [1, 2] { stage.strike(volume, .fail(EIO), on: [.write], below: "incoming/") }
        await #expect(throws: StoreError.self) { try await store.put(bucket, "large", Self.large) }
        #expect(stage.standings == [.setAside, .setAside, .inService])
        let head = store.head
        let before = try stage.disk.contents(of: stage.disk.files(below: "/volume-3/log")[0])
        await #expect {
            try await store.put(bucket, "small", [1])
        } throws: {
            if case StoreError.unavailable = $0 { true } else { false }
        }
        #expect(try stage.disk.contents(of: stage.disk.files(below: "/volume-3/log")[0]) == before)
        #expect(store.head == head)
        stage.disk.removeFaults()
        store.maintain()
        #expect(try await store.put(bucket, "small", [1]).commit.replicas == 3)
        store.close()
    }

    /// No flush misses its quorum here: the volumes leave the log with nothing under way, and the last of them is
    /// the last mirror that the others could be brought up to date from.
    @Test(arguments: [true, false])
    func aStoreWhoseVolumesAllLeftBetweenWritesIsBackWithoutARestart(atOnce: Bool) async throws {
        let stage = try await StartedStore()
        let (store, bucket) = (stage.store, stage.bucket)
        try await store.put(bucket, "small", [1])
        try await store.put(bucket, "large", Self.large)
        for volume in [2, 1, 3] {
            stage.strike(volume, .fail(EIO), on: [.status])
            if !atOnce { store.maintain() }
        }
        for _ in 0..<2 { store.maintain() }
        #expect(stage.standings == [.setAside, .setAside, .setAside])
        await #expect {
            try await store.put(bucket, "refused", [2])
        } throws: {
            if case StoreError.unavailable = $0 { true } else { false }
        }
        stage.disk.removeFaults()
        store.maintain()
        #expect(stage.standings == [.inService, .inService, .inService], "\(store.volumeStatuses)")
        #expect(try await store.get(bucket, "small") == [1])
        #expect(try await store.get(bucket, "large") == Self.large)
        #expect(try await store.put(bucket, "after", [3]).commit.replicas == 3)
        #expect(try stage.halfThere() == [])
        store.close()
        let again = try await stage.fixture.open(stage.disk)
        #expect(try await again.get(bucket, "after") == [3])
        #expect(again.opening.log.lagging == [])
        again.close()
    }

    /// The volume returns between the upload and its publication: what it held of the upload went when it returned.
    @Test func aVolumeThatLeftAndReturnedDuringAnUploadIsGivenTheBlobAgain() async throws {
        let stage = try await StartedStore()
        let (store, bucket) = (stage.store, stage.bucket)
        let upload = store.beginUpload(
            UploadTarget(
                bucket: bucket, key: try ObjectKey("k"), metadata: EventMetadata(), actor: tester, part: nil,
                expectedLength: nil, checksum: nil))
        try await upload.write(Self.large)
        _ = try await upload.finish()
        let fault = stage.strike(2, .fail(EIO), on: [.sync], below: "log/")
        #expect(try await store.put(bucket, "other", [1]).commit.replicas == 2)
        stage.disk.removeFault(fault)
        store.maintain()
        #expect(stage.standings[1] == .inService)
        let put = try await store.publish(upload, conditions: .none, checksums: [])
        #expect(put.commit.replicas == 3)
        #expect(try stage.blobs().map(\.count) == [1, 1, 1])
        #expect(try stage.halfThere() == [])
        store.close()
    }

    @Test func aRefusedUploadLeavesNothingOnAVolumeThatCameMeanwhile() async throws {
        let stage = try await StartedStore()
        let (store, bucket) = (stage.store, stage.bucket)
        try await store.put(bucket, "k", [1])
        let fault = stage.strike(2, .fail(EIO), on: [.sync], below: "incoming/")
        let upload = store.beginUpload(
            UploadTarget(
                bucket: bucket, key: try ObjectKey("k"), metadata: EventMetadata(), actor: tester, part: nil,
                expectedLength: nil, checksum: nil))
        try await upload.write(Self.large)
        _ = try await upload.finish()
        stage.disk.removeFault(fault)
        store.maintain()
        #expect(stage.standings[1] == .inService)
        await #expect(throws: StoreError.self) {
            try await store.publish(upload, conditions: WriteConditions(ifNoneMatch: .any), checksums: [])
        }
        await upload.discard()
        #expect(try stage.blobs() == [[], [], []])
        #expect(try stage.halfThere() == [])
        store.close()
    }

    @Test func aNewEpochBeginsWhenTheQuorumIsBack() async throws {
        let stage = try await StartedStore()
        let (store, bucket) = (stage.store, stage.bucket)
        for volume in [1, 3] { stage.strike(volume, .fail(EIO), on: [.sync]) }
        await #expect(throws: StoreError.self) { try await store.put(bucket, "k", [1]) }
        stage.disk.removeFaults()
        store.maintain()
        try await store.put(bucket, "k", [2])
        let epochs = try store.events(from: SequenceNumber(1), limit: 100).compactMap {
            if case .epochOpened(let change) = $0.record.change { change.epoch } else { nil }
        }
        #expect(epochs.count == 2)
        #expect(epochs == epochs.sorted())
        #expect(Set(epochs).count == 2)
        store.close()
    }
}
