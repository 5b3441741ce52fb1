import Catalog
import EventLog
import Model
import ObjectStore
import Volumes

/// Reads back what was brought to a volume that was away: the frames, and the blobs of the events that it missed.
/// Only when all of it is good is the volume called healed, by an event.
struct RefillVerification {
    let inspection: StoreInspection
    let token: ServiceToken
    let first: SequenceNumber
    /// What the volume missed ends here at the latest.
    private let head: SequenceNumber
    private let total: UInt64
    private var bytes: UInt64 = 0
    private var findings = 0
    private var through: SequenceNumber
    private var afterBlob: BlobID?
    private var isRead = false
    private let started: Timestamp

    init(_ inspection: StoreInspection, _ token: ServiceToken, from first: SequenceNumber) throws {
        self.inspection = inspection
        self.token = token
        self.first = first
        head = inspection.log.head.sequence
        through = SequenceNumber(max(first.rawValue, 1) - 1)
        total = try inspection.catalog.read { try $0.blobTotals(bornFrom: first).bytes }
        started = inspection.now
    }

    /// From 0 to 1.
    var part: Double {
        guard total > 0 else { return isRead ? 1 : 0 }
        return min(1, Double(bytes) / Double(total))
    }

    enum Outcome { case more, healed, notHealed }

    mutating func step(
        known: Set<OpenFindings.Place>, pace: @escaping @Sendable (Int) -> Void
    ) async throws -> Outcome {
        let reader = ScrubReader(inspection: inspection, token: token, pace: pace)
        var found: [Finding] = []
        if through < head {
            let (stretch, last) = reader.frames(from: through.next, through: head)
            guard stretch.isValid else { return .notHealed }
            through = last
            found = stretch.findings
        } else {
            let rows = try reader.blobs(after: afterBlob)
            for row in rows where row.born >= first && row.born <= head && !row.isReclaiming {
                let stretch = try reader.blob(row)
                guard stretch.isValid else { return .notHealed }
                bytes += stretch.bytes
                found += stretch.findings
            }
            afterBlob = rows.last?.id ?? afterBlob
            isRead = rows.count < ScrubReader.pageCount
        }
        findings += found.count
        try await inspection.recordAndMend(found, known: known)
        guard isRead else { return .more }
        guard findings == 0 else { return .notHealed }
        var event = EventScrubAdvanced()
        event.volume = UInt32(token.volume.index)
        event.startedMicroseconds = started.microseconds
        event.throughSequence = head.rawValue
        event.headSequence = head.rawValue
        event.bytes = bytes
        event.complete = true
        guard try await inspection.record(.scrubAdvanced(event), ifStillIn: token) else { return .notHealed }
        inspection.refills.noteHealed(token.volume.index)
        return .healed
    }
}
