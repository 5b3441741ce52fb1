import Foundation
import Model
import ObjectStore
import Snapshots
import TestSupport
import Testing

/// What a restore takes for the same as what it would bring back.
@Suite struct RestoreSamenessTests {
    private func restore(
        _ stage: SnapshotStage, _ change: (inout RestoreOrder) -> Void = { _ in }
    ) async throws -> [RestoreOutcome.Action] {
        let repository = try stage.repository()
        defer { repository.close() }
        var order = RestoreOrder(repository: "/backup", snapshot: "one")
        change(&order)
        var actions: [RestoreOutcome.Action] = []
        _ = try await Restore(stage.store, repository, order).run { actions.append($0.action) }
        return actions
    }

    enum Change: CaseIterable {
        case tags, form, metadata, hold, retention, access, owner

        func apply(to metadata: inout EventMetadata) {
            switch self {
            case .tags: metadata.tags["team"] = "red"
            case .form: metadata.tags["caf\u{E9}"] = "cafe\u{301}"
            case .metadata: metadata.user["a"] = "other"
            case .hold: metadata.legalHold = true
            case .retention:
                metadata.retention.mode = .governance
                metadata.retention.untilMicroseconds = 5
            case .access: metadata.accessControl = EventAccessControl()
            case .owner: break
            }
        }
    }

    private static let was: EventMetadata = {
        var metadata = EventMetadata()
        metadata.user = ["a": "b"]
        metadata.tags = ["team": "blue", "caf\u{E9}": "caf\u{E9}"]
        return metadata
    }()

    private func put(_ stage: SnapshotStage, _ metadata: EventMetadata, owner: String) async throws {
        var actor = tester
        if owner != tester.id { actor = Actor(id: owner, displayName: "Other", requestID: "r2") }
        let content = bytes(1, 500)
        let upload = stage.store.beginUpload(
            UploadTarget(
                bucket: stage.bucket, key: try ObjectKey("k"), metadata: metadata, actor: actor, part: nil,
                expectedLength: UInt64(content.count), checksum: nil))
        try await upload.write(content)
        _ = try await upload.finish()
        _ = try await stage.store.publish(upload, conditions: .none, checksums: [])
    }

    /// The bucket keeps versions: what is locked is not replaced.
    private func stage() async throws -> SnapshotStage {
        let stage = try await SnapshotStage()
        _ = try await stage.store.configureBucket(
            stage.bucket, setting: "versioning", value: Array("Enabled".utf8), actor: tester)
        try await put(stage, Self.was, owner: tester.id)
        try await stage.snapshot("one")
        return stage
    }

    @Test(arguments: Change.allCases) func overTheSameBytesOtherThingsAreOverwrittenIfThatIsAskedFor(
        _ change: Change
    ) async throws {
        let stage = try await stage()
        var metadata = Self.was
        change.apply(to: &metadata)
        try await put(stage, metadata, owner: change == .owner ? "other" : tester.id)
        #expect(try await restore(stage) == [.present], "it is newer, and its bytes are the same")
        #expect(
            try await restore(stage) {
                $0.overwrites = true; $0.isDryRun = true
            } == [.restored])
        #expect(try await restore(stage) { $0.overwrites = true } == [.restored])
        let now = try stage.store.version(stage.bucket, try ObjectKey("k"), .current).record
        #expect(try now.owner == tester.id && now.metadata.hasSameBytes(as: Self.was))
        #expect(try await restore(stage) { $0.overwrites = true } == [.present])
        stage.store.close()
    }

    @Test func whatWasAmendedSinceIsLeftUnlessToldOtherwise() async throws {
        let stage = try await stage()
        let version = try stage.store.version(stage.bucket, try ObjectKey("k"), .current)
        _ = try await stage.store.amend(version, actor: tester) { $0.tags["team"] = "red" }
        #expect(try await restore(stage) == [.present])
        #expect(try await restore(stage) { $0.overwrites = true } == [.restored])
        let now = try stage.store.version(stage.bucket, try ObjectKey("k"), .current)
        #expect(now.record.metadata.tags["team"] == "blue" && now.versionID != version.versionID)
        stage.store.close()
    }

    @Test func whatIsOlderIsReplacedForItsMetadataToo() async throws {
        let stage = try await SnapshotStage()
        var metadata = Self.was
        metadata.tags["team"] = "red"
        try await put(stage, metadata, owner: tester.id)
        let elsewhere = try BucketName("elsewhere")
        _ = try await stage.store.createBucket(elsewhere, region: "r", actor: tester)
        try await stage.snapshot("one")
        let toElsewhere: (inout RestoreOrder) -> Void = {
            $0.unit.bucket = "bucket"
            $0.into = "elsewhere"
        }
        #expect(try await restore(stage, toElsewhere) == [.restored])
        // A later version of the same bytes, in a snapshot of its own.
        try await put(stage, Self.was, owner: tester.id)
        try await stage.snapshot("two")
        let second: (inout RestoreOrder) -> Void = {
            toElsewhere(&$0)
            $0.source = .snapshot("two", repository: "/backup")
        }
        #expect(try await restore(stage, second) == [.restored])
        let now = try stage.store.version(elsewhere, try ObjectKey("k"), .current)
        #expect(now.record.metadata.tags["team"] == "blue")
        #expect(try await restore(stage, second) == [.present])
        stage.store.close()
    }

    @Test func aTagThatDiffersInItsUnicodeFormAloneIsKept() async throws {
        let stage = try await stage()
        let version = try stage.store.version(stage.bucket, try ObjectKey("k"), .current)
        _ = try await stage.store.amend(version, actor: tester) { $0.tags["caf\u{E9}"] = "cafe\u{301}" }
        let now = try stage.store.version(stage.bucket, try ObjectKey("k"), .current)
        let tag = try #require(now.record.metadata.tags["caf\u{E9}"])
        #expect(Array(tag.utf8) == Array("cafe\u{301}".utf8))
        stage.store.close()
    }

    @Test func aFileOfTheSameSizeAndOtherBytesIsWrittenAnew() async throws {
        let stage = try await SnapshotStage()
        try await stage.store.put(stage.bucket, "large", bytes(1, 150_000))
        try await stage.store.put(stage.bucket, "small", bytes(2, 300))
        try await stage.store.put(stage.bucket, "none", [])
        try await stage.snapshot("one")
        let folder = stage.scratch + "/out"
        let out: (inout RestoreOrder) -> Void = { $0.folder = folder }
        #expect(try await restore(stage, out) == [.restored, .restored, .restored])
        #expect(try await restore(stage, out) == [.present, .present, .present])
        for (key, seed, count) in [("large", UInt8(1), 150_000), ("small", 2, 300)] {
            let path = "\(folder)/bucket/\(key)"
            var other = bytes(seed, count)
            other[count - 1] ^= 1
            try Data(other).write(to: URL(fileURLWithPath: path))
            let order: (inout RestoreOrder) -> Void = {
                out(&$0)
                $0.unit.bucket = "bucket"
                $0.unit.key = key
            }
            #expect(
                try await restore(stage) {
                    order(&$0)
                    $0.isDryRun = true
                } == [.restored])
            #expect(try await restore(stage, order) == [.restored])
            #expect(FileManager.default.contents(atPath: path).map { Array($0) } == bytes(seed, count))
        }
        stage.store.close()
    }
}
