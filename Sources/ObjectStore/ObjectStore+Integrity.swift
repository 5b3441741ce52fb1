import Catalog
import Model

extension ObjectStore {
    /// What was stated last of a version that a mismatch affects, or did; `nil` if nothing ever was.
    ///
    /// One look-up by the version's event. A request that only shows how the version stands asks
    /// ``standing(of:)``, which is in memory.
    public func integrityState(of version: ObjectVersion) throws -> EventAffectedVersion? {
        try engine.ledger.catalog.read { try $0.lastStated(of: version.sequence)?.version }
    }

    /// Whether the store was opened to be looked at: what opening mended is in memory only.
    public var isOnlyInspected: Bool { isInspection }
}

extension StoreInspection {
    /// States how versions stand, but for those of which something was stated after `sequence`, when the caller read
    /// what it states: that is newer.
    package func state(
        _ change: EventVersionsStated, readAt sequence: SequenceNumber
    ) async throws -> Int {
        let stated = try await engine.ledger.commit(
            Proposal(actor: .holdfast) { view -> Decision<EventVersionsStated> in
                var kept = change
                kept.versions = try change.versions.filter {
                    try view.lastStated(of: SequenceNumber($0.publishedSequence)) <= sequence
                }
                let final = kept
                guard !final.versions.isEmpty else { return .nothing(final) }
                return .append(.versionsStated(final)) { _, _ in final }
            }
        ).value
        engine.board.note(.versionsStated(stated))
        return stated.versions.count
    }

    /// Blobs that are being written at the moment, a replica of a damaged one among them.
    package func isUnderRepair(_ piece: EventPiece) -> Bool {
        BlobID(bytes: piece.blobID).map { isBeingWritten($0) } ?? false
    }
}
