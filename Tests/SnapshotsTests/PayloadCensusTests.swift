import EventLog
import Model
import ObjectStore
import Snapshots
import TestSupport
import Testing

/// What a catalog needs is known only of the event that it is as of: one that names a later event is not taken.
@Suite struct PayloadCensusTests {
    /// - Parameter last: what the catalog of the stage's snapshot is taken for.
    /// - Returns: the event for which it is not taken; `nil` if it is.
    private func refused(
        _ stage: SnapshotStage, asOf last: SequenceNumber, _ census: PayloadCensus = PayloadCensus()
    ) throws -> SequenceNumber? {
        let repository = try stage.repository()
        defer { repository.close() }
        let catalog = try SnapshotCatalog.open(
            try repository.snapshot("one"), in: repository, scratch: stage.scratch)
        do { try census.add(catalog, through: last) } catch LogError.damaged(let sequence, _) {
            return sequence
        }
        return nil
    }

    /// Bytes that stand with the event, and those of a blob, which the census has no other use for.
    @Test(arguments: [100, 80_000])
    func aCatalogWithAVersionOfALaterEventIsNotTakenForOneOfAnEarlier(length: Int) async throws {
        let stage = try await SnapshotStage()
        try await stage.store.put(stage.bucket, "a", bytes(1, 100))
        let before = stage.store.head.sequence
        try await stage.store.put(stage.bucket, "b", bytes(2, length))
        let later = stage.store.head.sequence
        try await stage.snapshot("one")
        #expect(try refused(stage, asOf: before) == later)
        #expect(try refused(stage, asOf: later) == nil)
        stage.store.close()
    }

    @Test func aCatalogWithAPartOfALaterEventIsNotTakenForOneOfAnEarlier() async throws {
        let stage = try await SnapshotStage()
        try await stage.store.put(stage.bucket, "a", bytes(1, 100))
        let upload = try await stage.store.createUpload(
            stage.bucket, try ObjectKey("big"), metadata: EventMetadata(),
            checksumAlgorithm: .unspecified, composite: false, actor: tester
        ).value
        let before = stage.store.head.sequence
        let part = try await stage.store.putPart(stage.bucket, "big", upload.uploadID, 1, bytes(2, 100))
        try await stage.snapshot("one")
        #expect(try refused(stage, asOf: before) == part.sequence)
        #expect(try refused(stage, asOf: part.sequence) == nil)
        stage.store.close()
    }

    @Test func whatACatalogThatIsTakenNamesIsNeededAndNothingElse() async throws {
        let stage = try await SnapshotStage()
        try await stage.store.put(stage.bucket, "gone", bytes(1, 100))
        let gone = stage.store.head.sequence
        try await stage.delete("gone")
        try await stage.store.put(stage.bucket, "kept", bytes(2, 100))
        let kept = stage.store.head.sequence
        let position = try await stage.snapshot("one").manifest.position
        let census = PayloadCensus()
        #expect(try refused(stage, asOf: position, census) == nil)
        #expect(census.contains(kept) && !census.contains(gone))
        stage.store.close()
    }
}
