import HoldfastServer
import Model
import ObjectStore
import Snapshots
import Synchronization
import TestSupport
import Testing
import Volumes

/// What the commands of a repository say, and whether they call it good.
@Suite struct SnapshotReportsTests {
    private final class Lines: CommandOutput {
        private let lines = Mutex<[String]>([])
        var last: String { lines.withLock { $0.last ?? "" } }
        func line(_ text: String) { lines.withLock { $0.append(text) } }
        func progress(_ part: Double) {}
    }

    @Test func aRepositoryIsNotGoodWhileWhatAnEarlierCheckFoundIsNotMended() async throws {
        let started = try await StartedStore()
        let disk = SimulatedFileSystem()
        for key in ["a", "b", "c"] {
            try await started.store.put(started.bucket, key, [UInt8](repeating: 1, count: 70_000))
        }
        let repository = try Repository.open(
            "/backup", of: started.store.storeID, creates: true, fileSystem: disk,
            clock: started.fixture.environment(disk).clock)
        defer { repository.close() }
        _ = try await SnapshotCreation(started.store, repository).run(name: "one")
        let output = Lines()
        func verify(_ percent: Int, json: Bool = false) throws -> Bool {
            try SnapshotReports.verify(repository, nil, percent: percent, json: json, output)
        }
        #expect(try verify(100))
        #expect(output.last.hasSuffix("all good"))
        try disk.corrupt(try #require(try disk.files(below: "/backup/blobs").first), at: 5)
        #expect(try !verify(100))
        #expect(output.last.hasSuffix("1 flaw; 1 known to be damaged and not mended"))
        // It reads no blob whole, and finds nothing.
        #expect(try !verify(0))
        #expect(output.last.hasSuffix("no flaw in what was read; 1 known to be damaged and not mended"))
        #expect(try !verify(0, json: true))
        #expect(output.last.contains("\"flaws\":0") && output.last.contains("\"unmended\":1"))
        try await RepositoryMending(started.store, repository).run { #expect($0.reason == nil) }
        #expect(try verify(0))
        #expect(output.last.hasSuffix("all good"))
        started.store.close()
    }

    @Test func aRestoreThatFoundNothingSaysSo() {
        var order = RestoreOrder(repository: "/backup", snapshot: "one")
        order.unit.bucket = "photos"
        order.unit.prefix = "206/"
        let text = SnapshotReports.text(of: RestoreSummary(), order)
        #expect(text.hasPrefix("total: 0 restored of 0 bytes"))
        #expect(text.hasSuffix("\nnothing is there of what was asked for: bucket photos, prefix 206/"))
        order.unit.isDamagedOnly = true
        #expect(SnapshotReports.text(of: RestoreSummary(), order).hasSuffix("\nnothing of it is damaged"))
    }

    @Test func aSnapshotThatLacksSomethingSaysSo() async throws {
        let started = try await StartedStore()
        let disk = SimulatedFileSystem()
        try await started.store.put(started.bucket, "whole", [UInt8](repeating: 1, count: 70_000))
        let repository = try Repository.open(
            "/backup", of: started.store.storeID, creates: true, fileSystem: disk,
            clock: started.fixture.environment(disk).clock)
        defer { repository.close() }
        _ = try await SnapshotCreation(started.store, repository).run(name: "one")
        try await started.store.put(started.bucket, "lost", [UInt8](repeating: 2, count: 70_000))
        let kept = try disk.files(below: "/backup/blobs").map { String($0.dropFirst("/backup".count)) }
        for volume in 1...3 {
            for path in try started.disk.files(below: "/volume-\(volume)/blobs")
            where !kept.contains(String(path.dropFirst("/volume-1".count))) {
                try started.disk.corrupt(path, at: 5)
            }
        }
        _ = try await SnapshotCreation(started.store, repository).run(name: "two")
        let output = Lines()
        try SnapshotReports.show(repository, "one", json: false, output)
        #expect(!output.last.contains("lacks"))
        try SnapshotReports.show(repository, "two", json: false, output)
        #expect(output.last.contains("lacks") && output.last.contains("1 blob;"))
        started.store.close()
    }
}
