import Foundation
import Model
import ObjectStore
import Snapshots
import TestSupport
import Testing
import Volumes

/// What a snapshot lacks because nobody had it good when it was taken.
@Suite struct SnapshotLossTests {
    /// Flips a bit of a payload on every mirror of the store; done again, it is as it was.
    private func flip(_ payload: [UInt8], _ stage: SnapshotStage) throws {
        let disk = stage.started.disk
        var count = 0
        for volume in 1...3 {
            for path in try disk.files(below: "/volume-\(volume)/log") {
                let content = Data(try disk.contents(of: path))
                let rest = Data(payload.dropFirst(100))
                guard let range = content.range(of: rest) else { continue }
                try disk.corrupt(path, at: UInt64(range.lowerBound) - 50)
                count += 1
            }
        }
        try #require(count == 3)
    }

    private func manifest(_ name: String, _ stage: SnapshotStage) throws -> SnapshotManifest {
        let repository = try stage.repository()
        defer { repository.close() }
        return try repository.snapshot(name)
    }

    @Test func bytesThatNobodyHasAreCountedInEachManifestUntilSomebodyHasThem() async throws {
        let stage = try await SnapshotStage()
        let (small, gone, part) = (bytes(1, 20_000), bytes(2, 20_000), bytes(3, 20_000))
        try await stage.store.put(stage.bucket, "small", small)
        try await stage.store.put(stage.bucket, "gone", gone)
        let upload = try await stage.store.createUpload(
            stage.bucket, try ObjectKey("parts"), metadata: EventMetadata(),
            checksumAlgorithm: .unspecified, composite: false, actor: tester
        ).value
        _ = try await stage.store.putPart(stage.bucket, "parts", upload.uploadID, 1, part)
        try await stage.store.put(stage.bucket, "good", bytes(4, 20_000))
        try await stage.delete("gone")
        for payload in [small, gone, part] { try flip(payload, stage) }

        let report = try await stage.snapshot("one")
        #expect(report.lostPayloads == 3 && report.manifest.lostPayloads == 2, "nobody needs one of them")
        #expect(report.manifest.format == 2 && report.manifest.lostBlobs == 0 && !report.manifest.isComplete)
        #expect(try manifest("one", stage) == report.manifest)
        guard
            case .snapshotTaken(let noted)? = try stage.store.events(
                from: stage.store.head.sequence, limit: 1
            )
            .first?.record.change
        else {
            Issue.record("the store's log does not say that the snapshot was taken")
            return
        }
        #expect(noted.lostPayloads == 2 && noted.lostBlobs == 0)
        #expect(try stage.verify().count == 3)

        let second = try await stage.snapshot("two")
        #expect(second.lostPayloads == 0 && second.manifest.lostPayloads == 2, "nothing is copied anew")

        for payload in [small, gone, part] { try flip(payload, stage) }
        let third = try await stage.snapshot("three")
        #expect(third.mended == 3 && third.manifest.isComplete && third.manifest.format == 1)
        #expect(try stage.verify() == [])
        stage.store.close()
    }

    @Test func aBlobThatNobodyHasIsCounted() async throws {
        let stage = try await SnapshotStage()
        try await stage.store.put(stage.bucket, "large", bytes(1, 90_000))
        for volume in 1...3 {
            for path in try stage.started.disk.files(below: "/volume-\(volume)/blobs") {
                try stage.started.disk.corrupt(path, at: 7)
            }
        }
        let manifest = try await stage.snapshot("one").manifest
        #expect(manifest.lostBlobs == 1 && manifest.lostPayloads == nil && !manifest.isComplete)
        #expect(manifest.format == 1, "which says it as well")
        stage.store.close()
    }
}
