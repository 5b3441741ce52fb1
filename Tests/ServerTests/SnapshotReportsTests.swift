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

    private func open(_ disk: SimulatedFileSystem, _ started: StartedStore) throws -> Repository {
        try Repository.open(
            "/backup", of: started.store.storeID, creates: true, fileSystem: disk,
            clock: started.fixture.environment(disk).clock)
    }

    @Test func aRepositoryIsNotGoodWhileWhatAnEarlierCheckFoundIsNotMended() async throws {
        let started = try await StartedStore()
        let disk = SimulatedFileSystem()
        for key in ["a", "b", "c"] {
            try await started.store.put(started.bucket, key, [UInt8](repeating: 1, count: 70_000))
        }
        let repository = try open(disk, started)
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

    @Test func partsOfUnfinishedUploadsAreCountedAmongWhatWasRestored() {
        let order = RestoreOrder(repository: "/backup", snapshot: "one")
        var summary = RestoreSummary()
        for part in [nil, 3] {
            summary.add(
                RestoreOutcome(
                    action: .restored, bucket: "photos", key: "k", version: "",
                    upload: part == nil ? nil : "abc", part: part, ownerID: "1", owner: "anna", size: 10,
                    detail: "volumes 1, 2, 3"))
        }
        let lines = SnapshotReports.text(of: summary, order).split(separator: "\n")
        #expect(lines.count == 2 && lines[0].hasPrefix("owner anna: 2 restored of 20 bytes"))
        #expect(lines.allSatisfy { $0.hasSuffix("0 failed; 1 part of unfinished uploads among them") })
    }

    @Test func aSnapshotThatLacksSomethingSaysSo() async throws {
        let started = try await StartedStore()
        let disk = SimulatedFileSystem()
        try await started.store.put(started.bucket, "whole", [UInt8](repeating: 1, count: 70_000))
        let repository = try open(disk, started)
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

    @Test func aPruneThatDamageKeptFromGivingSpaceBackIsNotGood() async throws {
        let started = try await StartedStore()
        let disk = SimulatedFileSystem()
        for name in ["one", "two"] {
            try await started.store.put(started.bucket, name, [UInt8](repeating: 1, count: 70_000))
            let repository = try open(disk, started)
            _ = try await SnapshotCreation(started.store, repository).run(name: name)
            repository.close()
        }
        let output = Lines()
        func prune(dryRun: Bool = false, json: Bool = false) throws -> Bool {
            let repository = try open(disk, started)
            defer { repository.close() }
            return try SnapshotReports.prune(
                repository, RetentionRule(last: 1), dryRun: dryRun, json: json, output)
        }
        // Of the last event the body: the log ends before it then, and does not lead to the snapshot that stays.
        let path = try #require(try disk.files(below: "/backup/log").last)
        let place = UInt64(try disk.contents(of: path).count) - 16
        try disk.corrupt(path, at: place)
        #expect(try prune(dryRun: true))
        #expect(try !prune())
        #expect(output.last.hasPrefix("nothing was dropped from the log: snapshot two: "), "\(output.last)")
        #expect(try !prune(json: true))
        #expect(output.last.contains("\"unproven\":\"snapshot two: "), "\(output.last)")
        let damaged = try open(disk, started)
        #expect(try !SnapshotReports.delete(damaged, [], json: false, output))
        damaged.close()
        try disk.corrupt(path, at: place)
        #expect(try prune() && prune(json: true))
        #expect(!output.last.contains("\"unproven\":\""), "\(output.last)")
        started.store.close()
    }

    @Test func aJobThatDamageKeptFromGivingSpaceBackSaysSoInItsLastResult() {
        var report = SnapshotPruning.Report()
        report.deleted = ["one"]
        report.lockedSegments = 2
        report.locked = [("two", "it is locked")]
        #expect(JobOutcome(report).isGood, "a lock is meant to keep what it keeps")
        report.damagedSegments = 1
        #expect(!JobOutcome(report).isGood && !JobOutcome(report).isMade)
        #expect(JobOutcome(report).summary.hasSuffix("1 segment of it wait to be mended"))
        report.damagedSegments = 0
        report.unproven = ("three", "the log ends at event 5, before event 9")
        #expect(!JobOutcome(report).isGood)
        #expect(JobOutcome(report).summary.hasSuffix("three: the log ends at event 5, before event 9"))
    }

    @Test func aSnapshotWithADamagedManifestStopsAPruneUntilItIsDeleted() async throws {
        let started = try await StartedStore()
        let disk = SimulatedFileSystem()
        let repository = try open(disk, started)
        defer { repository.close() }
        for name in ["one", "two", "three"] {
            try await started.store.put(started.bucket, name, [UInt8](repeating: 1, count: 70_000))
            _ = try await SnapshotCreation(started.store, repository).run(name: name)
        }
        try disk.corrupt("/backup/snapshots/one.json", at: 0, flipping: 0xFF)
        let output = Lines()
        func prune(dryRun: Bool, json: Bool) throws -> Bool {
            try SnapshotReports.prune(
                repository, RetentionRule(last: 1), dryRun: dryRun, json: json, output)
        }
        #expect(try !prune(dryRun: true, json: true))
        #expect(output.last.contains("\"unknown\":[\"one\"]"))
        #expect(output.last.contains("\"dryRun\":true") && output.last.contains("\"deleted\":[\"two\"]"))
        #expect(try repository.snapshots().good.count == 2)
        #expect(try !prune(dryRun: false, json: false))
        #expect(output.last.contains("snapshot one") && output.last.contains("delete it by its name"))
        #expect(throws: SnapshotError.self) {
            try SnapshotReports.delete(repository, ["one", "none"], json: false, output)
        }
        #expect(try repository.snapshots().damaged.count == 1, "nothing goes if one of them is not there")
        #expect(try SnapshotReports.delete(repository, ["one"], json: false, output))
        #expect(try repository.snapshots().damaged.isEmpty)
        started.store.close()
    }

    @Test func aFileWhoseNameIsNoSnapshotsIsNotCalledGoodAndHasToBeMovedByHand() async throws {
        let started = try await StartedStore()
        let disk = SimulatedFileSystem()
        let repository = try open(disk, started)
        defer { repository.close() }
        try await started.store.put(started.bucket, "a", [1])
        _ = try await SnapshotCreation(started.store, repository).run(name: "one")
        let manifest = try disk.contents(of: "/backup/snapshots/one.json")
        try disk.replaceFile("/backup/snapshots/one copy.json", with: manifest)
        let output = Lines()
        func mend() async throws -> Bool {
            try await SnapshotReports.verify(
                repository, nil, percent: 100, mendingFrom: started.store, json: false, output)
        }
        #expect(try await !mend())
        #expect(output.last.hasSuffix("1 flaw"), "\(output.last)")
        #expect(try await !mend(), "nor the next time")
        func prune() throws -> Bool {
            try SnapshotReports.prune(
                repository, RetentionRule(last: 1), dryRun: false, json: false, output)
        }
        #expect(try !prune())
        #expect(output.last.contains("file snapshots/one copy.json: "), "\(output.last)")
        #expect(output.last.hasSuffix(" no snapshot's has to be moved elsewhere by hand"))
        #expect(!output.last.contains("--mend") && !output.last.contains("delete it by its name"))
        try disk.corrupt("/backup/snapshots/one.json", at: 0, flipping: 0xFF)
        #expect(try !prune())
        #expect(output.last.contains("snapshot one: "))
        #expect(output.last.contains("delete it by its name; a file whose name"))
        try disk.corrupt("/backup/snapshots/one.json", at: 0, flipping: 0xFF)
        try disk.remove("/backup/snapshots/one copy.json")
        #expect(try await mend() && prune())
        started.store.close()
    }

    @Test func aDryRunOfAPruneSaysWhatWouldBeDone() async throws {
        let started = try await StartedStore()
        let disk = SimulatedFileSystem()
        let repository = try open(disk, started)
        defer { repository.close() }
        let output = Lines()
        func prune(dryRun: Bool, json: Bool = false) throws -> String {
            #expect(
                try SnapshotReports.prune(
                    repository, RetentionRule(last: 1), dryRun: dryRun, json: json, output))
            return output.last
        }
        for name in ["one", "two"] {
            try await started.store.put(started.bucket, name, [1])
            _ = try await SnapshotCreation(started.store, repository).run(name: name)
        }
        #expect(try prune(dryRun: true) == "snapshot one would be deleted")
        #expect(try prune(dryRun: true, json: true).contains("\"dryRun\":true"))
        #expect(try repository.snapshots().good.map(\.name) == ["one", "two"])
        #expect(try prune(dryRun: false, json: true).contains("\"dryRun\":false"))
        #expect(try repository.snapshots().good.map(\.name) == ["two"])
        #expect(try prune(dryRun: true) == "no snapshot would be deleted")
        started.store.close()
    }
}
