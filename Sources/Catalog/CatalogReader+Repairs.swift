import Foundation
import GRDB
import Model
import SwiftProtobuf

/// A finding as the catalog has it.
public struct FindingRow: Sendable {
    /// The event that recorded it, or the repair of it.
    public let sequence: SequenceNumber
    public let finding: EventFinding
    public let isRepaired: Bool
    /// The event that undid the repair.
    public let undone: SequenceNumber?
}

/// What checks, repairs and the states of versions have left in the rows.
extension CatalogReader {
    private static let findingColumns = """
        SELECT findings.sequence, repaired, record, undone.sequence
        FROM findings LEFT JOIN undone ON undone.repair = findings.sequence
        """

    /// Findings in the order of their events, from behind `after` on.
    public func findings(
        after: SequenceNumber, repairedOnly: Bool, limit: Int
    ) throws -> [FindingRow] {
        try rows(
            """
            \(Self.findingColumns) WHERE findings.sequence > ? AND repaired >= ?
            ORDER BY findings.sequence LIMIT ?
            """, [Int64(after.rawValue), repairedOnly ? 1 : 0, limit]
        ).map(Self.finding)
    }

    public func finding(_ sequence: SequenceNumber) throws -> FindingRow? {
        try row("\(Self.findingColumns) WHERE findings.sequence = ?", [Int64(sequence.rawValue)]).map(
            Self.finding)
    }

    private static func finding(_ row: Row) throws -> FindingRow {
        FindingRow(
            sequence: row.sequence(0), finding: try EventFinding(serializedBytes: row[2] as Data),
            isRepaired: row[1] as Int == 1,
            undone: (row[3] as Int64?).map { SequenceNumber(UInt64($0)) })
    }

    /// The last that was stated of each version, in the order of the versions.
    public func standings(limit: Int) throws -> [EventAffectedVersion] {
        try rows(
            """
            SELECT record FROM affected AS a
            WHERE changed = (SELECT max(changed) FROM affected WHERE version = a.version)
            ORDER BY version LIMIT ?
            """, [limit]
        ).map { try EventAffectedVersion(serializedBytes: $0[0] as Data) }
    }

    /// The last that was stated of one version.
    public func standing(of version: SequenceNumber) throws -> EventAffectedVersion? {
        try stated(of: version).last?.version
    }

    /// All that was stated of one version last, incident by incident, the newest at the end.
    public func stated(
        of version: SequenceNumber
    ) throws -> [(incident: UInt64, changed: SequenceNumber, version: EventAffectedVersion)] {
        try rows(
            "SELECT incident, changed, record FROM affected WHERE version = ? ORDER BY changed",
            [Int64(version.rawValue)]
        ).map {
            (
                UInt64($0[0] as Int64), $0.sequence(1),
                try EventAffectedVersion(serializedBytes: $0[2] as Data)
            )
        }
    }

    /// Every version of a key, the newest first, delete markers included.
    public func allVersions(_ bucket: String, _ key: String) throws -> [ObjectVersion] {
        try rows(
            """
            SELECT \(Self.columns) FROM current WHERE bucket = ?1 AND key = ?2
            UNION ALL
            SELECT \(Self.columns) FROM archive WHERE bucket = ?1 AND key = ?2
            ORDER BY 1 DESC
            """, [Data(bucket.utf8), Data(key.utf8)]
        ).map(Self.version)
    }

    /// Every version whose bytes a blob is part of.
    ///
    /// Mostly that is a version of the key that it was written for. Where copies share it there are more, or others:
    /// then all versions are looked at.
    public func versions(using blob: BlobRow) throws -> [ObjectVersion] {
        let id = Data(blob.id.bytes)
        let here = try allVersions(blob.bucket, blob.key).filter { $0.record.uses(id) }
        let references = here.reduce(0) { $0 + $1.record.pieces.count { $0.blobID == id } }
        guard references < blob.uses else { return here }
        var found: [ObjectVersion] = []
        for table in ["current", "archive"] {
            let statement = try database.cachedStatement(
                sql: "SELECT \(Self.columns) FROM \(table) WHERE instr(record, ?) > 0")
            let cursor = try Row.fetchCursor(statement, arguments: [id])
            while let row = try cursor.next() {
                let version = try Self.version(row)
                if version.record.uses(id) { found.append(version) }
            }
        }
        return found
    }

    /// Every version whose bytes stand in the log with an event. Looks at all versions from that event on.
    public func versions(carriedBy sequence: SequenceNumber) throws -> [ObjectVersion] {
        var found: [ObjectVersion] = []
        for table in ["current", "archive"] {
            let statement = try database.cachedStatement(
                sql: "SELECT \(Self.columns) FROM \(table) WHERE sequence >= ? AND instr(record, ?) > 0")
            let cursor = try Row.fetchCursor(
                statement, arguments: [Int64(sequence.rawValue), Self.carrierField(sequence)])
            while let row = try cursor.next() {
                let version = try Self.version(row)
                if version.carriers.contains(sequence) { found.append(version) }
            }
        }
        return found
    }

    /// What stands in the record of each version whose bytes an event carries: field 2 of a piece. SQLite finds it
    /// without taking the record apart.
    private static func carrierField(_ sequence: SequenceNumber) -> Data {
        var bytes: [UInt8] = [2 << 3]
        var rest = sequence.rawValue
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
        return Data(bytes)
    }

    /// Versions that cannot be read, by what was stated of them last.
    public func goneVersions() throws -> [EventAffectedVersion] {
        try rows(
            """
            SELECT record FROM affected AS a
            WHERE state IN (?, ?) AND changed = (SELECT max(changed) FROM affected WHERE version = a.version)
            ORDER BY version
            """,
            [EventAffectedVersion.State.lost.rawValue, EventAffectedVersion.State.olderAvailable.rawValue]
        ).map { try EventAffectedVersion(serializedBytes: $0[0] as Data) }
    }
}

extension EventVersionPublished {
    fileprivate func uses(_ blob: Data) -> Bool { pieces.contains { $0.blobID == blob } }
}
