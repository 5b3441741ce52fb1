import GRDB
import Model

/// Counts for whoever watches a store. Each looks at every row it counts.
extension CatalogReader {
    private static let countedTables = ["buckets", "current", "archive", "uploads", "parts", "blobs"]

    public func rowCounts() throws -> [(table: String, rows: Int)] {
        try Self.countedTables.map { table in
            (table, try row("SELECT count(*) FROM \(table)", [])?[0] ?? 0)
        }
    }

    /// The newest events that tell of findings, repairs, volumes and incidents, the newest first.
    /// - Parameter limit: of each kind, so that many of one do not hide the others.
    public func notableEvents(limit: Int) throws -> [SequenceNumber] {
        try rows(
            """
            SELECT * FROM (SELECT sequence FROM findings ORDER BY sequence DESC LIMIT ?1)
            UNION SELECT * FROM (SELECT sequence FROM outages ORDER BY sequence DESC LIMIT ?1)
            UNION SELECT * FROM (SELECT id FROM incidents ORDER BY id DESC LIMIT ?1)
            UNION SELECT * FROM (SELECT closed FROM incidents WHERE closed IS NOT NULL ORDER BY id DESC LIMIT ?1)
            UNION SELECT * FROM (SELECT sequence FROM acknowledgements ORDER BY sequence DESC LIMIT ?1)
            ORDER BY 1 DESC
            """, [limit]
        ).map { $0.sequence(0) }
    }

    /// Each version counts once, as was stated of it last, whatever incidents it belongs to.
    public func affectedCounts() throws -> [EventAffectedVersion.State: (versions: Int, bytes: UInt64)] {
        var counts: [EventAffectedVersion.State: (versions: Int, bytes: UInt64)] = [:]
        // SQLite takes the other columns from the row that has the maximum.
        let rows = try rows(
            """
            SELECT state, count(*), sum(size)
            FROM (SELECT state, size, max(changed) FROM affected GROUP BY version) GROUP BY state
            """, [])
        for row in rows {
            let state = EventAffectedVersion.State(rawValue: row[0]) ?? .unspecified
            counts[state] = (row[1], UInt64(row[2] as Int64))
        }
        return counts
    }
}
