import Catalog
import Foundation
import Integrity
import Model
import ObjectStore
import Snapshots
import TestSupport
import Testing
import Volumes

/// Every operation of the file system is where a process may end, and a power cut too: what is left is valid, and doing it
/// again finishes it.
@Suite struct CutOffTests {
    @Test func aPruneThatIsCutOffLeavesSnapshotsWholeAndIsFinishedByTheNext() async throws {
        let stage = try await SnapshotStage()
        for (name, seed) in [("one", UInt8(1)), ("two", 2), ("three", 3)] {
            for number in 0..<3 {
                try await stage.store.put(stage.bucket, "k\(number)", bytes(seed, 70_000 + number))
            }
            // Two segments of the log are sealed in the end, nearly all of them bytes that the last snapshot does not need.
            for number in 0..<5 {
                try await stage.store.put(stage.bucket, "s\(number)", bytes(seed, 20_000 + number))
            }
            try await stage.snapshot(name)
        }
        @discardableResult func prune(_ disk: SimulatedFileSystem) throws -> SnapshotPruning.Report {
            let repository = try stage.repository(on: disk)
            defer { repository.close() }
            return try SnapshotPruning(repository, scratch: stage.scratch).run(
                keeping: RetentionRule(last: 1))
        }
        func log(_ disk: SimulatedFileSystem) throws -> [String: [UInt8]] {
            try Dictionary(
                uniqueKeysWithValues: disk.files(below: "/backup/log").map {
                    ($0, try disk.contents(of: $0))
                })
        }
        let pruned = stage.backup.clone()
        #expect(try prune(pruned).payloads >= 8)
        let expected = try log(pruned)
        var point = 1
        while true {
            let disk = stage.backup.clone()
            disk.crash(atOperation: point)
            do {
                try prune(disk)
                break
            } catch {
                let survivor = disk.recovered(seed: UInt64(point))
                #expect(try stage.verify(on: survivor) == [], "after operation \(point)")
                try prune(survivor)
                #expect(try stage.verify(on: survivor) == [], "finished after operation \(point)")
                #expect(
                    try survivor.files(below: "/backup/blobs").count == 3, "after operation \(point)")
                #expect(try log(survivor) == expected, "after operation \(point)")
            }
            point += 1
        }
        #expect(point > 20)
        stage.store.close()
    }

    @Test func theFirstSnapshotOfARepositoryThatIsCutOffIsFollowedByAnother() async throws {
        let stage = try await SnapshotStage()
        try await stage.store.put(stage.bucket, "blob", bytes(1, 70_000))
        try await stage.store.put(stage.bucket, "payload", bytes(2, 1_000))
        var point = 1
        while true {
            let disk = SimulatedFileSystem()
            disk.crash(atOperation: point)
            do {
                try await stage.snapshot("one", on: disk)
                break
            } catch {}  // cut off, which is what this is about
            // As a process leaves it that is killed, and as a machine finds it that lost its power.
            for survivor in [disk.clone(), disk.recovered(seed: UInt64(point))] {
                try await stage.snapshot("two", on: survivor)
                #expect(try stage.verify(on: survivor) == [], "after operation \(point)")
                #expect(
                    try survivor.files(below: "/backup/blobs").count == 1, "after operation \(point)")
            }
            point += 1
        }
        #expect(point > 30)
        stage.store.close()
    }

    @Test func aSnapshotThatIsCutOffForgetsNothingThatItCopiedAsLost() async throws {
        let stage = try await SnapshotStage()
        try await stage.snapshot("zero")
        // Two segments, each copied by itself; the first one has what is lost.
        for number in 0..<8 {
            try await stage.store.put(stage.bucket, "k\(number)", bytes(UInt8(number), 20_000))
        }
        let payload = Data(bytes(0, 20_000))
        let log = stage.started.disk
        var count = 0
        for volume in 1...3 {
            for path in try log.files(below: "/volume-\(volume)/log") {
                guard let place = Data(try log.contents(of: path)).range(of: payload) else { continue }
                try log.corrupt(path, at: UInt64(place.lowerBound) + 50)
                count += 1
            }
        }
        try #require(count == 3)
        var point = 1
        while true {
            let disk = stage.backup.clone()
            disk.crash(atOperation: point)
            do {
                #expect(try await stage.snapshot("one", on: disk).manifest.lostPayloads == 1)
                break
            } catch {
                let survivor = disk.recovered(seed: UInt64(point))
                let next = try await stage.snapshot("two", on: survivor).manifest
                #expect(next.lostPayloads == 1, "after operation \(point)")
            }
            point += 1
        }
        #expect(point > 10)
        stage.store.close()
    }

    private func findings(_ store: ObjectStore, repairs: Bool = false) async throws -> [String] {
        var found: [String] = []
        _ = try await StoreCheck(
            store, .init(isDeep: true, repairs: repairs), includesOpening: false
        ).run {
            found.append("\($0)")
        }
        return found
    }

    @Test func aStoreThatIsMadeOfARepositoryIsWholeOrNotThere() async throws {
        let stage = try await SnapshotStage()
        for number in 0..<3 {
            try await stage.store.put(stage.bucket, "k\(number)", bytes(1, number * 70_000))
        }
        try await stage.store.put(stage.bucket, "k1", bytes(2, 90_000))
        try await stage.snapshot("one")
        stage.store.close()
        let fixture = try StoreFixture { $0.segmentByteCount = 128 * 1024 }
        func make(_ disk: SimulatedFileSystem) async throws {
            let repository = try stage.repository()
            defer { repository.close() }
            _ = try await WholeRestore(fixture.settings, fixture.environment(disk)).run(
                from: repository, snapshot: "one", scratch: stage.scratch)
        }
        func check(_ store: ObjectStore, _ point: Int) async throws {
            #expect(try await store.get(stage.bucket, "k2") == bytes(1, 140_000), "\(point)")
            #expect(try await store.get(stage.bucket, "k1") == bytes(2, 90_000), "\(point)")
            #expect(try await findings(store) == [], "\(point)")
            store.close()
        }
        var point = 1
        while true {
            try fixture.forgetCatalog()
            let disk = SimulatedFileSystem()
            disk.crash(atOperation: point)
            do {
                try await make(disk)
                break
            } catch {
                let survivor = disk.recovered(seed: UInt64(point))
                let marker = fixture.settings.stateDirectory + "/restoring"
                if try survivor.status(of: marker) != nil {
                    await #expect(throws: (any Error).self, "\(point)") { try await fixture.open(survivor) }
                    try await make(survivor)
                } else if try survivor.status(of: "/volume-1") == nil {
                    try await make(survivor)
                }
                try await check(try await fixture.open(survivor), point)
            }
            point += 1
        }
        #expect(point > 100)
    }

    /// Cuts a restore off at one operation after the other, and gives it again.
    /// - Parameters:
    ///   - count: how many it restores.
    ///   - least: operations that it makes at least.
    ///   - check: of the store that it was given in again, and what it came to there.
    private func cutOff(
        _ stage: SnapshotStage, _ order: RestoreOrder, count: Int, each stride: Int, least: Int = 30,
        check: (ObjectStore, _ rest: RestoreSummary.Count, _ point: Int) async throws -> Void
    ) async throws {
        let before = stage.started.disk.clone()
        stage.store.close()
        let fixture = stage.started.fixture
        func restore(_ store: ObjectStore) async throws -> RestoreSummary {
            if case .moment = order.source { return try await Restore(store, order).run { _ in } }
            let repository = try stage.repository()
            defer { repository.close() }
            return try await Restore(store, repository, order).run { _ in }
        }
        var point = 1
        while true {
            try fixture.forgetCatalog()
            let disk = before.recovered(seed: UInt64(point))
            let store = try await fixture.open(disk)
            disk.crash(atOperation: point)
            let summary = try await restore(store)
            store.close()
            if summary.total.restored == count { break }
            try #require(disk.hasCrashed, "a restore that nothing cuts off is finished")
            let survivor = disk.recovered(seed: UInt64(point))
            try fixture.forgetCatalog()
            let again = try await fixture.open(survivor)
            let rest = try await restore(again).total
            #expect(rest.failed == 0, "after operation \(point)")
            try await check(again, rest, point)
            #expect(try await findings(again) == [], "after operation \(point)")
            again.close()
            point += stride
        }
        #expect(point > least)
    }

    /// A blob and an object in the log: no more, so that each operation can be tried. The blob comes first, so that what
    /// happens behind its commit is tried too.
    @Test func aRestoreThatIsCutOffIsFinishedByGivingItAgain() async throws {
        let stage = try await SnapshotStage()
        let objects = [("a", bytes(1, 70_000)), ("b", bytes(2, 1_000))]
        for (key, content) in objects { try await stage.store.put(stage.bucket, key, content) }
        try await stage.snapshot("one")
        for (key, _) in objects { try await stage.delete(key) }
        let order = RestoreOrder(repository: "/backup", snapshot: "one")
        try await cutOff(stage, order, count: objects.count, each: 1) { store, rest, point in
            #expect(rest.restored + rest.present == objects.count, "after operation \(point)")
            for (key, content) in objects {
                let restored = try await store.get(stage.bucket, key)
                #expect(restored == content, "\(point)")
            }
        }
    }

    /// Two keys: what one showed has a delete marker and a blob behind it, the other showed nothing. At each third operation.
    @Test func aRestoreOfEveryVersionThatIsCutOffIsFinishedByGivingItAgain() async throws {
        let stage = try await SnapshotStage()
        _ = try await stage.store.configureBucket(
            stage.bucket, setting: "versioning", value: Array("Enabled".utf8), actor: tester)
        try await stage.store.put(stage.bucket, "a", bytes(1, 70_000))
        try await stage.delete("a")
        try await stage.store.put(stage.bucket, "a", bytes(2, 1_000))
        try await stage.store.put(stage.bucket, "b", bytes(3, 10))
        try await stage.delete("b")
        try await stage.snapshot("one")
        func versions(_ store: ObjectStore) throws -> [ObjectVersion] {
            try store.inspection.catalog.read { try $0.versions(after: nil, limit: 100) }
        }
        func names(_ store: ObjectStore) throws -> [String] {
            try versions(store).map { "\($0.key) \($0.versionID) \($0.isDeleteMarker) \($0.size)" }
        }
        let expected = try names(stage.store)
        try #require(expected.count == 5)
        for version in try versions(stage.store) {
            _ = try await stage.store.delete(
                stage.bucket, try ObjectKey(version.key), .id(version.versionID), conditions: .none,
                actor: tester)
        }
        var order = RestoreOrder(repository: "/backup", snapshot: "one")
        order.unit.hasEveryVersion = true
        try await cutOff(stage, order, count: expected.count, each: 3) { store, rest, point in
            #expect(rest.restored + rest.present == expected.count, "after operation \(point)")
            let (names, content) = (try names(store), try await store.get(stage.bucket, "a"))
            #expect(names == expected, "after operation \(point)")
            #expect(content == bytes(2, 1_000), "\(point)")
        }
    }

    /// As above, within the store: the blob stays the one that it was.
    @Test func aRestoreByReferenceThatIsCutOffIsFinishedByGivingItAgain() async throws {
        let stage = try await SnapshotStage()
        let objects = [("a", bytes(1, 70_000)), ("b", bytes(2, 1_000))]
        for (key, content) in objects { try await stage.store.put(stage.bucket, key, content) }
        let moment = Moment.event(stage.store.head.sequence.rawValue)
        for (key, _) in objects { try await stage.delete(key) }
        let order = RestoreOrder(at: moment)
        try await cutOff(stage, order, count: objects.count, each: 1, least: 5) { store, rest, point in
            #expect(rest.restored + rest.present == objects.count, "after operation \(point)")
            for (key, content) in objects {
                let restored = try await store.get(stage.bucket, key)
                #expect(restored == content, "\(point)")
            }
            let blobs = try store.inspection.catalog.read { try $0.counts() }.blobs
            #expect(blobs == 1, "after operation \(point)")
        }
    }

    /// A blob, and an event in the middle of the log, that no volume has good. What was mended on one volume when it was cut off
    /// is damaged no more, also where it has no name yet and a volume that is opened puts it in quarantine; the rest of it is a
    /// check's. At each third operation.
    @Test func aRestoreOfWhatIsDamagedThatIsCutOffIsFinishedByGivingItAgain() async throws {
        let stage = try await SnapshotStage()
        let objects = [("a", bytes(1, 70_000)), ("b", bytes(2, 1_000)), ("c", bytes(3, 10))]
        for (key, content) in objects { try await stage.store.put(stage.bucket, key, content) }
        try await stage.snapshot("one")
        let large = try stage.store.version(stage.bucket, try ObjectKey("a"), .current)
        let small = try stage.store.version(stage.bucket, try ObjectKey("b"), .current)
        let id = Array(large.record.pieces[0].blobID).hexadecimal
        let disk = stage.started.disk
        for volume in 1...3 {
            let folder = "/volume-\(volume)/blobs/\(id.prefix(2))/\(id.dropFirst(2).prefix(2))"
            try disk.corrupt("\(folder)/\(id)", at: 10)
            // In its bytes: what happened is there, and the store opens without a catalog.
            let (path, range) = try LogDamage(disk: disk, volume: volume).frame(small.sequence)
            try disk.corrupt(path, at: UInt64(range.upperBound - 500))
        }
        var order = RestoreOrder(repository: "/backup", snapshot: "one")
        order.unit.isDamagedOnly = true
        try await cutOff(stage, order, count: 2, each: 3) { store, rest, point in
            #expect(rest.restored <= 2 && rest.present + rest.newer == 0, "after operation \(point)")
            _ = try await findings(store, repairs: true)
            for (key, content) in objects {
                let restored = try await store.get(stage.bucket, key)
                #expect(restored == content, "\(point)")
            }
        }
    }

    @Test func aRebuildThatIsCutOffIsMadeAgain() async throws {
        let stage = try await SnapshotStage()
        for number in 0..<3 {
            try await stage.store.put(stage.bucket, "k\(number)", bytes(UInt8(number), 70_000))
        }
        stage.store.close()
        let fixture = stage.started.fixture
        let before = stage.started.disk.recovered(seed: 1)
        for volume in 1...3 {
            for file in try before.files(below: "/volume-\(volume)/log") { try before.remove(file) }
            try before.syncDirectory("/volume-\(volume)/log")
        }
        func rebuild(_ disk: SimulatedFileSystem) throws -> RebuildReport {
            try ObjectStore.rebuildFromReplicas(
                fixture.settings, region: "r", isDryRun: false, fixture.environment(disk))
        }
        var point = 1
        while true {
            let disk = before.clone()
            disk.crash(atOperation: point)
            var isDone = false
            do {
                _ = try rebuild(disk)
                isDone = true
            } catch {}  // cut off, which is what this is about
            if isDone { break }
            let survivor = disk.recovered(seed: UInt64(point))
            do { #expect(try rebuild(survivor).versions == 3, "after operation \(point)") } catch {
                // It was complete when it was cut off.
                #expect("\(error)".contains("there is a log"), "after operation \(point): \(error)")
            }
            try fixture.forgetCatalog()
            let store = try await fixture.open(survivor)
            for number in 0..<3 {
                #expect(
                    try await store.get(stage.bucket, "k\(number)") == bytes(UInt8(number), 70_000),
                    "\(point)")
            }
            #expect(try await findings(store) == [], "after operation \(point)")
            store.close()
            point += 1
        }
        #expect(point > 50)
    }
}
