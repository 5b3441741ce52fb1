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
/// it is, and a part of an unfinished upload the part; nothing else is touched.
struct DamageRestore {
    private let store: ObjectStore
    private let repository: Repository
    private let order: RestoreOrder
    private let manifest: SnapshotManifest
    /// `nil` where no incident is named.
    private let isAffected: (@Sendable (ObjectVersion) throws -> Bool)?
    /// Of what is written.
    private let pace: BytePace
    /// Of what is read to find what is damaged.
    private let search: BytePace

    private var inspection: StoreInspection { store.inspection }
    private var label: String { "snapshot \(manifest.name)" }

    init(
        _ store: ObjectStore, _ repository: Repository, _ order: RestoreOrder, _ manifest: SnapshotManifest,
        _ isAffected: (@Sendable (ObjectVersion) throws -> Bool)?, pace: BytePace, search: BytePace
    ) {
        self.pace = pace
        self.search = search
        self.isAffected = isAffected
        self.store = store
        self.repository = repository
        self.order = order
        self.manifest = manifest
    }

    /// What is looked at. Of one task.
    private final class Look {
        let events: EventDamage
        /// Blobs are read there: others go on with their repairs meanwhile.
        let lane: any Lane
        private var seen = Set<BlobID>()

        init(_ inspection: StoreInspection) {
            events = EventDamage(inspection)
            lane = inspection.makeLane("search")
        }

        /// Copies share blobs: the first that is met speaks for all.
        func isFirst(_ row: BlobRow) -> Bool { row.uses == 1 || seen.insert(row.id).inserted }
    }

    func run(
        report: (RestoreOutcome) throws -> Void, progress: (Double) -> Void
    ) async throws -> RestoreSummary {
        var summary = RestoreSummary()
        let look = Look(inspection)
        defer { look.lane.finish() }
        try await find(look.events)
        let total = try inspection.catalog.read { try $0.counts() }
        func mendIfDamaged(_ piece: EventPiece, _ holder: BytesHolder) async throws {
            guard let outcome = try await mend(piece, of: holder, look) else { return }
            summary.add(outcome)
            try report(outcome)
            if piece.hasPayload { try await wait(for: outcome) }
        }
        var seen = 0
        var place: (bucket: String, key: String, sequence: SequenceNumber)?
        while true {
            let page = try inspection.catalog.read { try $0.versions(after: place, limit: 1000) }
            for version in page where try isMeant(version) {
                for piece in version.record.pieces { try await mendIfDamaged(piece, BytesHolder(version)) }
            }
            seen += page.count
            progress(Double(seen) / Double(max(1, total.versions + total.deleteMarkers)))
            guard let end = page.last, page.count == 1000 else { break }
            place = (end.record.bucket, end.key, end.sequence)
        }
        try await forEachPart { try await mendIfDamaged($0.piece, BytesHolder($0, of: $1)) }
        // Events that no bytes of a version or a part led to.
        for sequence in look.events.left {
            let outcome = await mend(sequence, look.events)
            summary.add(outcome)
            try report(outcome)
            try await wait(for: outcome)
        }
        return summary
    }

    /// Event by event; a blob is waited for while it is copied.
    private func wait(for outcome: RestoreOutcome) async throws {
        guard outcome.action == .restored, !order.isDryRun else { return }
        try await pace.spent(Int(outcome.size))
    }

    private func isMeant(_ version: ObjectVersion) throws -> Bool {
        try order.unit.holds(version) && (isAffected?(version) ?? true)
    }

    /// Parts of unfinished uploads that are meant. What an incident affects are versions.
    private func forEachPart(_ body: (UploadedPart, MultipartUpload) async throws -> Void) async throws {
        guard isAffected == nil else { return }
        let uploadLimit = 100
        var last: MultipartUpload?
        while true {
            let page = try inspection.catalog.read { try $0.uploads(after: last, limit: uploadLimit) }
            for upload in page where order.unit.holds(upload) {
                var number = 0
                while true {
                    let parts = try inspection.catalog.read {
                        try $0.parts(upload.uploadID, after: number, limit: 1000)
                    }
                    for part in parts { try await body(part, upload) }
                    guard let end = parts.last, parts.count == 1000 else { break }
                    number = end.number
                }
            }
            guard let end = page.last, page.count == uploadLimit else { return }
            last = end
        }
    }

    /// Looks for events that no mirror has good before any is mended: a sealed segment is mended as a whole.
    private func find(_ events: EventDamage) async throws {
        guard isAffected != nil || !order.unit.isOfWholeBuckets || order.unit.bucket != nil else {
            return events.findAll(through: min(repository.log.head.sequence, inspection.log.head.sequence))
        }
        var place: (bucket: String, key: String, sequence: SequenceNumber)?
        while true {
            let page = try inspection.catalog.read { try $0.versions(after: place, limit: 1000) }
            for version in page where try isMeant(version) {
                for carrier in version.carriers { events.find(carrier) }
            }
            guard let end = page.last, page.count == 1000 else { break }
            place = (end.record.bucket, end.key, end.sequence)
        }
        try await forEachPart { part, upload in
            if part.piece.hasPayload { events.find(BytesHolder(part, of: upload).carrier(of: part.piece)) }
        }
    }

    /// - Returns: `nil` if it is not damaged.
    private func mend(
        _ piece: EventPiece, of holder: BytesHolder, _ look: Look
    ) async throws -> RestoreOutcome? {
        guard let id = BlobID(bytes: piece.blobID) else {
            let carrier = holder.carrier(of: piece)
            guard piece.length > 0, look.events.isDamaged(carrier) else { return nil }
            return await mend(carrier, Array(piece.sha256), of: holder, look.events)
        }
        guard let row = try inspection.catalog.read({ try $0.blob(id) }), !row.isReclaiming else {
            return nil
        }
        guard look.isFirst(row),
            !(try await inspection.seemsReadable(row, on: look.lane, pace: search))
        else { return nil }
        return try await mend(row, of: holder)
    }

    // MARK: Blobs

    /// - Returns: `nil` if nothing needs it any more, or it is good by now.
    /// - Throws: `CancellationError`; anything else is the outcome.
    private func mend(_ row: BlobRow, of holder: BytesHolder) async throws -> RestoreOutcome? {
        if order.isDryRun {
            let flaws = repository.volume.verify(
                row.id, length: row.length, sha256: row.sha256, deep: true)
            return flaws.first.map { bad(row, $0, holder) }
                ?? holder.outcome(.restored, row.length, "blob \(row.id)")
        }
        do {
            let (volumes, failure) = try await inspection.importReplicas(
                of: row, from: repository.volume, reason: "restored from \(label)", search: search, pace: pace
            )
            if !volumes.isEmpty { try await note(row, of: holder) }
            if let failure { throw failure }
            return volumes.isEmpty ? nil : holder.outcome(.restored, row.length, Self.names(volumes))
        } catch let error as CancellationError { throw error } catch let flaw as BlobFlaw {
            return bad(row, flaw, holder)
        } catch { return holder.outcome(.failed, row.length, "\(error)") }
    }

    private func note(_ row: BlobRow, of holder: BytesHolder) async throws {
        var change = EventReplicaRepaired()
        change.finding.code = "HF011"
        change.finding.faultClass = "metadata.dangling"
        name(holder, in: &change.finding)
        change.finding.blobID = Data(row.id.bytes)
        change.finding.evidence = "no volume had a good replica of some block of blob \(row.id)"
        change.source = label
        _ = try await inspection.record(.replicaRepaired(change))
    }

    private func bad(_ row: BlobRow, _ flaw: BlobFlaw, _ holder: BytesHolder) -> RestoreOutcome {
        holder.outcome(
            .failed, row.length,
            "the repository's replica of blob \(row.id) is not good: \(flaw)")
    }

    private func name(_ holder: BytesHolder, in finding: inout EventFinding) {
        finding.bucket = holder.bucket
        finding.key = holder.key
        finding.versionID = holder.version
    }

    private static func names(_ volumes: [Int]) -> String {
        "volumes \(volumes.map(String.init).joined(separator: ", "))"
    }

    // MARK: Events

    /// - Parameter sha256: of the payload.
    private func mend(
        _ sequence: SequenceNumber, _ sha256: [UInt8], of holder: BytesHolder, _ events: EventDamage
    ) async -> RestoreOutcome {
        let damage = events.take(sequence)
        do {
            let payload = try repository.log.payload(of: sequence)
            guard SHA256.hash(payload) == sha256 else {
                return holder.outcome(
                    .failed, UInt64(payload.count),
                    "the repository's copy of event \(sequence) has other bytes than the version")
            }
            let size = UInt64(payload.count)
            if order.isDryRun { return holder.outcome(.restored, size, "event \(sequence)") }
            let volumes = try await restore(sequence, damage, events) { name(holder, in: &$0) }
            return holder.outcome(.restored, size, Self.names(volumes))
        } catch { return holder.outcome(.failed, holder.size, "\(error)") }
    }

    private func mend(_ sequence: SequenceNumber, _ events: EventDamage) async -> RestoreOutcome {
        let damage = events.take(sequence)
        func outcome(_ action: RestoreOutcome.Action, _ detail: String) -> RestoreOutcome {
            RestoreOutcome(
                action: action, bucket: "", key: "", version: "", ownerID: "", owner: "", size: 0,
                detail: "event \(sequence) of the log: \(detail)")
        }
        do {
            _ = try repository.log.events(from: sequence, limit: 1)
            // No version has them now; a look at the past may have.
            let lacks =
                try repository.log.isPayloadDropped(sequence) == true
                ? "; without its bytes, which no snapshot of the repository needs" : ""
            if order.isDryRun { return outcome(.restored, "damaged on every mirror" + lacks) }
            let volumes = try await restore(sequence, damage, events) { _ in }
            return outcome(.restored, Self.names(volumes) + lacks)
        } catch { return outcome(.failed, "\(error)") }
    }

    /// - Returns: the volumes that were mended.
    private func restore(
        _ sequence: SequenceNumber, _ damage: [EventDamage.Flaw], _ events: EventDamage,
        _ name: (inout EventFinding) -> Void
    ) async throws -> [Int] {
        events.put(try await inspection.restoreEvent(sequence, from: repository.mirror), sequence)
        for flaw in damage {
            var change = EventReplicaRepaired()
            change.finding.code = "HF013"
            change.finding.faultClass = "log.damaged-frame"
            name(&change.finding)
            change.finding.volume = UInt32(flaw.volume)
            change.finding.sequence = sequence.rawValue
            change.finding.evidence = flaw.reason
            change.source = label
            change.quarantined = events.quarantined(sequence, on: flaw.volume)
            _ = try await inspection.record(.replicaRepaired(change))
        }
        return damage.map(\.volume)
    }
}
