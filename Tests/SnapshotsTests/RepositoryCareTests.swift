import Foundation
import Model
import ObjectStore
import Snapshots
import TestSupport
import Testing
import Volumes

/// Repositories that are damaged, and snapshots that go.
@Suite struct RepositoryCareTests {
    @Test func aBlobDamagedInTheRepositoryIsFoundAndAMissingOneBroughtAgain() async throws {
        let stage = try await SnapshotStage()
        for number in 0..<4 { try await stage.store.put(stage.bucket, "k\(number)", bytes(4, 90_000)) }
        try await stage.snapshot("one")
        let files = try stage.files()
        try stage.backup.remove(files[0])
        try stage.backup.corrupt(files[1], at: 70_000)
        let flaws = try stage.verify()
        #expect(Set(flaws.map { "/backup/" + $0.path }) == Set(files.prefix(2)))
        #expect(try stage.verify(percent: 0).count == 1, "a trailer tells nothing of the bytes")
        try await stage.snapshot("two")
        #expect(try stage.verify(percent: 0).isEmpty, "the missing one is back")
        stage.store.close()
    }

    @Test func partsOfTheDataThatAreReadComeToAllOfIt() async throws {
        let stage = try await SnapshotStage()
        for number in 0..<10 { try await stage.store.put(stage.bucket, "k\(number)", bytes(5, 70_000)) }
        try await stage.snapshot("one")
        for file in try stage.files() { try stage.backup.corrupt(file, at: 1) }
        var found = Set<String>()
        for _ in 0..<4 {
            let flaws = try stage.verify(percent: 25)
            #expect(flaws.count == 3)
            found.formUnion(flaws.map(\.path))
        }
        #expect(found.count == 10)
        stage.store.close()
    }

    @Test func aManifestThatWasChangedIsRefused() async throws {
        let stage = try await SnapshotStage()
        try await stage.store.put(stage.bucket, "k", bytes(6, 10))
        try await stage.snapshot("one")
        let path = "/backup/snapshots/one.json"
        let text = String(decoding: try stage.backup.contents(of: path), as: UTF8.self)
        let changed = text.replacing("\"versions\" : 1", with: "\"versions\" : 2")
        try #require(changed != text)
        try stage.backup.replaceFile(path, with: Array(changed.utf8))
        let repository = try stage.repository()
        #expect(throws: SnapshotError.self) { try repository.snapshot("one") }
        #expect(try repository.snapshots().damaged.map(\.name) == ["one"])
        // Nothing is removed while it is not known what it needs.
        let report = try SnapshotPruning(repository, scratch: stage.scratch).run(deleting: [])
        #expect(report.unknown.map(\.name) == ["one"] && report.blobs == 0)
        repository.close()
        #expect(try stage.verify().map(\.snapshot) == ["one"])
        stage.store.close()
    }

    @Test func aStoredCatalogThatIsDamagedIsComputedFromTheLog() async throws {
        let stage = try await SnapshotStage()
        for number in 0..<5 { try await stage.store.put(stage.bucket, "k\(number)", bytes(7, 100)) }
        try await stage.snapshot("one")
        try stage.backup.corrupt("/backup/snapshots/one.catalog.gz", at: 100)
        #expect(try stage.verify().map(\.path) == ["snapshots/one.catalog.gz"])
        #expect(try stage.versions("one").count == 5)
        stage.store.close()
    }

    @Test func aLogThatIsDamagedIsFoundByItsChain() async throws {
        let stage = try await SnapshotStage()
        for number in 0..<5 { try await stage.store.put(stage.bucket, "k\(number)", bytes(7, 100)) }
        try await stage.snapshot("one")
        let log = try #require(try stage.backup.files(below: "/backup/log").first)
        try stage.backup.corrupt(log, at: 4096 + 200)
        #expect(!(try stage.verify().filter { $0.path == "log" }.isEmpty))
        stage.store.close()
    }

    @Test func pruningKeepsWhatAnySnapshotThatStaysNeeds() async throws {
        let stage = try await SnapshotStage()
        try await stage.store.put(stage.bucket, "a", bytes(1, 100_000))
        try await stage.store.put(stage.bucket, "b", bytes(2, 100_000))
        try await stage.snapshot("one")
        try await stage.delete("a")
        try await stage.store.put(stage.bucket, "c", bytes(3, 100_000))
        try await stage.snapshot("two")
        #expect(try stage.files().count == 3)
        let repository = try stage.repository()
        let report = try SnapshotPruning(repository, scratch: stage.scratch).run(
            keeping: RetentionRule(last: 1))
        repository.close()
        #expect(report.deleted == ["one"] && report.blobs == 1 && report.bytes == 100_000)
        #expect(try stage.files().count == 2)
        #expect(try stage.verify() == [])
        stage.store.close()
    }

    private static func manifest(_ name: String, _ time: String) throws -> SnapshotManifest {
        let date = try #require(ISO8601DateFormatter().date(from: time))
        let microseconds = UInt64(date.timeIntervalSince1970) * 1_000_000
        let text = """
            {"format": 1, "name": "\(name)", "storeID": "", "sequence": 1, "chain": "", "time": "\(time)",
            "timeMicroseconds": \(microseconds), "created": "", "createdMicroseconds": 0, "buckets": 0,
            "versions": 0, "deleteMarkers": 0, "versionBytes": 0, "blobs": 0, "blobBytes": 0, "lostBlobs": 0, "software": "",
            "catalog": {"name": "", "byteCount": 0, "sha256": ""}}
            """
        return try JSONDecoder().decode(SnapshotManifest.self, from: Data(text.utf8))
    }

    @Test(arguments: [
        (RetentionRule(last: 2), ["f", "e"]), (RetentionRule(hourly: 2), ["f", "d"]),
        (RetentionRule(daily: 2), ["f", "c"]), (RetentionRule(weekly: 2), ["f", "b"]),
        (RetentionRule(monthly: 2), ["f", "a"]), (RetentionRule(monthly: 9), ["f", "a"]),
        (RetentionRule(last: 1, daily: 2, monthly: 2), ["f", "c", "a"]),
    ])
    func theNewestOfEachPeriodStays(rule: RetentionRule, kept: [String]) throws {
        let snapshots = try [
            ("a", "2026-10-31T23:59:59Z"), ("b", "2026-11-22T23:00:00Z"),  // a Sunday
            ("c", "2026-11-24T12:00:00Z"), ("d", "2026-11-25T01:10:00Z"), ("e", "2026-11-25T02:10:00Z"),
            ("f", "2026-11-25T02:50:00Z"),
        ].map { try Self.manifest($0.0, $0.1) }
        #expect(rule.kept(of: snapshots) == Set(kept))
    }
}
