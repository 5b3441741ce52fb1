import Foundation
import Model
import ObjectStore
import Snapshots
import TestSupport
import Testing
import Volumes

/// A store that was made anew as it was at a snapshot, and goes on in the same repository.
@Suite struct RepositoryBranchTests {
    /// The store as it was at a snapshot, on a new disk. The fixture holds its directory.
    private func restored(
        _ stage: SnapshotStage, _ name: String
    ) async throws -> (store: ObjectStore, fixture: StoreFixture) {
        let fixture = try StoreFixture { $0.segmentByteCount = 128 * 1024 }
        let disk = SimulatedFileSystem()
        let repository = try stage.repository()
        defer { repository.close() }
        _ = try await WholeRestore(fixture.settings, fixture.environment(disk)).run(
            from: repository, snapshot: name, scratch: stage.scratch)
        return (try await fixture.open(disk), fixture)
    }

    private func snapshot(
        _ stage: SnapshotStage, of store: ObjectStore, _ name: String
    ) async throws -> SnapshotCreation.Report {
        let repository = try stage.repository()
        defer { repository.close() }
        return try await SnapshotCreation(store, repository).run(name: name)
    }

    /// Copies the log and the blobs, and ends before there is a manifest.
    private func beginSnapshot(_ stage: SnapshotStage) async throws {
        let fault = stage.backup.inject(
            Fault(.fail(EIO), on: [.create, .open, .write, .rename], times: nil) {
                $0.contains("/snapshots/cut-off")
            })
        await #expect(throws: (any Error).self) { try await stage.snapshot("cut-off") }
        stage.backup.removeFault(fault)
    }

    /// In the same segment, and many later.
    @Test(arguments: [1, 30]) func snapshotsGoOnAfterOneWasCutOffAndTheStoreRestored(events: Int) async throws
    {
        let stage = try await SnapshotStage()
        for number in 0..<8 {
            try await stage.store.put(stage.bucket, "k\(number)", bytes(UInt8(number), 20_000))
        }
        try await stage.store.put(stage.bucket, "large", bytes(1, 90_000))
        try await stage.snapshot("one")
        for number in 0..<events {
            try await stage.store.put(stage.bucket, "lost-\(number)", bytes(UInt8(number), 20_000))
        }
        try await beginSnapshot(stage)
        stage.store.close()
        let (store, fixture) = try await restored(stage, "one")
        for number in 0..<10 {
            try await store.put(stage.bucket, "new-\(number)", bytes(UInt8(number + 9), 21_000))
        }
        try await store.put(stage.bucket, "large", bytes(2, 90_000))
        _ = try await snapshot(stage, of: store, "two")
        #expect(try stage.verify() == [])
        #expect(
            Set(try stage.versions("two").map(\.key))
                == Set((0..<8).map { "k\($0)" } + (0..<10).map { "new-\($0)" } + ["large"]))
        #expect(try stage.versions("one").count == 9)
        let notes = try stage.backup.files(below: "/backup/quarantine").filter { $0.hasSuffix(".json") }
        try #require(!notes.isEmpty, "events are never just removed")
        for note in notes {
            let text = String(decoding: try stage.backup.contents(of: note), as: UTF8.self)
            #expect(text.contains("which no snapshot needs"))
        }
        // And on, with nothing more to set aside.
        try await store.put(stage.bucket, "later", bytes(3, 100))
        _ = try await snapshot(stage, of: store, "three")
        #expect(try stage.verify() == [])
        #expect(
            try stage.backup.files(below: "/backup/quarantine").filter { $0.hasSuffix(".json") } == notes)
        store.close()
        _ = fixture
    }

    @Test func snapshotsOfAnotherBranchAreNamedAndNothingIsChanged() async throws {
        let stage = try await SnapshotStage()
        for name in ["one", "two", "three"] {
            try await stage.store.put(stage.bucket, name, bytes(1, 20_000))
            try await stage.snapshot(name)
        }
        stage.store.close()
        let (store, fixture) = try await restored(stage, "one")
        for number in 0..<20 { try await store.put(stage.bucket, "new-\(number)", bytes(4, 20_000)) }
        let before = try stage.backup.files(below: "/backup").map { ($0, try stage.backup.contents(of: $0)) }
        do {
            _ = try await snapshot(stage, of: store, "four")
            Issue.record("it was taken")
        } catch SnapshotError.otherBranch(let names, let repository) {
            #expect(names == ["two", "three"] && repository == "/backup")
        }
        let after = try stage.backup.files(below: "/backup").map { ($0, try stage.backup.contents(of: $0)) }
        #expect(before.map(\.0) == after.map(\.0) && before.map(\.1) == after.map(\.1))
        #expect(try stage.verify() == [])
        // What is given up by name is no hindrance.
        let repository = try stage.repository()
        _ = try SnapshotPruning(repository, scratch: stage.scratch).run(deleting: ["two", "three"])
        repository.close()
        _ = try await snapshot(stage, of: store, "four")
        #expect(try stage.verify() == [])
        #expect(try stage.versions("four").count == 21)
        store.close()
        _ = fixture
    }

    @Test func aManifestThatCannotBeReadKeepsItsEventsWhereTheyAre() async throws {
        let stage = try await SnapshotStage()
        try await stage.store.put(stage.bucket, "k", bytes(1, 20_000))
        try await stage.snapshot("one")
        try await stage.store.put(stage.bucket, "k", bytes(2, 20_000))
        try await stage.snapshot("two")
        stage.store.close()
        try stage.backup.corrupt("/backup/snapshots/two.json", at: 25)
        let (store, fixture) = try await restored(stage, "one")
        let log = try stage.backup.files(below: "/backup/log").map { try stage.backup.contents(of: $0) }
        await #expect(throws: SnapshotError.self) { try await snapshot(stage, of: store, "three") }
        #expect(
            try stage.backup.files(below: "/backup/log").map { try stage.backup.contents(of: $0) } == log)
        store.close()
        _ = fixture
    }
}
