import Catalog
import Foundation
import Model
import ObjectStore
import Snapshots
import Synchronization
import TestSupport
import Testing

/// Restores of objects that others write to while they are copied.
@Suite struct ContestedRestoreTests {
    private static let size = 80_000

    /// - Parameter meanwhile: done once, when the bytes are copied and before the version is published.
    private func restore(
        _ stage: SnapshotStage, _ change: (inout RestoreOrder) -> Void = { _ in },
        _ meanwhile: @escaping @Sendable () async throws -> Void
    ) async throws -> RestoreSummary {
        let repository = try stage.repository()
        defer { repository.close() }
        var order = RestoreOrder(repository: "/backup", snapshot: "one")
        change(&order)
        let isDone = Mutex(false)
        let pace = BytePace(rate: 1) { _ in
            let wasDone = isDone.withLock { done in
                defer { done = true }
                return done
            }
            if !wasDone { try await meanwhile() }
        }
        return try await Restore(stage.store, repository, order, pace: pace).run { _ in }
    }

    /// One object, in a snapshot.
    private func stage(isVersioned: Bool = false) async throws -> SnapshotStage {
        let stage = try await SnapshotStage()
        if isVersioned {
            _ = try await stage.store.configureBucket(
                stage.bucket, setting: "versioning", value: Array("Enabled".utf8), actor: tester)
        }
        try await stage.store.put(stage.bucket, "k", bytes(1, Self.size))
        try await stage.snapshot("one")
        return stage
    }

    /// One object, in a snapshot, and one of the same key in another bucket, published before it.
    private func stageBesideAnOlderObject() async throws -> (SnapshotStage, elsewhere: BucketName) {
        let stage = try await SnapshotStage()
        let elsewhere = try BucketName("elsewhere")
        _ = try await stage.store.createBucket(elsewhere, region: "r", actor: tester)
        try await stage.store.put(elsewhere, "k", bytes(9, 10))
        try await stage.store.put(stage.bucket, "k", bytes(1, Self.size))
        try await stage.snapshot("one")
        return (stage, elsewhere)
    }

    private static func intoElsewhere(_ order: inout RestoreOrder) {
        order.unit.bucket = "bucket"
        order.into = "elsewhere"
    }

    @Test(arguments: [false, true]) func aPutBetweenTheLookAndThePublishWins(isVersioned: Bool) async throws {
        let stage = try await stage(isVersioned: isVersioned)
        try await stage.delete("k")
        let summary = try await restore(stage) {
            try await stage.store.put(stage.bucket, "k", bytes(2, Self.size))
        }
        #expect(summary.total.newer == 1 && summary.total.restored == 0 && summary.total.failed == 0)
        #expect(try await stage.store.get(stage.bucket, "k") == bytes(2, Self.size))
        #expect(try stage.started.halfThere() == [])
        stage.store.close()
    }

    /// What is there was published before the snapshot's version: it is to be replaced, and what replaces it meanwhile not.
    @Test(arguments: [false, true]) func aPutOverAnOlderObjectWinsToo(isSameBytes: Bool) async throws {
        let (stage, elsewhere) = try await stageBesideAnOlderObject()
        let seed: UInt8 = isSameBytes ? 1 : 2
        let summary = try await restore(stage, Self.intoElsewhere) {
            try await stage.store.put(elsewhere, "k", bytes(seed, Self.size))
        }
        #expect(
            summary.total.newer == (isSameBytes ? 0 : 1) && summary.total.present == (isSameBytes ? 1 : 0))
        #expect(summary.total.restored == 0 && summary.total.failed == 0)
        #expect(try await stage.store.get(elsewhere, "k") == bytes(seed, Self.size))
        stage.store.close()
    }

    @Test func aDeletionBetweenTheLookAndThePublishDoesNotKeepTheObjectFromComingBack() async throws {
        let (stage, elsewhere) = try await stageBesideAnOlderObject()
        let summary = try await restore(stage, Self.intoElsewhere) {
            _ = try await stage.store.delete(
                elsewhere, try ObjectKey("k"), .current, conditions: .none, actor: tester)
        }
        #expect(summary.total.restored == 1 && summary.total.newer == 0 && summary.total.failed == 0)
        #expect(try await stage.store.get(elsewhere, "k") == bytes(1, Self.size))
        stage.store.close()
    }

    @Test func whoAsksToOverwriteOverwritesWhatCameMeanwhileToo() async throws {
        let stage = try await stage()
        try await stage.delete("k")
        let summary = try await restore(stage) {
            $0.overwrites = true
        } _: {
            try await stage.store.put(stage.bucket, "k", bytes(2, Self.size))
        }
        #expect(summary.total.restored == 1)
        #expect(try await stage.store.get(stage.bucket, "k") == bytes(1, Self.size))
        stage.store.close()
    }

    @Test func aPutWhileAHistoryComesBackStaysTheNewest() async throws {
        let stage = try await stage(isVersioned: true)
        try await stage.store.put(stage.bucket, "k", bytes(3, Self.size))
        try await stage.snapshot("two")
        for version in try stage.versions("two") {
            _ = try await stage.store.delete(
                stage.bucket, try ObjectKey("k"), .id(version.versionID), conditions: .none, actor: tester)
        }
        let change: (inout RestoreOrder) -> Void = {
            $0.source = .snapshot("two", repository: "/backup")
            $0.unit.hasEveryVersion = true
        }
        let summary = try await restore(stage, change) {
            try await stage.store.put(stage.bucket, "k", bytes(2, Self.size))
        }
        #expect(summary.total.newer == 2 && summary.total.restored == 0 && summary.total.failed == 0)
        #expect(try await stage.store.get(stage.bucket, "k") == bytes(2, Self.size))
        let left = try stage.store.inspection.catalog.read { try $0.versions(after: nil, limit: 10) }
        #expect(left.count == 1)
        stage.store.close()
    }
}
