import Catalog
import Foundation
import Model
import ObjectStore
import Snapshots
import TestSupport
import Testing

/// Two keys that differ only in Unicode form are two keys, wherever one is looked for, left out or told of.
@Suite struct KeyBytesTests {
    /// In the order of their bytes.
    private static let keys = ["Cafe\u{301}.jpg", "Caf\u{E9}.jpg"]

    private func utf8(_ texts: [String]) -> [[UInt8]] { texts.map { Array($0.utf8) } }

    private func stage() async throws -> SnapshotStage {
        let stage = try await SnapshotStage()
        for (index, key) in Self.keys.enumerated() {
            try await stage.store.put(stage.bucket, key, bytes(UInt8(index), 100 + index))
        }
        return stage
    }

    private func restore(
        _ stage: SnapshotStage, _ change: (inout RestoreOrder) -> Void = { _ in }
    ) async throws -> [[UInt8]] {
        let repository = try stage.repository()
        defer { repository.close() }
        var order = RestoreOrder(repository: "/backup", snapshot: "one")
        change(&order)
        var keys: [String] = []
        _ = try await Restore(stage.store, repository, order).run {
            #expect($0.action == .restored)
            keys.append($0.key)
        }
        return utf8(keys)
    }

    @Test func bothComeBackEachWithItsBytes() async throws {
        let stage = try await stage()
        try await stage.snapshot("one")
        for key in Self.keys { try await stage.delete(key) }
        #expect(try await restore(stage) == utf8(Self.keys))
        for (index, key) in Self.keys.enumerated() {
            #expect(try await stage.store.get(stage.bucket, key) == bytes(UInt8(index), 100 + index))
        }
        stage.store.close()
    }

    @Test func bothComeBackWithEveryVersion() async throws {
        let stage = try await SnapshotStage()
        _ = try await stage.store.configureBucket(
            stage.bucket, setting: "versioning", value: Array("Enabled".utf8), actor: tester)
        for key in Self.keys {
            for seed in UInt8(1)...2 { try await stage.store.put(stage.bucket, key, bytes(seed, 50)) }
        }
        try await stage.snapshot("one")
        let before = try stage.store.inspection.catalog.read { try $0.versions(after: nil, limit: 100) }
        for version in before {
            _ = try await stage.store.delete(
                stage.bucket, try ObjectKey(version.key), .id(version.versionID), conditions: .none,
                actor: tester)
        }
        let restored = try await restore(stage) { $0.unit.hasEveryVersion = true }
        #expect(restored == utf8(Self.keys.flatMap { [$0, $0] }))
        let after = try stage.store.inspection.catalog.read { try $0.versions(after: nil, limit: 100) }
        #expect(after.map(\.versionID) == before.map(\.versionID))
        #expect(utf8(after.map(\.key)) == utf8(before.map(\.key)))
        stage.store.close()
    }

    @Test(arguments: keys) func aKeyOrAPrefixIsOfOneFormAlone(_ key: String) async throws {
        let stage = try await stage()
        try await stage.snapshot("one")
        for key in Self.keys { try await stage.delete(key) }
        #expect(
            try await restore(stage) {
                $0.unit.key = key; $0.isDryRun = true
            } == utf8([key]))
        let prefix = String(key.dropLast(".jpg".count))
        #expect(
            try await restore(stage) {
                $0.unit.prefix = prefix; $0.isDryRun = true
            } == utf8([prefix + ".jpg"]))
        // A prefix may end within what is one character to a reader.
        let begun = try await restore(stage) {
            $0.unit.prefix = "Cafe"; $0.isDryRun = true
        }
        #expect(begun == utf8([Self.keys[0]]))
        stage.store.close()
    }

    private func listed(_ stage: SnapshotStage, _ place: String) throws -> [[UInt8]] {
        var keys: [String] = []
        try StoreListing(stage.store, ListingOrder(place)).forEachVersion { version, isLatest in
            #expect(isLatest)
            keys.append(version.key)
        }
        return utf8(keys)
    }

    @Test func aListingShowsBoth() async throws {
        let stage = try await stage()
        #expect(try listed(stage, "bucket") == utf8(Self.keys))
        #expect(try listed(stage, "bucket/Cafe\u{301}") == utf8([Self.keys[0]]))
        #expect(try listed(stage, "bucket/Caf\u{E9}") == utf8([Self.keys[1]]))
        // A slash that a mark follows parts the bucket from the prefix all the same.
        try await stage.store.put(stage.bucket, "\u{301}x", [1])
        #expect(try listed(stage, "bucket/\u{301}") == utf8(["\u{301}x"]))
        stage.store.close()
    }

    @Test func aDifferenceTellsThemApart() async throws {
        let stage = try await SnapshotStage()
        try await stage.store.put(stage.bucket, Self.keys[0], [1])
        try await stage.snapshot("one")
        try await stage.store.put(stage.bucket, Self.keys[1], [2])
        try await stage.snapshot("two")
        try await stage.delete(Self.keys[0])
        try await stage.snapshot("three")
        let repository = try stage.repository()
        defer { repository.close() }
        func difference(_ first: String, _ second: String) throws -> [String: [[UInt8]]] {
            var found: [String: [[UInt8]]] = [:]
            try SnapshotDifference(
                repository, from: try repository.snapshot(first), to: try repository.snapshot(second),
                scratch: stage.scratch
            ).forEach { found[$0.change.rawValue, default: []].append(Array($0.key.utf8)) }
            return found
        }
        #expect(try difference("one", "two") == ["added": utf8([Self.keys[1]])])
        #expect(try difference("two", "three") == ["removed": utf8([Self.keys[0]])])
        stage.store.close()
    }

    @Test func filesOfBothAreWrittenAndNoneOutsideItsBucket() async throws {
        let stage = try await stage()
        // To a String, "/" and the mark behind it are one character, and not a slash.
        let climbing = "..\u{2F}\u{301}x"
        try await stage.store.put(stage.bucket, climbing, [7])
        try await stage.snapshot("one")
        let folder = stage.scratch + "/out"
        #expect(try await restore(stage) { $0.folder = folder }.count == 3)
        for (index, key) in Self.keys.enumerated() {
            let content = FileManager.default.contents(atPath: "\(folder)/bucket/\(key)")
            #expect(content.map { Array($0) } == bytes(UInt8(index), 100 + index))
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["bucket"])
        #expect(FileManager.default.contents(atPath: "\(folder)/bucket/%2E%2E/\u{301}x") == Data([7]))
        stage.store.close()
    }
}
