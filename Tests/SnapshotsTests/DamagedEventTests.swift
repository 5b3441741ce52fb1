import Foundation
import Model
import ObjectStore
import Snapshots
import TestSupport
import Testing
import Volumes

/// Events that no mirror of the log has good, mended from a repository's copy.
@Suite struct DamagedEventTests {
    @Test func eventsDamagedOnEveryMirrorComeBackToTheByte() async throws {
        let stage = try await SnapshotStage()
        for number in 0..<60 {
            try await stage.store.put(stage.bucket, "k\(number)", bytes(UInt8(number), 5_000))
        }
        _ = try await stage.store.configureBucket(
            stage.bucket, setting: "tagging", value: Array("<x/>".utf8), actor: tester)
        // What the snapshot is of: that it was taken is the store's next event, which it does not have.
        let last = stage.store.head.sequence.rawValue
        try await stage.snapshot("one")
        let disk = stage.started.disk
        func files() throws -> [String: [UInt8]] {
            var found: [String: [UInt8]] = [:]
            for volume in 1...3 {
                for path in try disk.files(below: "/volume-\(volume)/log") where path.hasSuffix(".log") {
                    found[path] = try disk.contents(of: path)
                }
            }
            return found
        }
        let before = try files()
        #expect(before.count > 6, "some segments are sealed")
        // Headers, bodies and payloads; two that follow each other; the last one, in the segment that is appended to.
        let places: [(sequence: UInt64, offset: Int)] = [
            (4, 20), (5, 100), (9, 2_000), (40, 60), (last, 95),
        ]
        for volume in 1...3 {
            for (sequence, offset) in places {
                let (path, range) = try LogDamage(disk: disk, volume: volume).frame(SequenceNumber(sequence))
                try disk.corrupt(path, at: UInt64(range.lowerBound + offset))
            }
        }
        let repository = try stage.repository()
        defer { repository.close() }
        var order = RestoreOrder(repository: "/backup", snapshot: "one")
        order.unit.isDamagedOnly = true
        order.isDryRun = true
        let plan = try await Restore(stage.store, repository, order).run { _ in }
        #expect(plan.total.restored == 5 && plan.total.failed == 0)
        order.isDryRun = false
        var keys: [String] = []
        let summary = try await Restore(stage.store, repository, order).run { keys.append($0.key) }
        #expect(summary.total.restored == 5 && summary.total.failed == 0)
        #expect(keys.filter(\.isEmpty).count == 1, "an event of a bucket belongs to no object")
        for (path, bytes) in try files() {
            guard let former = before[path] else { continue }
            let end = former.lastIndex { $0 != 0 }.map { $0 + 1 } ?? 0
            #expect(bytes.prefix(end).elementsEqual(former.prefix(end)), "\(path)")
        }
        for number in 0..<60 {
            #expect(try await stage.store.get(stage.bucket, "k\(number)") == bytes(UInt8(number), 5_000))
        }
        #expect(try await Restore(stage.store, repository, order).run { _ in }.total.restored == 0)
        stage.store.close()
    }
}
