import Foundation
import Model
import ObjectStore
import Snapshots
import TestSupport
import Testing
import Volumes

/// Restores of what is damaged of uploads that are not finished.
@Suite struct PartRestoreTests {
    private static let small = bytes(5, 500)

    /// An upload of one part in a blob, and one whose only part stands in the log. Nothing else is in the store.
    private struct Uploads {
        let stage: SnapshotStage
        let large: UploadID
        let inline: UploadID
        let part: UploadedPart
        private let inlinePart: UploadedPart

        init() async throws {
            stage = try await SnapshotStage()
            large = try await Self.begin("large", stage)
            inline = try await Self.begin("inline", stage)
            part = try await stage.store.putPart(stage.bucket, "large", large, 1, bytes(7, 80_000))
            inlinePart = try await stage.store.putPart(
                stage.bucket, "inline", inline, 1, PartRestoreTests.small)
            try await stage.snapshot("one")
        }

        private static func begin(_ key: String, _ stage: SnapshotStage) async throws -> UploadID {
            try await stage.store.createUpload(
                stage.bucket, try ObjectKey(key), metadata: EventMetadata(), checksumAlgorithm: .unspecified,
                composite: false, actor: tester
            ).value.uploadID
        }

        /// On every volume: the blob in the same place, and the event that carries the other part's bytes.
        func damage() throws {
            let id = Array(part.piece.blobID).hexadecimal
            for volume in 1...3 {
                let folder = "/volume-\(volume)/blobs/\(id.prefix(2))/\(id.dropFirst(2).prefix(2))"
                try stage.started.disk.corrupt("\(folder)/\(id)", at: 10)
                let log = LogDamage(disk: stage.started.disk, volume: volume)
                let (path, range) = try log.frame(inlinePart.sequence)
                try stage.started.disk.corrupt(path, at: UInt64(range.lowerBound + 400))
            }
        }

        func complete(_ key: String, _ id: UploadID) async throws -> [UInt8] {
            let part = try #require(try stage.store.parts(of: id, after: 0, limit: 1).first)
            _ = try await stage.store.completeUpload(
                stage.bucket, try ObjectKey(key), id,
                parts: [CompletedPart(number: part.number, etag: part.etag)], checksums: [],
                conditions: .none, actor: tester)
            return try await stage.store.get(stage.bucket, key)
        }
    }

    private func restore(
        _ uploads: Uploads, _ change: (inout RestoreOrder) -> Void = { _ in }
    ) async throws -> (outcomes: [RestoreOutcome], summary: RestoreSummary) {
        let repository = try uploads.stage.repository()
        defer { repository.close() }
        var order = RestoreOrder(repository: "/backup", snapshot: "one")
        order.unit.isDamagedOnly = true
        change(&order)
        let all: @Sendable (ObjectVersion) throws -> Bool = { _ in true }
        var outcomes: [RestoreOutcome] = []
        let summary = try await Restore(
            uploads.stage.store, repository, order, isAffected: order.unit.incident == nil ? nil : all
        ).run { outcomes.append($0) }
        return (outcomes, summary)
    }

    @Test func partsThatAreDamagedOnEveryVolumeAreMendedAndTheUploadCanBeCompleted() async throws {
        let uploads = try await Uploads()
        try uploads.damage()
        let (planned, plan) = try await restore(uploads) { $0.isDryRun = true }
        let (outcomes, summary) = try await restore(uploads)
        #expect(planned.map(\.key) == ["inline", "large"] && plan.total == summary.total)
        #expect(outcomes.map(\.key) == ["inline", "large"])
        #expect(outcomes.map(\.upload) == [uploads.inline.description, uploads.large.description])
        #expect(outcomes.map(\.part) == [1, 1] && outcomes.map(\.version) == ["", ""])
        #expect(outcomes.map(\.action) == [.restored, .restored])
        #expect(outcomes.map(\.size) == [500, 80_000])
        let count = try #require(summary.owners["Tester"])
        #expect(count == summary.total && summary.owners.count == 1)
        #expect(count.restored == 2 && count.restoredBytes == 80_500 && count.parts == 2)
        #expect(try await uploads.complete("large", uploads.large) == bytes(7, 80_000))
        #expect(try await uploads.complete("inline", uploads.inline) == Self.small)
        let again = try await restore(uploads)
        #expect(again.outcomes.isEmpty && again.summary.total.parts == 0)
        uploads.stage.store.close()
    }

    /// No version has the key, nor the owner.
    @Test func onlyPartsThatAreAskedForAreMended() async throws {
        let uploads = try await Uploads()
        try uploads.damage()
        func keys(_ change: (inout RestoreOrder.Unit) -> Void) async throws -> [String] {
            try await restore(uploads) {
                $0.isDryRun = true
                change(&$0.unit)
            }.outcomes.map(\.key)
        }
        #expect(
            try await keys {
                $0.bucket = "bucket"
                $0.key = "large"
            } == ["large"])
        #expect(
            try await keys {
                $0.bucket = "bucket"
                $0.prefix = "in"
            } == ["inline"])
        #expect(try await keys { $0.owner = "Tester" } == ["inline", "large"])
        await #expect(throws: SnapshotError.self) { try await keys { $0.owner = "Anna" } }
        await #expect(throws: StoreError.self) {
            try await keys {
                $0.bucket = "bucket"
                $0.key = "other"
            }
        }
        #expect(try await keys { $0.incident = 1 } == [], "it affects versions")
        uploads.stage.store.close()
    }

    @Test func aPartThatTheSnapshotHasNotIsSaidToBeLost() async throws {
        let uploads = try await Uploads()
        let stage = uploads.stage
        let later = try await stage.store.putPart(stage.bucket, "large", uploads.large, 2, bytes(9, 70_000))
        let id = Array(later.piece.blobID).hexadecimal
        for volume in 1...3 {
            try stage.started.disk.remove(
                "/volume-\(volume)/blobs/\(id.prefix(2))/\(id.dropFirst(2).prefix(2))/\(id)")
        }
        let (outcomes, summary) = try await restore(uploads)
        #expect(outcomes.map(\.action) == [.failed] && outcomes.map(\.part) == [2])
        #expect(summary.total.failed == 1 && summary.total.parts == 1)
        stage.store.close()
    }

    @Test func partsOfAnUploadThatWasAbortedAreLeftAlone() async throws {
        let uploads = try await Uploads()
        let stage = uploads.stage
        _ = try await stage.store.abortUpload(
            stage.bucket, try ObjectKey("large"), uploads.large, actor: tester)
        try uploads.damage()
        #expect(try await restore(uploads) { $0.unit.prefix = "l" }.outcomes.isEmpty)
        stage.store.close()
    }
}
