import Foundation
import Integrity
import Model
import ObjectStore
import Snapshots
import TestSupport
import Testing
import Volumes

/// Restores within a store, which refer to the blobs that it still has.
@Suite struct ReferringRestoreTests {
    private func restore(_ stage: SnapshotStage, at sequence: SequenceNumber) async throws -> RestoreSummary {
        var order = RestoreOrder(at: .event(sequence.rawValue))
        order.overwrites = true
        return try await Restore(stage.store, order).run { _ in }
    }

    private func findings(_ stage: SnapshotStage) async throws -> [String] {
        var found: [String] = []
        _ = try await StoreCheck(stage.store, .init(isDeep: true), includesOpening: false).run {
            found.append("\($0.code.rawValue) \($0.key)")
        }
        return found
    }

    private func reclaim(_ stage: SnapshotStage) async throws {
        stage.started.fixture.advance(seconds: 1000)
        while try await stage.store.reclaim() {}
    }

    private func blob(_ stage: SnapshotStage, _ key: String) throws -> String {
        let version = try stage.store.version(stage.bucket, try ObjectKey(key), .current)
        return Array(version.record.pieces[0].blobID).hexadecimal
    }

    @Test func whatIsStillThereIsNotCopiedAndStaysWhenItIsInUseAgain() async throws {
        let stage = try await SnapshotStage { $0.historySeconds = 600 }
        for key in ["deleted", "overwritten"] {
            try await stage.store.put(stage.bucket, key, bytes(key == "deleted" ? 1 : 2, 200_000))
        }
        try await stage.store.put(stage.bucket, "small", bytes(3, 500))
        let moment = stage.store.head.sequence
        let were = try ["deleted", "overwritten"].map { try blob(stage, $0) }
        try await stage.delete("deleted")
        try await stage.delete("small")
        try await stage.store.put(stage.bucket, "overwritten", bytes(9, 200_000))
        #expect(try stage.started.blobs()[0].count == 3)
        let summary = try await restore(stage, at: moment)
        #expect(summary.total.restored == 3 && summary.total.failed == 0)
        #expect(try stage.started.blobs()[0].count == 3, "no blob was written")
        #expect(try ["deleted", "overwritten"].map { try blob(stage, $0) } == were)
        #expect(try await findings(stage) == [])
        try await reclaim(stage)
        #expect(try stage.started.blobs().map { Set($0) } == Array(repeating: Set(were), count: 3))
        #expect(try await stage.store.get(stage.bucket, "deleted") == bytes(1, 200_000))
        #expect(try await stage.store.get(stage.bucket, "overwritten") == bytes(2, 200_000))
        #expect(try await stage.store.get(stage.bucket, "small") == bytes(3, 500))
        #expect(try await findings(stage) == [])
        // Gone for good, they take no space.
        for key in ["deleted", "overwritten", "small"] { try await stage.delete(key) }
        try await reclaim(stage)
        #expect(try stage.started.blobs() == [[], [], []])
        stage.store.close()
    }

    @Test func aBlobThatAVolumeLacksIsCopied() async throws {
        let stage = try await SnapshotStage()
        try await stage.store.put(stage.bucket, "k", bytes(1, 200_000))
        let moment = stage.store.head.sequence
        let was = try blob(stage, "k")
        try await stage.delete("k")
        try stage.started.disk.remove(
            "/volume-2/blobs/\(was.prefix(2))/\(was.dropFirst(2).prefix(2))/\(was)")
        #expect(try await restore(stage, at: moment).total.restored == 1)
        #expect(try blob(stage, "k") != was)
        #expect(try await stage.store.get(stage.bucket, "k") == bytes(1, 200_000))
        stage.store.close()
    }

    @Test func bytesThatNoVolumeHasGoodAreNotReferredTo() async throws {
        let stage = try await SnapshotStage()
        try await stage.store.put(stage.bucket, "k", bytes(1, 200_000))
        let moment = stage.store.head.sequence
        let was = try blob(stage, "k")
        try await stage.delete("k")
        for volume in 1...3 {
            try stage.started.disk.corrupt(
                "/volume-\(volume)/blobs/\(was.prefix(2))/\(was.dropFirst(2).prefix(2))/\(was)", at: 70_000)
        }
        let summary = try await restore(stage, at: moment)
        #expect(summary.total.failed == 1 && summary.total.restored == 0)
        #expect(throws: StoreError.self) {
            try stage.store.version(stage.bucket, try ObjectKey("k"), .current)
        }
        stage.store.close()
    }

    @Test func aStoreIsTheSameWhenItsCatalogIsComputedAgain() async throws {
        let stage = try await SnapshotStage()
        for number in 0..<3 {
            try await stage.store.put(stage.bucket, "k\(number)", bytes(UInt8(number), 100_000))
        }
        let moment = stage.store.head.sequence
        for number in 0..<3 { try await stage.delete("k\(number)") }
        _ = try await restore(stage, at: moment)
        stage.store.close()
        try stage.started.fixture.forgetCatalog()
        let store = try await stage.started.fixture.open(stage.started.disk)
        for number in 0..<3 {
            #expect(try await store.get(stage.bucket, "k\(number)") == bytes(UInt8(number), 100_000))
        }
        var found: [String] = []
        _ = try await StoreCheck(store, .init(isDeep: true), includesOpening: false).run {
            found.append("\($0)")
        }
        #expect(found == [])
        store.close()
    }
}
