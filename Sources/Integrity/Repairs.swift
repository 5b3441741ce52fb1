import Catalog
import EventLog
import Foundation
import Model
import ObjectStore
import Volumes

/// One repair that was made: what was mended, from what, and where what was there before went.
public struct RepairRecord: Sendable {
    /// The event that records it, which names it.
    public let sequence: SequenceNumber
    public let time: Timestamp
    public let finding: EventFinding
    public let source: String
    /// Relative to its volume; empty if nothing stood in the place.
    public let quarantined: String
    /// The event that undid it.
    public let undone: SequenceNumber?
}

/// Why a repair is not undone.
public enum UndoRefusal: Error, Sendable, CustomStringConvertible {
    case noSuchRepair(SequenceNumber)
    case undoneAlready(SequenceNumber, by: SequenceNumber)
    case cannot(SequenceNumber, String)

    public var description: String {
        switch self {
        case .noSuchRepair(let id): "event \(id) is no repair: 'holdfast repair list' shows them"
        case .undoneAlready(let id, let undo): "repair \(id) was undone already, by event \(undo)"
        case .cannot(let id, let reason): "repair \(id) cannot be undone: \(reason)"
        }
    }
}

/// Lists the repairs of a store, and takes them back (DESIGN invariant 5).
///
/// Undoing puts the file that a repair set aside into its place again, and what the repair had made into quarantine:
/// two renames, and no byte of either is lost. The event comes after them, so an undo that a crash cuts off is one
/// that no event tells of: the file is back, and a second undo says that it is not in quarantine any more.
public struct Repairs: Sendable {
    private static let pageCount = 512
    private let inspection: StoreInspection

    public init(_ store: ObjectStore) { inspection = store.inspection }

    /// Calls `body` with each repair, the oldest first.
    public func list(_ body: (RepairRecord) throws -> Void) throws {
        var after = SequenceNumber.zero
        while true {
            let page = try inspection.catalog.read {
                try $0.findings(after: after, repairedOnly: true, limit: Self.pageCount)
            }
            for row in page { if let record = try record(row) { try body(record) } }
            guard page.count == Self.pageCount, let last = page.last else { return }
            after = last.sequence
        }
    }

    private func record(_ row: FindingRow) throws -> RepairRecord? {
        guard let event = try inspection.log.events(from: row.sequence, limit: 1).first,
            case .replicaRepaired(let change) = event.record.change
        else { return nil }
        return RepairRecord(
            sequence: row.sequence, time: event.time, finding: change.finding, source: change.source,
            quarantined: change.quarantined, undone: row.undone)
    }

    /// - Returns: where what the repair had made is now, relative to the volume; empty if it had made nothing.
    /// - Throws: ``UndoRefusal``, ``PutBackRefusal``.
    public func undo(_ id: SequenceNumber) async throws -> (repair: RepairRecord, quarantined: String) {
        guard let row = try inspection.catalog.read({ try $0.finding(id) }), row.isRepaired,
            let repair = try record(row)
        else { throw UndoRefusal.noSuchRepair(id) }
        if let undone = repair.undone { throw UndoRefusal.undoneAlready(id, by: undone) }
        try refuseWhatCannot(repair)
        guard let volume = inspection.volumes.first(where: { $0.index == Int(repair.finding.volume) }) else {
            throw UndoRefusal.cannot(id, "volume \(repair.finding.volume) is not in service")
        }
        let reason = "made by repair \(id), which was undone"
        let isReplica = repair.finding.path.hasPrefix("blobs/") && repair.isOfNeededBlob
        let displaced = try await inspection.betweenRepairs {
            guard !repair.quarantined.isEmpty else {
                // Nothing was there: what the repair made goes, to where it can be had back.
                do { return try volume.quarantine(repair.finding.path, reason: reason) } catch let error
                    as FileSystemError where error.code == ENOENT
                {
                    throw UndoRefusal.cannot(
                        id, "what it made, \(repair.finding.path), is not there any more")
                }
            }
            return try volume.putBack(repair.quarantined, displacing: isReplica ? reason : nil) ?? ""
        }
        for sibling in try siblings(of: repair) {
            var change = EventRepairUndone()
            change.repairSequence = sibling.sequence.rawValue
            change.finding = sibling.finding
            change.quarantined = displaced
            _ = try await inspection.record(.repairUndone(change))
        }
        if let blob = BlobID(bytes: repair.finding.blobID),
            let row = try inspection.catalog.read({ try $0.blob(blob) })
        {
            let lost = LostVersions(inspection)
            try await lost.review(row, source: "repair \(id) undone")
            try await lost.declare(row, .danglingMetadata)
        }
        return (repair, displaced)
    }

    private func refuseWhatCannot(_ repair: RepairRecord) throws {
        let finding = repair.finding
        guard finding.volume > 0 else {
            throw UndoRefusal.cannot(
                repair.sequence, "the catalog's rows are computed from the log, and the log is as it was")
        }
        guard !finding.path.hasPrefix("log") else {
            throw UndoRefusal.cannot(
                repair.sequence,
                "events that follow are chained to the good frame; what was there is kept in \(repair.quarantined)"
            )
        }
        guard let id = BlobID(bytes: finding.blobID), finding.path.hasPrefix("blobs/") else { return }
        guard let row = try inspection.catalog.read({ try $0.blob(id) }), !row.isReclaiming else {
            throw UndoRefusal.cannot(repair.sequence, "blob \(id) was reclaimed since: nothing refers to it")
        }
    }

    /// A replica with several flaws is one repair and several events, which stand close together; undoing one takes
    /// all of them back.
    private func siblings(of repair: RepairRecord) throws -> [RepairRecord] {
        guard !repair.quarantined.isEmpty else { return [repair] }
        let reach: UInt64 = 256
        let first = SequenceNumber(repair.sequence.rawValue - min(repair.sequence.rawValue, reach))
        let rows = try inspection.catalog.read {
            try $0.findings(after: first, repairedOnly: true, limit: Int(2 * reach))
        }
        return try rows.compactMap { try record($0) }.filter {
            $0.finding.volume == repair.finding.volume && $0.quarantined == repair.quarantined
                && $0.undone == nil
        }
    }
}

extension RepairRecord {
    /// Whether a replica was written anew, and not a file that nothing explains set aside.
    fileprivate var isOfNeededBlob: Bool { !finding.blobID.isEmpty && !source.isEmpty }
}
