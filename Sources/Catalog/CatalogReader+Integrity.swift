import Foundation
import GRDB
import Model
import SwiftProtobuf

/// An incident as the catalog has it. It is named by the event that opened it.
public struct IncidentRow: Sendable, Equatable {
    public let id: UInt64
    public let opened: Timestamp
    public let cause: EventIncidentOpened.Cause
    /// 0 unless the cause is a volume.
    public let volume: Int
    public let reason: String
    /// The first event that belongs to it.
    public let since: SequenceNumber
    public let closed: SequenceNumber?
    public let closedTime: Timestamp?
    public let outcome: String

    public var isOpen: Bool { closed == nil }

    init(
        id: UInt64, opened: Timestamp, cause: EventIncidentOpened.Cause, volume: Int, reason: String,
        since: SequenceNumber, closed: SequenceNumber?, closedTime: Timestamp?, outcome: String
    ) {
        self.id = id
        self.opened = opened
        self.cause = cause
        self.volume = volume
        self.reason = reason
        self.since = since
        self.closed = closed
        self.closedTime = closedTime
        self.outcome = outcome
    }

    /// What was found and belongs to no incident, as number 0.
    public static let none = IncidentRow(
        id: 0, opened: Timestamp(microseconds: 0), cause: .unspecified, volume: 0,
        reason: "findings that make no incident", since: .zero, closed: nil, closedTime: nil, outcome: "")
}

/// A version that an incident affects, as was stated of it last.
public struct AffectedRow: Sendable {
    public let incident: UInt64
    public let version: EventAffectedVersion
    /// The events that stated it first and last.
    public let detected: SequenceNumber
    public let changed: SequenceNumber
    public let changedTime: Timestamp
    /// The event by which somebody has seen it.
    public let acknowledged: SequenceNumber?
}

/// Somebody has seen how an incident came out for a part of its versions: what is empty is not asked for.
public struct AcknowledgementRow: Sendable, Equatable {
    public let sequence: SequenceNumber
    public let time: Timestamp
    public let owner: String
    public let bucket: String
    public let key: String
    public let note: String

    public func covers(owner: String, bucket: String, key: String) -> Bool {
        (self.owner.isEmpty || self.owner == owner) && (self.bucket.isEmpty || self.bucket == bucket)
            && (self.key.isEmpty || self.key.utf8.elementsEqual(key.utf8))
    }

    public var coversAll: Bool { owner.isEmpty && bucket.isEmpty && key.isEmpty }
}

/// A volume that left service, came back or was found healed.
public struct OutageRow: Sendable, Equatable {
    public enum State: String, Sendable {
        case setAside = "set aside"
        case replaced, returned, healed
    }
    public let sequence: SequenceNumber
    public let time: Timestamp
    public let state: State
    public let reason: String
}

/// Incidents, and the versions that they affect.
extension CatalogReader {
    private static let incidentColumns =
        "id, opened, cause, volume, reason, since, closed, closed_time, outcome"

    /// The newest last.
    public func incidents(openOnly: Bool = false) throws -> [IncidentRow] {
        try rows(
            "SELECT \(Self.incidentColumns) FROM incidents \(openOnly ? "WHERE closed IS NULL" : "") ORDER BY id",
            []
        ).map(Self.incident)
    }

    public func incident(_ id: UInt64) throws -> IncidentRow? {
        try row(
            "SELECT \(Self.incidentColumns) FROM incidents WHERE id = ?", [Int64(clamping: id)]
        ).map(Self.incident)
    }

    private static func incident(_ row: Row) -> IncidentRow {
        IncidentRow(
            id: UInt64(row[0] as Int64), opened: row.time(1),
            cause: EventIncidentOpened.Cause(rawValue: row[2]) ?? .unspecified, volume: row[3],
            reason: row[4], since: row.sequence(5),
            closed: (row[6] as Int64?).map { SequenceNumber(UInt64($0)) },
            closedTime: (row[7] as Int64?).map { Timestamp(microseconds: UInt64($0)) }, outcome: row[8])
    }

    private static let affectedColumns =
        "incident, record, detected, changed, changed_time, acknowledged"

    /// Versions of an incident by the events that published them, from behind `after` on. Incident 0 has those that
    /// belong to none.
    public func affectedVersions(
        incident: UInt64, after: SequenceNumber = .zero, limit: Int
    ) throws -> [AffectedRow] {
        try rows(
            """
            SELECT \(Self.affectedColumns) FROM affected WHERE incident = ? AND version > ?
            ORDER BY version LIMIT ?
            """, [Int64(clamping: incident), Int64(after.rawValue), limit]
        ).map(Self.affected)
    }

    public func affectedVersion(incident: UInt64, _ version: SequenceNumber) throws -> AffectedRow? {
        try row(
            "SELECT \(Self.affectedColumns) FROM affected WHERE incident = ? AND version = ?",
            [Int64(clamping: incident), Int64(version.rawValue)]
        ).map(Self.affected)
    }

    /// What was stated of a version last, in whichever incident.
    public func lastStated(of version: SequenceNumber) throws -> AffectedRow? {
        try row(
            "SELECT \(Self.affectedColumns) FROM affected WHERE version = ? ORDER BY changed DESC LIMIT 1",
            [Int64(version.rawValue)]
        ).map(Self.affected)
    }

    /// Versions that belong to no incident and of which something was stated since an event.
    public func unclaimedVersions(
        since: SequenceNumber, after: SequenceNumber, limit: Int
    ) throws -> [AffectedRow] {
        try rows(
            """
            SELECT \(Self.affectedColumns) FROM affected
            WHERE incident = 0 AND version > ? AND changed >= ? ORDER BY version LIMIT ?
            """, [Int64(after.rawValue), Int64(since.rawValue), limit]
        ).map(Self.affected)
    }

    /// Versions that belong to no incident and were stated to be lost, by the events that did, from behind `after` on.
    public func unclaimedLosses(after: SequenceNumber, limit: Int) throws -> [AffectedRow] {
        try rows(
            """
            SELECT \(Self.affectedColumns) FROM affected
            WHERE incident = 0 AND changed > ? AND state IN (?, ?) ORDER BY changed, version LIMIT ?
            """,
            [
                Int64(after.rawValue), EventAffectedVersion.State.lost.rawValue,
                EventAffectedVersion.State.olderAvailable.rawValue, limit,
            ]
        ).map(Self.affected)
    }

    /// Versions of an incident to which something is still to happen.
    public func unsettledVersions(
        incident: UInt64, after: SequenceNumber, limit: Int
    ) throws -> [AffectedRow] {
        try rows(
            """
            SELECT \(Self.affectedColumns) FROM affected
            WHERE incident = ? AND version > ? AND state IN (0, 1, 2) ORDER BY version LIMIT ?
            """, [Int64(clamping: incident), Int64(after.rawValue), limit]
        ).map(Self.affected)
    }

    /// When something was stated in an incident last.
    public func lastChange(incident: UInt64) throws -> Timestamp? {
        let micros: Int64? = try row(
            "SELECT max(changed_time) FROM affected WHERE incident = ?", [Int64(clamping: incident)])?[0]
        return micros.map { Timestamp(microseconds: UInt64($0)) }
    }

    private static func affected(_ row: Row) throws -> AffectedRow {
        AffectedRow(
            incident: UInt64(row[0] as Int64),
            version: try EventAffectedVersion(serializedBytes: row[1] as Data),
            detected: row.sequence(2), changed: row.sequence(3), changedTime: row.time(4),
            acknowledged: (row[5] as Int64?).map { SequenceNumber(UInt64($0)) })
    }

    public func acknowledgements(of incident: UInt64) throws -> [AcknowledgementRow] {
        try rows(
            """
            SELECT sequence, time, owner, bucket, key, note FROM acknowledgements
            WHERE incident = ? ORDER BY sequence
            """, [Int64(clamping: incident)]
        ).map {
            AcknowledgementRow(
                sequence: $0.sequence(0), time: $0.time(1), owner: $0[2],
                bucket: String(decoding: $0.bytes(3), as: UTF8.self),
                key: String(decoding: $0.bytes(4), as: UTF8.self), note: $0[5])
        }
    }

    /// Comings and goings of a volume, from an event on.
    public func outages(of volume: Int, from sequence: SequenceNumber) throws -> [OutageRow] {
        try rows(
            """
            SELECT sequence, time, state, reason FROM outages WHERE volume = ? AND sequence >= ?
            ORDER BY sequence
            """, [volume, Int64(sequence.rawValue)]
        ).compactMap { row in
            OutageRow.State(rawValue: row[2]).map {
                OutageRow(sequence: row.sequence(0), time: row.time(1), state: $0, reason: row[3])
            }
        }
    }

    /// Findings and repairs up to this event are followed by incidents.
    public func followedThrough() throws -> SequenceNumber {
        try row("SELECT through FROM followed", [])?.sequence(0) ?? .zero
    }

    /// Repairs that were undone, by the events that undid them, from behind `after` on.
    public func undoneRepairs(
        after: SequenceNumber, limit: Int
    ) throws -> [(sequence: SequenceNumber, repair: SequenceNumber)] {
        try rows(
            "SELECT sequence, repair FROM undone WHERE sequence > ? ORDER BY sequence LIMIT ?",
            [Int64(after.rawValue), limit]
        ).map { ($0.sequence(0), $0.sequence(1)) }
    }

    /// A version by its key and the event that published it; `nil` once it is removed.
    public func version(
        _ bucket: String, _ key: String, publishedBy sequence: SequenceNumber
    ) throws -> ObjectVersion? {
        for table in ["current", "archive"] {
            let row = try row(
                "SELECT \(Self.columns) FROM \(table) WHERE bucket = ? AND key = ? AND sequence = ?",
                [Data(bucket.utf8), Data(key.utf8), Int64(sequence.rawValue)])
            if let row { return try Self.version(row) }
        }
        return nil
    }

    /// Every version whose bytes stand in the log with one of these events: one look at all versions, whatever the
    /// number of events.
    public func versions(
        carriedByAny isCarrier: (SequenceNumber) -> Bool, from first: SequenceNumber
    ) throws -> [ObjectVersion] {
        var found: [ObjectVersion] = []
        for table in ["current", "archive"] {
            let statement = try database.cachedStatement(
                sql: "SELECT \(Self.columns) FROM \(table) WHERE sequence >= ?")
            let cursor = try Row.fetchCursor(statement, arguments: [Int64(first.rawValue)])
            while let row = try cursor.next() {
                let version = try Self.version(row)
                if version.carriers.contains(where: isCarrier) { found.append(version) }
            }
        }
        return found
    }
}
