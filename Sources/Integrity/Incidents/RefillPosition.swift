import Catalog
import EventLog
import Foundation
import Model
import ObjectStore

/// How far the replicas of a volume that was away are there again: what the versions' states in a volume's incident are
/// computed from, at this moment and without an event for each.
///
/// A volume is filled in the order of the log. A version whose event it has passed is repaired; one that it has still to
/// come to is being repaired, and while the volume is out all of them merely lack a replica. Of a version whose bytes
/// stand in the log it is the mirror's segment that has to be written, which is when all of its events were brought.
struct RefillPosition: Sendable {
    let volume: Int
    /// Versions that were published later were written to the volume itself.
    let last: SequenceNumber
    private let blobsThrough: SequenceNumber
    private let framesThrough: SequenceNumber
    private let isFilling: Bool

    /// For tests of the rule alone.
    init(
        volume: Int, last: SequenceNumber, blobsThrough: SequenceNumber, framesThrough: SequenceNumber,
        isFilling: Bool
    ) {
        self.volume = volume
        self.last = last
        self.blobsThrough = blobsThrough
        self.framesThrough = framesThrough
        self.isFilling = isFilling
    }

    /// - Parameter isOnlyInspected: what opening brought to the volume is in memory only.
    init(_ incident: IncidentRow, _ inspection: StoreInspection, isOnlyInspected: Bool) throws {
        // Taken first: a volume that returns meanwhile is then further than is said.
        let (blobs, frames, isFilling) = Self.passed(incident, inspection, isOnlyInspected)
        let outages = try inspection.catalog.read {
            try $0.outages(of: incident.volume, from: incident.since)
        }.filter { outage in incident.closed.map { outage.sequence < $0 } ?? true }
        let head = inspection.log.head.sequence
        let isBack = outages.last?.state == .returned || outages.last?.state == .healed
        let returned = outages.last { $0.state == .returned } ?? outages.last
        self.init(
            volume: incident.volume, last: isBack ? returned?.sequence ?? head : head, blobsThrough: blobs,
            framesThrough: frames, isFilling: isFilling)
    }

    private static func passed(
        _ incident: IncidentRow, _ inspection: StoreInspection, _ isOnlyInspected: Bool
    ) -> (blobs: SequenceNumber, frames: SequenceNumber, isFilling: Bool) {
        let end = SequenceNumber(.max)
        guard incident.isOpen else { return (end, end, false) }
        let index = incident.volume
        let brought = inspection.refills.brought(index)
        switch inspection.statuses.first(where: { $0.index == index })?.standing {
        case .inService:
            guard isOnlyInspected, let brought else { return (end, end, false) }
            let before = SequenceNumber(max(1, brought.rawValue) - 1)
            return (before, before, false)
        case .returning:
            guard let progress = inspection.refills.progress(of: index), progress.events > 0, let brought
            else { return (.zero, .zero, true) }
            let next = SequenceNumber(max(1, brought.rawValue) + progress.eventsDone)
            let segment = inspection.log.segmentEvents(of: next)?.lowerBound ?? next
            // Segments before the first that was doubtful are there as they were.
            let frames = max(segment.rawValue, 1) - 1
            return (SequenceNumber(next.rawValue - 1), SequenceNumber(frames), true)
        case .setAside, nil: return (.zero, .zero, false)
        }
    }

    /// Whether the volume's incident is about the version.
    func concerns(_ version: ObjectVersion) -> Bool {
        !version.isDeleteMarker && version.sequence <= last
            && version.record.pieces.contains { $0.length > 0 }
    }

    func state(of version: ObjectVersion) -> (state: EventAffectedVersion.State, detail: String) {
        let isInLog = version.record.pieces.contains(where: \.hasPayload)
        let passed = isInLog ? min(framesThrough, blobsThrough) : blobsThrough
        if version.sequence <= passed { return (.repaired, "the other volumes") }
        return isFilling ? (.repairing, "from the other volumes") : (.detected, "volume \(volume)")
    }
}
