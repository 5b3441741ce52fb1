import Catalog
import Foundation
import Model
import ObjectStore
import Snapshots
import TestSupport
import Testing

/// Restores of every version that a snapshot or a moment has.
@Suite struct VersionRestoreTests {
    private func versions(_ store: ObjectStore, _ bucket: BucketName) throws -> [String] {
        try store.inspection.catalog.read { try $0.versions(after: nil, limit: 1000) }
            .filter { $0.record.bucket == bucket.rawValue }
            .map { "\($0.key) \($0.versionID) \($0.isDeleteMarker ? "marker" : $0.etag)" }
    }

    private func order(_ change: (inout RestoreOrder) -> Void = { _ in }) -> RestoreOrder {
        var order = RestoreOrder(repository: "/backup", snapshot: "one")
        order.unit.hasEveryVersion = true
        change(&order)
        return order
    }

    private func restore(_ stage: SnapshotStage, _ order: RestoreOrder) async throws -> RestoreSummary {
        let repository = try stage.repository()
        defer { repository.close() }
        return try await Restore(stage.store, repository, order).run { _ in }
    }

    private func stage() async throws -> SnapshotStage {
        let stage = try await SnapshotStage()
        _ = try await stage.store.configureBucket(
            stage.bucket, setting: "versioning", value: Array("Enabled".utf8), actor: tester)
        for seed in UInt8(1)...3 { try await stage.store.put(stage.bucket, "k", bytes(seed, 90_000)) }
        try await stage.delete("k")
        try await stage.store.put(stage.bucket, "k", bytes(4, 10))
        try await stage.store.put(stage.bucket, "gone", bytes(5, 80_000))
        try await stage.delete("gone")
        try await stage.snapshot("one")
        return stage
    }

    private func clear(_ stage: SnapshotStage) async throws {
        for version in try stage.store.inspection.catalog.read({ try $0.versions(after: nil, limit: 1000) }) {
            _ = try await stage.store.delete(
                stage.bucket, try ObjectKey(version.key), .id(version.versionID), conditions: .none,
                actor: tester)
        }
    }

    @Test func everyVersionComesBackInItsOrderUnderItsID() async throws {
        let stage = try await stage()
        let before = try versions(stage.store, stage.bucket)
        try #require(before.count == 7)
        try await clear(stage)
        _ = try await stage.store.deleteBucket(stage.bucket, actor: tester)
        let summary = try await restore(stage, order())
        #expect(summary.total.restored == 7 && summary.total.failed == 0)
        #expect(try versions(stage.store, stage.bucket) == before)
        #expect(try await stage.store.get(stage.bucket, "k") == bytes(4, 10))
        let first = try stage.store.inspection.catalog.read { try $0.versions(after: nil, limit: 10) }.last
        #expect(first?.record.reason.contains("restored from snapshot one, published ") == true)
        let again = try await restore(stage, order())
        #expect(again.total.present == 7 && again.total.restored == 0)
        #expect(try versions(stage.store, stage.bucket) == before)
        stage.store.close()
    }

    @Test func whatWasCutOffIsFinishedAndWhatIsNewerIsLeft() async throws {
        let stage = try await stage()
        let before = try versions(stage.store, stage.bucket)
        try await clear(stage)
        // As if the first two had come back before it was cut off.
        let old = try stage.versions("one").filter { $0.key == "k" }.suffix(2)
        for version in old.reversed() {
            var record = version.record
            record.pieces = []
            record.size = 0
            record.deleteMarker = true
            _ = try await stage.store.restore(
                record, reason: "test", conditions: .none, from: NoPieces(), as: version.versionID)
        }
        let summary = try await restore(stage, order())
        #expect(summary.total.present == 2 && summary.total.restored == 5)
        #expect(
            try versions(stage.store, stage.bucket).map { $0.prefix(34) } == before.map { $0.prefix(34) })
        // A key that has a newer version keeps showing that.
        try await clear(stage)
        try await stage.store.put(stage.bucket, "k", bytes(9, 20))
        let later = try await restore(stage, order())
        #expect(later.total.newer == 5 && later.total.restored == 2)
        #expect(try await stage.store.get(stage.bucket, "k") == bytes(9, 20))
        let forced = try await restore(stage, order { $0.overwrites = true })
        #expect(forced.total.restored == 5 && forced.total.present == 2)
        #expect(try await stage.store.get(stage.bucket, "k") == bytes(4, 10))
        stage.store.close()
    }

    private struct NoPieces: RestoredPieces {
        func read(_ piece: Int, at offset: UInt64, count: Int) throws -> [UInt8] { [] }
    }

    @Test func aBucketThatKeepsNoVersionsGetsWhatWasShown() async throws {
        let stage = try await stage()
        let elsewhere = try BucketName("elsewhere")
        _ = try await stage.store.createBucket(elsewhere, region: "r", actor: tester)
        let summary = try await restore(
            stage,
            order {
                $0.unit.bucket = "bucket"
                $0.into = "elsewhere"
            })
        #expect(summary.total.restored == 1 && summary.total.failed == 0)
        #expect(try await stage.store.get(elsewhere, "k") == bytes(4, 10))
        #expect(try versions(stage.store, elsewhere).count == 1)
        stage.store.close()
    }

    /// What hides it does not remove it: its id says nothing about what the key shows.
    @Test func whatIsThereAndHiddenByADeleteMarkerShowsAgain() async throws {
        let stage = try await stage()
        try await stage.delete("k")
        let before = try versions(stage.store, stage.bucket)
        let plan = try await restore(stage, order { $0.isDryRun = true })
        #expect(plan.total.restored == 1 && plan.total.present == 6)
        let summary = try await restore(stage, order())
        #expect(summary.total.restored == 1 && summary.total.present == 6)
        #expect(try await stage.store.get(stage.bucket, "k") == bytes(4, 10))
        let after = try versions(stage.store, stage.bucket)
        #expect(after.count == before.count + 1 && Set(before).isSubset(of: after))
        #expect(throws: StoreError.self, "it was deleted then, too") {
            try stage.store.version(stage.bucket, try ObjectKey("gone"), .current)
        }
        #expect(try await restore(stage, order()).total.present == 7)
        #expect(try versions(stage.store, stage.bucket) == after)
        stage.store.close()
    }

    @Test func otherBytesOverWhatIsThereStayUnlessToldOtherwise() async throws {
        let stage = try await stage()
        try await stage.store.put(stage.bucket, "k", bytes(9, 20))
        let summary = try await restore(stage, order())
        #expect(summary.total.newer == 1 && summary.total.present == 6 && summary.total.restored == 0)
        #expect(try await stage.store.get(stage.bucket, "k") == bytes(9, 20))
        let forced = try await restore(stage, order { $0.overwrites = true })
        #expect(forced.total.restored == 1 && forced.total.present == 6)
        #expect(try await stage.store.get(stage.bucket, "k") == bytes(4, 10))
        #expect(try await restore(stage, order { $0.overwrites = true }).total.present == 7)
        stage.store.close()
    }

    @Test func aVersionWithoutItsBytesIsNotSaidToBeThere() async throws {
        let stage = try await stage()
        let oldest = try #require(try stage.versions("one").last { $0.key == "k" })
        let id = Array(oldest.record.pieces[0].blobID).hexadecimal
        for volume in 1...3 {
            let folder = "/volume-\(volume)/blobs/\(id.prefix(2))/\(id.dropFirst(2).prefix(2))"
            try stage.started.disk.remove("\(folder)/\(id)")
        }
        let summary = try await restore(stage, order())
        #expect(summary.total.failed == 1 && summary.total.present == 6 && summary.total.restored == 0)
        stage.store.close()
    }

    /// A version behind what a key showed is no reason to show it.
    @Test func ofAnOwnerOfOlderVersionsNothingIsMadeToShow() async throws {
        let stage = try await stage()
        let other = Actor(id: "other", displayName: "Other", requestID: "r2")
        let target = UploadTarget(
            bucket: stage.bucket, key: try ObjectKey("k"), metadata: EventMetadata(), actor: other,
            part: nil, expectedLength: 5, checksum: nil)
        let upload = stage.store.beginUpload(target)
        try await upload.write(bytes(8, 5))
        _ = try await upload.finish()
        _ = try await stage.store.publish(upload, conditions: .none, checksums: [])
        try await stage.snapshot("two")
        try await stage.delete("k")
        let summary = try await restore(
            stage,
            order {
                $0.source = .snapshot("two", repository: "/backup")
                $0.unit.owner = "tester"
            })
        #expect(summary.total.present == 7 && summary.total.restored == 0)
        stage.store.close()
    }

    /// Nothing that is written where versioning is enabled is the null version.
    @Test func aNullVersionComesBackUnderDigits() async throws {
        let stage = try await SnapshotStage()
        let null = try await stage.store.put(stage.bucket, "k", bytes(1, 10)).value
        _ = try await stage.store.configureBucket(
            stage.bucket, setting: "versioning", value: Array("Enabled".utf8), actor: tester)
        let second = try await stage.store.put(stage.bucket, "k", bytes(2, 10)).value
        try #require(null.wireVersionID == "null")
        try await stage.snapshot("one")
        for selector in [VersionSelector.null, .id(second.versionID)] {
            _ = try await stage.store.delete(
                stage.bucket, try ObjectKey("k"), selector, conditions: .none, actor: tester)
        }
        #expect(try await restore(stage, order()).total.restored == 2)
        let ids = try stage.store.inspection.catalog.read { try $0.versions(after: nil, limit: 10) }
            .map(\.wireVersionID)
        #expect(ids == [second.wireVersionID, "\(null.versionID)"])
        let first = try await stage.store.get(stage.bucket, "k", .id(null.versionID))
        #expect(first == bytes(1, 10))
        #expect(try await restore(stage, order()).total.present == 2)
        stage.store.close()
    }

    @Test func ofTheStoresOwnPastNothingIsCopied() async throws {
        let stage = try await stage()
        let before = try versions(stage.store, stage.bucket)
        let blobs = try stage.started.blobs()
        let moment = stage.store.head.sequence
        try await clear(stage)
        var order = RestoreOrder(at: .event(moment.rawValue))
        order.unit.hasEveryVersion = true
        let summary = try await Restore(stage.store, order).run { _ in }
        #expect(summary.total.restored == 7)
        #expect(try versions(stage.store, stage.bucket) == before)
        #expect(try stage.started.blobs() == blobs)
        stage.store.close()
    }
}
