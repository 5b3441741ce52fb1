import Catalog
import EventLog
import Model
import ObjectStore
import Volumes

/// Reads a stretch of one volume, every byte, past the page cache, and says what is wrong: the one examination
/// that passes and the reading back of a refill share.
///
/// What is wrong is looked at twice: a replica may have been reclaimed, or its volume have left service, since the
/// catalog was asked (DESIGN invariant 8).
struct ScrubReader {
    let inspection: StoreInspection
    let token: ServiceToken
    /// Told of each piece of a replica that was read.
    let pace: @Sendable (Int) -> Void

    /// Blobs of one page of the catalog.
    static let pageCount = 64

    private var index: Int { token.volume.index }

    struct Stretch {
        var bytes: UInt64 = 0
        var findings: [Finding] = []
        /// The volume was in service to the end: else nothing of this counts.
        var isValid = true
    }

    /// One read's worth of frames.
    /// - Returns: the last event that was read.
    func frames(
        from first: SequenceNumber, through last: SequenceNumber
    ) -> (stretch: Stretch, through: SequenceNumber) {
        guard let scan = inspection.log.scanFrames(from: first, through: last, mirror: index) else {
            return (Stretch(isValid: false), first)
        }
        let findings = scan.bad.map { Finding($0) }
        return (
            Stretch(bytes: scan.bytes, findings: findings, isValid: inspection.isInService(token)),
            scan.through
        )
    }

    /// One blob's replica.
    /// - Throws: `CancellationError` when the task is cancelled in the middle of it, besides what the catalog throws.
    func blob(_ row: BlobRow) throws -> Stretch {
        let flaws = try ScanPace.run(endedBy: { [pace] count in
            pace(count)
            try Task.checkCancellation()
        }) {
            token.volume.verify(row.id, length: row.length, sha256: row.sha256, depth: .whole)
        }
        guard inspection.isInService(token) else { return Stretch(isValid: false) }
        guard !flaws.isEmpty, try isNeeded(row.id) else { return Stretch(bytes: row.length) }
        let owner = try inspection.owner(of: row)
        let findings = try flaws.map { flaw in
            var finding = Finding(
                try inspection.classify(flaw, row, on: token.volume), volume: index,
                path: token.volume.path(of: row.id), evidence: flaw.description,
                repair: "copy the replica from the other volumes")
            (finding.bucket, finding.key, finding.versionID) = owner
            finding.blobID = row.id
            return finding
        }
        return Stretch(bytes: row.length, findings: findings)
    }

    func blobs(after: BlobID?) throws -> [BlobRow] {
        try inspection.catalog.read { try $0.blobs(after: after, limit: Self.pageCount) }
    }

    private func isNeeded(_ id: BlobID) throws -> Bool {
        guard let row = try inspection.catalog.read({ try $0.blob(id) }) else { return false }
        return !row.isReclaiming
    }
}

extension StoreInspection {
    /// Records what was found before anything is mended: a server that is killed in between does not call itself
    /// healthy afterwards (DESIGN invariant 10). Then replicas go to the server's own repairs, and frames are
    /// mended here.
    func recordAndMend(_ findings: [Finding], known: Set<OpenFindings.Place>) async throws {
        for finding in findings where !known.contains(OpenFindings.Place(finding.event)) {
            var event = EventFindingRecorded()
            event.finding = finding.event
            _ = try await record(.findingRecorded(event))
        }
        for finding in findings {
            if let blob = finding.blobID {
                reportDamage(blob, volume: finding.volume, .missing)
            } else if finding.code.isOfLog, repairAllowance.mends {
                try await repairAllowance.wait()
                try await mendFrame(finding)
            }
        }
    }

    private func mendFrame(_ finding: Finding) async throws {
        let place: String
        do { place = try await repairLog(finding.sequence, on: finding.volume) } catch is LogError {
            // No mirror has it good now: the finding stays open, and is tried again with the others.
            return
        }
        var mended = finding
        mended.isRepaired = true
        try await recordRepair(mended, source: "the other mirrors", quarantined: place)
    }
}
