import Catalog
import EventLog
import Foundation
import Model
import ObjectStore
import Volumes

/// A store as it was at an event that is past: its catalog, computed from the log in a scratch file,
/// from the nearest checkpoint on (``HistoryCheckpoints``).
///
/// Events are kept for ever, so every moment can be looked at. Bytes are kept for the history window and longer: what
/// died is reclaimed when the window has passed it and there is need. A moment can be restored if nothing that it shows
/// has been reclaimed since, and that the log says too.
public final class History: Sendable {
    public let sequence: SequenceNumber
    public let time: Timestamp
    private let scratch: SnapshotCatalog

    public var catalog: Catalog { scratch.catalog }
    var label: String { "event \(sequence) (\(time))" }

    private init(_ sequence: SequenceNumber, _ time: Timestamp, _ scratch: SnapshotCatalog) {
        (self.sequence, self.time, self.scratch) = (sequence, time, scratch)
    }

    /// - Throws: ``SnapshotError/noMoment(_:)``.
    public static func open(_ store: ObjectStore, at moment: Moment) throws -> History {
        let inspection = store.inspection
        return try open(inspection, at: try sequence(of: moment, in: inspection))
    }

    static func open(_ inspection: StoreInspection, at sequence: SequenceNumber) throws -> History {
        let scratch = try SnapshotCatalog.history(of: inspection, through: sequence)
        // The next look at about that moment is spared what this one had to replay.
        do { try HistoryCheckpoints(inspection).keepIfDue(scratch) } catch is FileSystemError {
            // No room for a copy is no reason not to show what has been computed.
        }
        return History(sequence, try inspection.log.time(of: sequence), scratch)
    }

    /// The last event at a moment.
    static func sequence(of moment: Moment, in inspection: StoreInspection) throws -> SequenceNumber {
        let head = inspection.log.head.sequence
        let now = inspection.clock().microseconds
        let limit: UInt64
        switch moment {
        case .event(let number):
            guard number > 0, number <= head.rawValue else {
                throw SnapshotError.noMoment("there is no event \(number): the log has 1 to \(head)")
            }
            return SequenceNumber(number)
        case .time(let microseconds):
            guard microseconds <= now else {
                throw SnapshotError.noMoment(
                    "\(Timestamp(microseconds: microseconds)) is yet to come: it is \(Timestamp(microseconds: now))"
                )
            }
            limit = microseconds
        case .ago(let microseconds): limit = now - min(now, microseconds)
        }
        // Time does not go back in the log.
        var low: UInt64 = 0
        var high = head.rawValue
        while low < high {
            let middle = (low + high + 1) / 2
            if try inspection.log.time(of: SequenceNumber(middle)).microseconds <= limit {
                low = middle
            } else {
                high = middle - 1
            }
        }
        guard low > 0 else {
            let first = try inspection.log.time(of: SequenceNumber(1))
            throw SnapshotError.noMoment(
                "the store begins at \(first), after \(Timestamp(microseconds: limit))")
        }
        return SequenceNumber(low)
    }

    /// Whether all that the moment shows can still be read, as far as the log tells.
    /// - Throws: ``SnapshotError/outOfReach(_:oldest:)``. The catalog has then moved on, and is of no use any more.
    func requireBytes(in inspection: StoreInspection) throws {
        var next = sequence.next
        while true {
            let events = try inspection.log.events(from: next, limit: 4096)
            guard let last = events.last else { return }
            for event in events {
                guard case .reclaimPlanned(let change) = event.record.change, try isNeeded(change) else {
                    continue
                }
                let oldest = try oldestRestorable(inspection)
                throw SnapshotError.outOfReach(
                    label, oldest: "event \(oldest), \(try inspection.log.time(of: oldest))")
            }
            next = last.sequence.next
        }
    }

    private func isNeeded(_ change: EventReclaimPlanned) throws -> Bool {
        try catalog.read { reader in
            try change.blobIds.contains { bytes in
                try BlobID(bytes: bytes).flatMap { try reader.blob($0) }.map { $0.uses > 0 } ?? false
            }
                || change.payloadSequences.contains { number in
                    let sequence = SequenceNumber(number)
                    return try sequence <= self.sequence && reader.deathOfPayload(sequence) == nil
                }
        }
    }

    /// Nothing that has been reclaimed died later than this.
    private func oldestRestorable(_ inspection: StoreInspection) throws -> SequenceNumber {
        var oldest = sequence
        while true {
            let isDone = try catalog.withWriter { writer in
                let position = try writer.reader.position()
                let events = try inspection.log.events(from: position.sequence.next, limit: 4096)
                guard !events.isEmpty else { return true }
                try writer.transaction {
                    for event in events {
                        if case .reclaimPlanned(let change) = event.record.change {
                            oldest = max(oldest, try Self.lastDeath(change, writer.reader))
                        }
                        try writer.apply(event)
                    }
                }
                return false
            }
            if isDone { return oldest }
            try catalog.boundWriteAheadLog()
        }
    }

    private static func lastDeath(
        _ change: EventReclaimPlanned, _ reader: CatalogReader
    ) throws -> SequenceNumber {
        let blobs = try change.blobIds.compactMap { bytes in
            try BlobID(bytes: bytes).flatMap { try reader.blob($0)?.died }
        }
        let payloads = try change.payloadSequences.compactMap {
            try reader.deathOfPayload(SequenceNumber($0))
        }
        return (blobs + payloads).max() ?? .zero
    }
}

extension EventLog {
    /// When an event was appended; where no mirror has it good, when the one before it was.
    func time(of sequence: SequenceNumber) throws -> Timestamp {
        var number = sequence
        while true {
            do {
                guard let event = try events(from: number, limit: 1).first else {
                    throw LogError.damaged(number, "the log ends at event \(head.sequence)")
                }
                return event.time
            } catch let error as LogError {
                guard number > SequenceNumber(1), number <= head.sequence else { throw error }
                number = SequenceNumber(number.rawValue - 1)
            }
        }
    }
}
