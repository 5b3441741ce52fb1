import Foundation
import Snapshots
import Testing

/// What stands in `snapshots/NAME.json` of a repository.
@Suite struct SnapshotFormatTests {
    private static func manifest(_ format: Int, _ losses: String) throws -> SnapshotManifest {
        let text = """
            {"format": \(format), "name": "nightly-7", "storeID": "01020304-0506-4708-890a-0b0c0d0e0f10",
            "sequence": 4711, "chain": "\(String(repeating: "ab", count: 32))",
            "time": "2026-11-25T03:42:47.000Z", "timeMicroseconds": 1795578167000000,
            "created": "2026-11-25T03:42:59.000Z", "createdMicroseconds": 1795578179000000,
            "parent": "nightly-6", "buckets": 3, "versions": 1200, "deleteMarkers": 4,
            "versionBytes": 9000000000, "blobs": 700, "blobBytes": 8999000000, \(losses),
            "software": "holdfast 0.1.0", "catalog": {"name": "nightly-7.catalog.gz", "byteCount": 65536,
            "sha256": "\(String(repeating: "cd", count: 32))"}}
            """
        return try JSONDecoder().decode(SnapshotManifest.self, from: Data(text.utf8))
    }

    @Test func aManifestIsTheSame() throws {
        let file = GoldenFile(name: "snapshot.json")
        let manifest = try Self.manifest(1, "\"lostBlobs\": 0")
        try file.expect(try manifest.encoded())
        let read = try SnapshotManifest.decode(try file.bytes(), path: file.name)
        #expect(read == manifest && read.lostPayloads == nil && read.isComplete)
    }

    @Test func theManifestOfASnapshotThatLacksSomethingIsTheSame() throws {
        let file = GoldenFile(name: "snapshot-with-losses.json")
        let manifest = try Self.manifest(2, "\"lostBlobs\": 1, \"lostPayloads\": 2")
        try file.expect(try manifest.encoded())
        let read = try SnapshotManifest.decode(try file.bytes(), path: file.name)
        #expect(read == manifest && read.lostPayloads == 2 && !read.isComplete)
    }

    @Test func aFormatThatIsNotKnownIsRefusedByName() throws {
        let manifest = try Self.manifest(3, "\"lostBlobs\": 0")
        do {
            _ = try SnapshotManifest.decode(try manifest.encoded(), path: "snapshots/nightly-7.json")
            Issue.record("it was read")
        } catch SnapshotError.damagedManifest(let path, let reason) {
            #expect(path == "snapshots/nightly-7.json")
            #expect(reason == "it has format 3; this Holdfast knows formats up to 2")
        }
    }
}
