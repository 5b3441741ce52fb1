import Catalog
import Foundation
import Model
import ObjectStore
import Volumes

/// Restores in place only what is damaged: a blob that the store's volumes do not have good between them, from the
/// repository's replica, whose SHA-256 is that of the log. The version stays the version it is; nothing else is touched.
struct DamageRestore {
    private let store: ObjectStore
    private let repository: Repository
    private let order: RestoreOrder
    private let snapshot: SnapshotCatalog

    init(
        _ store: ObjectStore, _ repository: Repository, _ order: RestoreOrder, _ snapshot: SnapshotCatalog
    ) {
        self.store = store
        self.repository = repository
        self.order = order
        self.snapshot = snapshot
    }

    func run(
        report: (RestoreOutcome) throws -> Void, progress: (Double) -> Void
    ) async throws -> RestoreSummary {
        var summary = RestoreSummary()
        let inspection = store.inspection
        let total = try inspection.catalog.read { try $0.counts() }
        var looked = Set<BlobID>()
        var seen = 0
        var place: (bucket: String, key: String, sequence: SequenceNumber)?
        while true {
            let page = try inspection.catalog.read { try $0.versions(after: place, limit: 1000) }
            for version in page where order.unit.holds(version) {
                for piece in version.record.pieces {
                    guard let id = BlobID(bytes: piece.blobID),
                        let row = try inspection.catalog.read({ try $0.blob(id) }), !row.isReclaiming
                    else { continue }
                    // Copies share blobs: the first version that is met speaks for all.
                    guard row.uses == 1 || looked.insert(id).inserted,
                        !(try await inspection.canRead(row))
                    else { continue }
                    let outcome = await mend(row, of: version)
                    summary.add(outcome)
                    try report(outcome)
                }
            }
            seen += page.count
            progress(Double(seen) / Double(max(1, total.versions + total.deleteMarkers)))
            guard let end = page.last, page.count == 1000 else { return summary }
            place = (end.record.bucket, end.key, end.sequence)
        }
    }

    private func mend(_ row: BlobRow, of version: ObjectVersion) async -> RestoreOutcome {
        func outcome(_ action: RestoreOutcome.Action, _ detail: String) -> RestoreOutcome {
            RestoreOutcome(
                action: action, bucket: version.record.bucket, key: version.key,
                version: version.wireVersionID, owner: version.record.ownerDisplayName, size: row.length,
                detail: detail)
        }
        let flaws = repository.volume.verify(row.id, length: row.length, sha256: row.sha256, deep: true)
        if let flaw = flaws.first {
            return outcome(.failed, "the repository's replica of blob \(row.id) is not good: \(flaw)")
        }
        if order.isDryRun { return outcome(.restored, "blob \(row.id)") }
        do {
            let volumes = try await store.inspection.importReplicas(
                of: row, from: repository.volume,
                reason: "restored from snapshot \(order.snapshot)")
            var change = EventReplicaRepaired()
            change.finding.code = "HF011"
            change.finding.faultClass = "metadata.dangling"
            change.finding.bucket = version.record.bucket
            change.finding.key = version.key
            change.finding.versionID = version.wireVersionID
            change.finding.blobID = Data(row.id.bytes)
            change.finding.evidence = "no volume had a good replica of some block of blob \(row.id)"
            change.source = "snapshot \(order.snapshot)"
            _ = try await store.inspection.record(.replicaRepaired(change))
            return outcome(.restored, "volumes \(volumes.map(String.init).joined(separator: ", "))")
        } catch { return outcome(.failed, "\(error)") }
    }
}
