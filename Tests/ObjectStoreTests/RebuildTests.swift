import EventLog
import Foundation
import Model
import ObjectStore
import TestSupport
import Testing
import Volumes

/// A log made anew of what the replicas say of themselves, where objects were put in parts.
@Suite struct RebuildTests {
    private static let part = 5 << 20

    /// Puts an object in parts, by their numbers.
    @discardableResult
    private func put(
        _ started: StartedStore, _ key: String, _ parts: [(number: Int, bytes: [UInt8])]
    ) async throws -> ObjectVersion {
        let upload = try await started.store.createUpload(
            started.bucket, try ObjectKey(key), metadata: EventMetadata(), checksumAlgorithm: .unspecified,
            composite: false, actor: tester
        ).value
        var named: [CompletedPart] = []
        for (number, bytes) in parts {
            let part = try await started.store.putPart(started.bucket, key, upload.uploadID, number, bytes)
            named.append(CompletedPart(number: part.number, etag: part.etag))
        }
        return try await started.store.completeUpload(
            started.bucket, try ObjectKey(key), upload.uploadID, parts: named, checksums: [],
            conditions: .none, actor: tester
        ).value
    }

    private func bytes(_ seed: UInt8, _ count: Int) -> [UInt8] { [UInt8](repeating: seed, count: count) }

    private func rebuild(_ started: StartedStore, publishesGaps: Bool = false) throws -> RebuildReport {
        started.store.close()
        for volume in 1...3 {
            for file in try started.disk.files(below: "/volume-\(volume)/log") {
                try started.disk.remove(file)
            }
        }
        return try ObjectStore.rebuildFromReplicas(
            started.fixture.settings, region: "r", publishesGaps: publishesGaps, isDryRun: false,
            started.fixture.environment(started.disk))
    }

    private func reopened(_ started: StartedStore) async throws -> ObjectStore {
        try started.fixture.forgetCatalog()
        return try await started.fixture.open(started.disk)
    }

    @Test func anObjectOfWhichAPartIsLostIsNamedAndNotPublished() async throws {
        let started = try await StartedStore()
        let whole = [(1, bytes(1, Self.part)), (2, bytes(2, Self.part)), (3, bytes(3, 70_000))]
        let version = try await put(started, "lost", whole)
        try await started.store.put(started.bucket, "plain", bytes(9, 70_000))
        let lost = try #require(BlobID(bytes: version.record.pieces[1].blobID))
        for volume in 1...3 {
            let files = try started.disk.files(below: "/volume-\(volume)/blobs")
            try started.disk.remove(try #require(files.first { $0.hasSuffix("/\(lost)") }))
        }
        let before = try started.blobs()
        let report = try rebuild(started)
        #expect(report.versions == 1 && report.multipart == 0 && report.doubtful.isEmpty)
        #expect(report.gapped.isEmpty)
        let named = try #require(report.incomplete.first)
        #expect(report.incomplete.count == 1)
        #expect(named.bucket == "bucket" && named.key == "lost")
        #expect(named.version == version.versionID.description)
        #expect(named.parts == [1, 3] && named.gaps == [2...2])
        #expect(named.bytes == UInt64(Self.part + 70_000))
        #expect(named.etag != nil && named.etag != version.record.etag, "which tells that a part is lost")
        #expect(
            named.blobs.map { Data($0.bytes) }
                == [version.record.pieces[0].blobID, version.record.pieces[2].blobID])
        let store = try await reopened(started)
        #expect(try started.blobs() == before, "what is there of it stays")
        #expect(try await store.get(started.bucket, "plain") == bytes(9, 70_000))
        #expect(throws: (any Error).self) {
            try store.version(started.bucket, try ObjectKey("lost"), .current)
        }
        store.close()
    }

    /// It leaves no trace.
    @Test func aVersionWhoseLastPartMayHaveStoodInTheLogIsNamedAsInDoubt() async throws {
        let started = try await StartedStore()
        try await put(started, "cut", [(1, bytes(1, Self.part)), (2, bytes(2, 1000))])
        try await put(started, "ended", [(1, bytes(3, Self.part)), (2, bytes(4, 70_000))])
        let report = try rebuild(started)
        #expect(report.versions == 2 && report.incomplete.isEmpty)
        #expect(report.doubtful.map(\.key) == ["cut"])
        let store = try await reopened(started)
        let cut = try store.version(started.bucket, try ObjectKey("cut"), .current)
        #expect(cut.size == UInt64(Self.part) && cut.record.reason.contains("is not known"))
        let ended = try store.version(started.bucket, try ObjectKey("ended"), .current)
        #expect(ended.size == UInt64(Self.part + 70_000) && !ended.record.reason.contains("is not known"))
        store.close()
    }

    /// The ETag that is told of it is then not that of all its parts.
    @Test(arguments: [70_000, Self.part]) func ofOneOfWhichAPartIsLostItIsSaidWhetherItsEndIsInDoubt(
        last: Int
    ) async throws {
        let started = try await StartedStore()
        try await put(started, "gap", [(1, bytes(1, Self.part)), (3, bytes(2, last))])
        let report = try rebuild(started)
        #expect(report.incomplete.map(\.isEndInDoubt) == [last == Self.part])
        #expect(report.doubtful.isEmpty, "which are published")
    }

    /// Nobody but its client knows that it did.
    @Test func anObjectWhoseClientLeftNumbersOutIsPublishedIfThatIsAskedFor() async throws {
        let started = try await StartedStore()
        let version = try await put(
            started, "gap", [(2, bytes(1, Self.part)), (7, bytes(2, Self.part)), (8, bytes(3, 70_000))])
        try await put(started, "whole", [(1, bytes(4, Self.part)), (2, bytes(5, 70_000))])
        let report = try rebuild(started, publishesGaps: true)
        #expect(report.versions == 2 && report.incomplete.isEmpty && report.doubtful.isEmpty)
        let named = try #require(report.gapped.first)
        #expect(report.gapped.count == 1 && named.key == "gap")
        #expect(named.gaps == [1...1, 3...6] && named.etag == version.record.etag)
        let store = try await reopened(started)
        let rebuilt = try store.version(started.bucket, try ObjectKey("gap"), .current)
        #expect(rebuilt.record.pieces.map(\.partNumber) == [2, 7, 8])
        #expect(rebuilt.record.etag == version.record.etag && rebuilt.size == version.size)
        #expect(rebuilt.record.reason.contains("left out or are lost"))
        #expect(
            try await store.get(started.bucket, "gap")
                == bytes(1, Self.part) + bytes(2, Self.part) + bytes(3, 70_000))
        let whole = try store.version(started.bucket, try ObjectKey("whole"), .current)
        #expect(!whole.record.reason.contains("left out"))
        store.close()
    }

    @Test func gapsAreToldAsRuns() {
        #expect(RebuildReport.PartedVersion.gaps(between: [3, 4, 6, 10]) == [1...2, 5...5, 7...9])
        #expect(RebuildReport.PartedVersion.gaps(between: [1, 2, 3]).isEmpty)
    }
}
