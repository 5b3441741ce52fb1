import Foundation
import GRDB
import Model
import SwiftProtobuf

/// Bytes that stand in the log.
extension CatalogReader {
    /// Calls `body` with every version, in no order.
    /// - Parameter isKnown: asked first, with the event that published it: a version that is known is not even decoded.
    public func forEachVersion(
        unless isKnown: (SequenceNumber) throws -> Bool, _ body: (ObjectVersion) throws -> Void
    ) throws {
        for table in ["current", "archive"] {
            let statement = try database.cachedStatement(sql: "SELECT \(Self.columns) FROM \(table)")
            let cursor = try Row.fetchCursor(statement)
            while let row = try cursor.next() {
                if try isKnown(row.sequence(0)) { continue }
                try body(try Self.version(row))
            }
        }
    }

    /// Calls `body` with the piece of every part, also of uploads that were aborted and whose parts still have their bytes.
    public func forEachPart(_ body: (EventPiece) throws -> Void) throws {
        let statement = try database.cachedStatement(sql: "SELECT piece FROM parts")
        let cursor = try Row.fetchCursor(statement)
        while let row = try cursor.next() {
            try body(try EventPiece(serializedBytes: row[0] as Data))
        }
    }

    /// Payloads that nothing refers to since before `sequence` and `time`, and that no plan to reclaim names, in the order in
    /// which they died.
    public func deadPayloads(
        after: DeadPayload.Place, diedBefore sequence: SequenceNumber, _ time: Timestamp, limit: Int
    ) throws -> [DeadPayload] {
        try rows(
            """
            SELECT died, sequence, length, died_time FROM payloads
            WHERE reclaiming = 0 AND (died, sequence) > (?, ?) AND died < ? ORDER BY died, sequence LIMIT ?
            """,
            [
                Int64(after.died.rawValue), Int64(after.sequence.rawValue), Int64(sequence.rawValue), limit,
            ]
        ) { UInt64($0[3] as Int64) < time.microseconds }.map {
            DeadPayload(
                place: DeadPayload.Place(died: $0.sequence(0), sequence: $0.sequence(1)), length: $0[2])
        }
    }

    /// Payloads of some events that nothing refers to since before `sequence` and `time`, and that no plan to reclaim names.
    /// - Returns: those of the first events, and the bytes of all.
    public func deadPayloads(
        in events: ClosedRange<SequenceNumber>, diedBefore sequence: SequenceNumber, _ time: Timestamp,
        limit: Int
    ) throws -> (first: [(sequence: SequenceNumber, length: Int)], byteCount: Int) {
        let rest =
            "FROM payloads WHERE sequence BETWEEN ? AND ? AND died < ? AND died_time < ? AND reclaiming = 0"
        let values: StatementArguments = [
            Int64(events.lowerBound.rawValue), Int64(events.upperBound.rawValue), Int64(sequence.rawValue),
            Int64(time.microseconds),
        ]
        let first = try rows("SELECT sequence, length \(rest) ORDER BY sequence LIMIT ?", values + [limit])
        let sum = try row("SELECT coalesce(sum(length), 0) \(rest)", values)
        return (first.map { ($0.sequence(0), $0[1]) }, sum?[0] ?? 0)
    }

    /// Bytes of payloads of some events that nothing refers to and that no plan to reclaim names.
    /// - Parameter last: the one that died last of those that count.
    public func deadPayloadByteCount(
        in events: ClosedRange<SequenceNumber>, through last: DeadPayload.Place
    ) throws -> Int {
        try row(
            """
            SELECT coalesce(sum(length), 0) FROM payloads
            WHERE sequence BETWEEN ? AND ? AND reclaiming = 0 AND (+died, +sequence) <= (?, ?)
            """,
            [
                Int64(events.lowerBound.rawValue), Int64(events.upperBound.rawValue),
                Int64(last.died.rawValue), Int64(last.sequence.rawValue),
            ])?[0] ?? 0
    }

    /// Payloads that a plan to reclaim names and that may still be there, in the order of their events.
    public func reclaimingPayloads() throws -> [SequenceNumber] {
        try rows("SELECT sequence FROM payloads WHERE reclaiming = 1 ORDER BY sequence", []).map {
            $0.sequence(0)
        }
    }

    /// Payloads that nothing refers to and that no plan to reclaim names, in the order of their events.
    public func deadPayloads(after: SequenceNumber, limit: Int) throws -> [SequenceNumber] {
        try rows(
            "SELECT sequence FROM payloads WHERE sequence > ? AND reclaiming = 0 ORDER BY sequence LIMIT ?",
            [Int64(after.rawValue), limit]
        ).map { $0.sequence(0) }
    }
}

/// A payload that nothing refers to any more.
public struct DeadPayload: Sendable {
    /// Where it stands among them.
    public struct Place: Sendable, Equatable {
        /// The event with which it died.
        public let died: SequenceNumber
        /// The event that carries it.
        public let sequence: SequenceNumber

        /// Before all of them.
        public static let none = Place(died: .zero, sequence: .zero)
    }

    public let place: Place
    public let length: Int
}
