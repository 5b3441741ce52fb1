import Catalog
import Digests
import EventLog
import Foundation
import Model
import ObjectStore
import Volumes

/// Restores in place only what is damaged: a blob that the store's volumes do not have good between them, from the
/// repository's replica, whose SHA-256 is that of the log; and an event that no mirror of the log has good, with the
/// bytes it carries, from the repository's copy of the log, whose chain hash is the log's. A version stays the version
/// it is; nothing else is touched.
struct DamageRestore {
    private let store: ObjectStore
    private let repository: Repository
    private let order: RestoreOrder
    private let manifest: SnapshotManifest

    private var inspection: StoreInspection { store.inspection }
    private var label: String { "snapshot \(manifest.name)" }

    init(
        _ store: ObjectStore, _ repository: Repository, _ order: RestoreOrder, _ manifest: SnapshotManifest
    ) {
        self.store = store
        self.repository = repository
        self.order = order
        self.manifest = manifest
    }

    func run(
        report: (RestoreOutcome) throws -> Void, progress: (Double) -> Void
    ) async throws -> RestoreSummary {
        var summary = RestoreSummary()
        let total = try inspection.catalog.read { try $0.counts() }
        var looked = Set<BlobID>()
        var seen = 0
        var place: (bucket: String, key: String, sequence: SequenceNumber)?
        while true {
            let page = try inspection.catalog.read { try $0.versions(after: place, limit: 1000) }
            for version in page where order.unit.holds(version) {
                for piece in version.record.pieces {
                    guard let outcome = try await mend(piece, of: version, &looked) else { continue }
                    summary.add(outcome)
                    try report(outcome)
                }
            }
            seen += page.count
            progress(Double(seen) / Double(max(1, total.versions + total.deleteMarkers)))
            guard let end = page.last, page.count == 1000 else { break }
            place = (end.record.bucket, end.key, end.sequence)
        }
        if order.unit.isOfWholeBuckets, order.unit.bucket == nil {
            try await mendEvents {
                summary.add($0)
                try report($0)
            }
        }
        return summary
    }

    /// - Returns: `nil` if it is not damaged.
    private func mend(
        _ piece: EventPiece, of version: ObjectVersion, _ looked: inout Set<BlobID>
    ) async throws -> RestoreOutcome? {
        guard let id = BlobID(bytes: piece.blobID) else {
            let carrier = version.carrier(of: piece)
            guard piece.length > 0, !inspection.isReadable(carrier) else { return nil }
            return await mend(carrier, Array(piece.sha256), of: version)
        }
        guard let row = try inspection.catalog.read({ try $0.blob(id) }), !row.isReclaiming else {
            return nil
        }
        // Copies share blobs: the first version that is met speaks for all.
        guard row.uses == 1 || looked.insert(id).inserted, !inspection.isReadable(row) else { return nil }
        return await mend(row, of: version)
    }

    private func outcome(
        _ action: RestoreOutcome.Action, _ version: ObjectVersion, _ size: UInt64, _ detail: String
    ) -> RestoreOutcome {
        RestoreOutcome(
            action: action, bucket: version.record.bucket, key: version.key,
            version: version.wireVersionID, owner: version.record.ownerDisplayName, size: size,
            detail: detail)
    }

    // MARK: Blobs

    private func mend(_ row: BlobRow, of version: ObjectVersion) async -> RestoreOutcome {
        let flaws = repository.volume.verify(row.id, length: row.length, sha256: row.sha256, deep: true)
        if let flaw = flaws.first {
            return outcome(
                .failed, version, row.length,
                "the repository's replica of blob \(row.id) is not good: \(flaw)")
        }
        if order.isDryRun { return outcome(.restored, version, row.length, "blob \(row.id)") }
        do {
            let volumes = try await inspection.importReplicas(
                of: row, from: repository.volume, reason: "restored from \(label)")
            var change = EventReplicaRepaired()
            change.finding.code = "HF011"
            change.finding.faultClass = "metadata.dangling"
            name(version, in: &change.finding)
            change.finding.blobID = Data(row.id.bytes)
            change.finding.evidence = "no volume had a good replica of some block of blob \(row.id)"
            change.source = label
            _ = try await inspection.record(.replicaRepaired(change))
            return outcome(.restored, version, row.length, Self.names(volumes))
        } catch { return outcome(.failed, version, row.length, "\(error)") }
    }

    private func name(_ version: ObjectVersion, in finding: inout EventFinding) {
        finding.bucket = version.record.bucket
        finding.key = version.key
        finding.versionID = version.wireVersionID
    }

    private static func names(_ volumes: [Int]) -> String {
        "volumes \(volumes.map(String.init).joined(separator: ", "))"
    }

    // MARK: Events

    /// - Parameter sha256: of the payload.
    private func mend(
        _ sequence: SequenceNumber, _ sha256: [UInt8], of version: ObjectVersion
    ) async -> RestoreOutcome {
        do {
            let payload = try repository.log.payload(of: sequence)
            guard SHA256.hash(payload) == sha256 else {
                return outcome(
                    .failed, version, UInt64(payload.count),
                    "the repository's copy of event \(sequence) has other bytes than the version")
            }
            let size = UInt64(payload.count)
            if order.isDryRun { return outcome(.restored, version, size, "event \(sequence)") }
            let volumes = try await restore(sequence) { name(version, in: &$0) }
            return outcome(.restored, version, size, Self.names(volumes))
        } catch { return outcome(.failed, version, version.size, "\(error)") }
    }

    /// Events that no mirror has good and no version's bytes led to.
    private func mendEvents(_ report: (RestoreOutcome) throws -> Void) async throws {
        var next = SequenceNumber(1)
        let last = min(repository.log.head.sequence, inspection.log.head.sequence)
        while next <= last {
            guard let damaged = inspection.firstUnreadableEvent(from: next, through: last) else { return }
            try report(await mend(damaged))
            next = damaged.next
        }
    }

    private func mend(_ sequence: SequenceNumber) async -> RestoreOutcome {
        func outcome(_ action: RestoreOutcome.Action, _ detail: String) -> RestoreOutcome {
            RestoreOutcome(
                action: action, bucket: "", key: "", version: "", owner: "", size: 0,
                detail: "event \(sequence) of the log: \(detail)")
        }
        do {
            _ = try repository.log.events(from: sequence, limit: 1)
            if order.isDryRun { return outcome(.restored, "damaged on every mirror") }
            return outcome(.restored, Self.names(try await restore(sequence) { _ in }))
        } catch { return outcome(.failed, "\(error)") }
    }

    private func restore(
        _ sequence: SequenceNumber, _ name: (inout EventFinding) -> Void
    ) async throws -> [Int] {
        let mended = try await inspection.restoreEvent(sequence, from: repository.mirror)
        for (volume, evidence, quarantined) in mended {
            var change = EventReplicaRepaired()
            change.finding.code = "HF013"
            change.finding.faultClass = "log.damaged-frame"
            name(&change.finding)
            change.finding.volume = UInt32(volume)
            change.finding.sequence = sequence.rawValue
            change.finding.evidence = evidence
            change.source = label
            change.quarantined = quarantined
            _ = try await inspection.record(.replicaRepaired(change))
        }
        return mended.map(\.volume)
    }
}
