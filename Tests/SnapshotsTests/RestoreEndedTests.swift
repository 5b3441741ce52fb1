import Foundation
import Model
import ObjectStore
import Snapshots
import TestSupport
import Testing

/// What the store's log says when a restore has ended.
@Suite struct RestoreEndedTests {
    private static let ann = Actor(id: "ann", displayName: "Ann", requestID: "r2")

    @discardableResult
    private func restore(
        _ stage: SnapshotStage, _ change: (inout RestoreOrder) -> Void = { _ in }
    ) async throws -> RestoreSummary {
        let repository = try stage.repository()
        defer { repository.close() }
        var order = RestoreOrder(repository: "/backup", snapshot: "one")
        change(&order)
        return try await Restore(stage.store, repository, order, isAffected: { _ in true }).run { _ in }
    }

    /// The log's last event, which is to be that a restore ended.
    private func ended(_ stage: SnapshotStage) throws -> EventRestoreEnded {
        let event = try #require(try stage.store.events(from: stage.store.head.sequence, limit: 1).first)
        guard case .restoreEnded(let change) = event.record.change else {
            Issue.record("the last event is \(event.record)")
            return EventRestoreEnded()
        }
        #expect(change.beganMicroseconds > 0 && change.beganMicroseconds < event.time.microseconds)
        return change
    }

    private func put(_ stage: SnapshotStage, _ key: String, _ content: [UInt8], by actor: Actor) async throws
    {
        let target = UploadTarget(
            bucket: stage.bucket, key: try ObjectKey(key), metadata: EventMetadata(), actor: actor,
            part: nil, expectedLength: UInt64(content.count), checksum: nil)
        let upload = stage.store.beginUpload(target)
        try await upload.write(content)
        _ = try await upload.finish()
        _ = try await stage.store.publish(upload, conditions: .none, checksums: [])
    }

    @Test func theLogHasAnAccountForEachOwner() async throws {
        let stage = try await SnapshotStage()
        try await put(stage, "a", bytes(1, 80_000), by: tester)
        try await put(stage, "b", bytes(2, 10), by: Self.ann)
        try await put(stage, "c", bytes(3, 20), by: Self.ann)
        let taken = try await stage.snapshot("one").manifest
        for key in ["a", "b"] { try await stage.delete(key) }
        try await put(stage, "c", bytes(4, 20), by: Self.ann)
        let summary = try await restore(stage) { $0.unit.bucket = "bucket" }
        #expect(summary.unnoted == nil)
        let change = try ended(stage)
        #expect(change.repository == "/backup" && change.snapshot == "one")
        #expect(change.sequence == taken.sequence && change.unit == "bucket bucket")
        #expect(change.target == .inPlace && change.targetName.isEmpty && change.incident == 0)
        #expect(change.complete && !change.overwrites)
        #expect(change.total.restored == 2 && change.total.restoredBytes == 80_010)
        #expect(change.total.newer == 1 && change.total.present == 0 && change.total.failed == 0)
        #expect(change.owners.map(\.owner) == ["ann", "tester"])
        #expect(change.owners.map(\.ownerDisplayName) == ["Ann", "Tester"])
        #expect(change.owners.map(\.restored) == [1, 1])
        #expect(change.owners.map(\.restoredBytes) == [10, 80_000])
        #expect(change.owners.map(\.newer) == [1, 0])
        #expect(change.furtherOwners == 0 && !change.hasFurther)
        #expect(summary.owners.keys.sorted() == ["Ann", "Tester"])
        stage.store.close()
    }

    @Test func aDryRunLeavesNoEventAndOneThatHadNothingToDoDoes() async throws {
        let stage = try await SnapshotStage()
        try await stage.store.put(stage.bucket, "k", bytes(1, 10))
        try await stage.snapshot("one")
        let head = stage.store.head
        #expect(try await restore(stage) { $0.isDryRun = true }.unnoted == nil)
        #expect(stage.store.head == head)
        try await restore(stage)
        let change = try ended(stage)
        #expect(change.complete && change.unit == "all")
        #expect(change.total.present == 1 && change.total.restored == 0)
        #expect(change.owners.map(\.present) == [1])
        try await restore(stage) { $0.unit.prefix = "none/" }
        let nothing = try ended(stage)
        #expect(nothing.complete && nothing.unit == "prefix none/" && nothing.owners.isEmpty)
        #expect(nothing.hasTotal && nothing.total == EventRestoreAccount())
        stage.store.close()
    }

    @Test func whatFailedIsCountedAndTheRestoreIsNotComplete() async throws {
        let stage = try await SnapshotStage()
        try await put(stage, "bad", bytes(1, 200_000), by: tester)
        for key in ["good", "well"] { try await put(stage, key, bytes(2, 100), by: Self.ann) }
        try await stage.snapshot("one")
        for key in ["bad", "good", "well"] { try await stage.delete(key) }
        try stage.backup.corrupt(try #require(try stage.files().first), at: 150_000)
        try await restore(stage)
        let change = try ended(stage)
        #expect(!change.complete && change.total.failed == 1 && change.total.restored == 2)
        #expect(change.owners.map(\.owner) == ["tester", "ann"], "who lost something comes first")
        #expect(change.owners.map(\.failed) == [1, 0] && change.owners.map(\.restored) == [0, 2])
        stage.store.close()
    }

    @Test func whatWasDamagedAndTheIncidentAreNamed() async throws {
        let stage = try await SnapshotStage()
        try await put(stage, "k", bytes(1, 100_000), by: Self.ann)
        try await stage.snapshot("one")
        for volume in 1...3 {
            for path in try stage.started.disk.files(below: "/volume-\(volume)/blobs") {
                try stage.started.disk.corrupt(path, at: 10)
            }
        }
        let change: (inout RestoreOrder) -> Void = {
            $0.unit.isDamagedOnly = true
            $0.unit.incident = 7
        }
        #expect(try await restore(stage, change).total.restored == 1)
        let first = try ended(stage)
        #expect(
            first.incident == 7 && first.unit == "what is damaged, incident 7" && first.target == .inPlace)
        #expect(first.owners.map(\.owner) == ["ann"] && first.owners.map(\.restoredBytes) == [100_000])
        try await restore(stage, change)
        #expect(try ended(stage).total == EventRestoreAccount(), "nothing is damaged any more")
        stage.store.close()
    }

    @Test func whereToAndWhatFromAreNamed() async throws {
        let stage = try await SnapshotStage()
        try await stage.store.put(stage.bucket, "k", bytes(1, 10))
        let moment = stage.store.head.sequence.rawValue
        try await stage.snapshot("one")
        try await restore(stage) {
            $0.unit.bucket = "bucket"
            $0.into = "elsewhere"
        }
        let beside = try ended(stage)
        #expect(beside.target == .bucket && beside.targetName == "elsewhere")
        var order = RestoreOrder(at: .event(moment))
        order.folder = stage.scratch + "/out"
        order.overwrites = true
        let out = try await Restore(stage.store, order).run { _ in }
        #expect(out.total.restored == 1 && out.unnoted == nil)
        let past = try ended(stage)
        #expect(past.target == .directory && past.targetName == stage.scratch + "/out")
        #expect(past.repository.isEmpty && past.snapshot.isEmpty && past.sequence == moment)
        #expect(past.overwrites && past.total.restored == 1)
        stage.store.close()
    }

    @Test func oneThatIsCutOffLeavesNoEvent() async throws {
        let stage = try await SnapshotStage()
        try await stage.store.put(stage.bucket, "k", bytes(1, 10))
        try await stage.snapshot("one")
        let head = stage.store.head
        let repository = try stage.repository()
        defer { repository.close() }
        await #expect(throws: CancellationError.self) {
            try await Restore(
                stage.store, repository, RestoreOrder(repository: "/backup", snapshot: "one")
            ).run { _ in throw CancellationError() }
        }
        #expect(stage.store.head == head)
        stage.store.close()
    }

    @Test func filesOutOfAStoreThatIsOnlyLookedAtLeaveNoEventAndThatIsSaid() async throws {
        let stage = try await SnapshotStage()
        try await stage.store.put(stage.bucket, "k", bytes(1, 10))
        try await stage.snapshot("one")
        let folder = stage.scratch + "/out"
        let repository = try stage.repository()
        defer { repository.close() }
        stage.store.close()
        let fixture = stage.started.fixture
        let inspected = try await ObjectStore.openForInspection(
            fixture.settings, fixture.environment(stage.started.disk))
        let head = inspected.head
        var order = RestoreOrder(repository: "/backup", snapshot: "one")
        order.folder = folder
        let summary = try await Restore(inspected, repository, order).run { _ in }
        #expect(summary.total.restored == 1 && summary.unnoted?.contains("only looked at") == true)
        #expect(inspected.head == head)
        inspected.close()
        #expect(FileManager.default.fileExists(atPath: folder + "/bucket/k"))
    }

    // MARK: The account

    private func outcome(
        _ action: RestoreOutcome.Action, _ id: String, _ name: String, _ size: UInt64 = 1
    ) -> RestoreOutcome {
        RestoreOutcome(
            action: action, bucket: "b", key: "k", version: "null", ownerID: id, owner: name, size: size,
            detail: "")
    }

    @Test func moreOwnersThanAnEventKeepsApartAreSummed() {
        var summary = RestoreSummary()
        let count = EventRestoreEnded.ownerLimit + 5
        for number in 0..<count { summary.add(outcome(.restored, "id\(number)", "name\(number)", 10)) }
        // These are to be told before all others.
        for number in count - 3..<count { summary.add(outcome(.failed, "id\(number)", "name\(number)")) }
        let change = EventRestoreEnded(
            RestoreOrder(repository: "/backup", snapshot: "one"), summary, repository: "nas",
            asOf: SequenceNumber(4), began: Timestamp(microseconds: 1))
        #expect(change.owners.count == EventRestoreEnded.ownerLimit && change.furtherOwners == 5)
        #expect(Set(change.owners.prefix(3).map(\.owner)) == Set((count - 3..<count).map { "id\($0)" }))
        #expect(change.further.restored == 5 && change.further.restoredBytes == 50)
        #expect(change.further.failed == 0 && change.further.owner.isEmpty)
        #expect(change.total.restored == UInt64(count) && change.total.failed == 3 && !change.complete)
        #expect(change.owners.reduce(0) { $0 + $1.restored } + change.further.restored == UInt64(count))
    }

    @Test func ownersOfOneNameAreApartAndOneWhoWasRenamedIsOne() {
        var summary = RestoreSummary()
        summary.add(outcome(.restored, "1", "Ann"))
        summary.add(outcome(.present, "2", "Ann"))
        summary.add(outcome(.restored, "3", "Bert"))
        summary.add(outcome(.newer, "3", "Bertha"))
        #expect(summary.owners.keys.sorted() == ["Ann (1)", "Ann (2)", "Bert"])
        #expect(summary.owners["Ann (2)"]?.present == 1)
        #expect(summary.owners["Bert"]?.restored == 1 && summary.owners["Bert"]?.newer == 1)
        #expect(summary.total.restored == 2)
    }

    @Test func namesThatSomebodyElseChoseAreCutSoThatAnEventHasRoomForAll() async throws {
        var summary = RestoreSummary()
        let long = String(repeating: "\u{1F41F}", count: 5000)
        for number in 0...EventRestoreEnded.ownerLimit {
            summary.add(outcome(.restored, "\(number)", long))
        }
        var order = RestoreOrder(repository: "/backup", snapshot: "one")
        order.unit.prefix = long
        let change = EventRestoreEnded(
            order, summary, repository: "nas", asOf: SequenceNumber(4), began: Timestamp(microseconds: 1))
        #expect(change.owners.first?.ownerDisplayName == String(long.prefix(256)))
        let stage = try await SnapshotStage()
        let position = try await stage.store.inspection.record(.restoreEnded(change))
        #expect(position.sequence == stage.store.head.sequence)
        stage.store.close()
    }
}
