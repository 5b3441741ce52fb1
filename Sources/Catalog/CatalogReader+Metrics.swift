import GRDB
import Model

/// A table whose rows are counted for whoever watches a store.
public enum CountedTable: String, CaseIterable, Sendable {
    case buckets
    case current
    case archive
    case uploads
    case parts
    case blobs

    /// What an index has in its order and no two rows share.
    fileprivate var key: String {
        switch self {
        case .buckets: "name"
        case .current: "bucket, key"
        case .archive: "version, bucket, key"
        case .uploads: "bucket, key, id"
        case .parts: "upload, number"
        case .blobs: "id"
        }
    }
}

/// Where the counting of a table's rows has come to: behind the row with this key.
public struct CountPlace: Sendable {
    fileprivate let key: [DatabaseValue]
}

/// The versions of a page of those that a mismatch affects or has affected, each as was stated of it last.
public struct AffectedPage: Sendable {
    public var versions: [(state: EventAffectedVersion.State, size: UInt64)] = []
    /// The last of them; `nil` if none comes behind.
    public var last: SequenceNumber?
}

/// Counts for whoever watches a store. Each comes to all rows, so it is made page by page, each as the catalog is by then: a
/// count of everything at once would keep a processor from requests for as long as the store is large.
extension CatalogReader {
    /// - Returns: how many rows were counted, and where to go on; `nil` behind the last one.
    public func countRows(
        of table: CountedTable, behind place: CountPlace?, limit: Int
    ) throws -> (rows: Int, place: CountPlace?) {
        let rest =
            place.map { "WHERE (\(table.key)) > (\($0.key.map { _ in "?" }.joined(separator: ", ")))" } ?? ""
        let page = "FROM \(table.rawValue) \(rest) ORDER BY \(table.key) LIMIT"
        let bound = place?.key ?? []
        let last = try row(
            "SELECT \(table.key) \(page) 1 OFFSET ?", StatementArguments(bound + [(limit - 1).databaseValue]))
        if let last { return (limit, CountPlace(key: Array(last.databaseValues))) }
        let counted = try row(
            "SELECT count(*) FROM (SELECT 1 \(page) ?)", StatementArguments(bound + [limit.databaseValue]))
        return (counted?[0] ?? 0, nil)
    }

    /// Each version counts once, whatever incidents it belongs to.
    /// - Parameter last: the event that published the last one that is known.
    public func affectedStates(after last: SequenceNumber, limit: Int) throws -> AffectedPage {
        // SQLite takes the other columns from the row that has the maximum.
        let rows = try rows(
            """
            SELECT version, state, size, max(changed) FROM affected WHERE version > ? GROUP BY version ORDER BY version LIMIT ?
            """, [Int64(last.rawValue), limit])
        return AffectedPage(
            versions: rows.map {
                (EventAffectedVersion.State(rawValue: $0[1]) ?? .unspecified, UInt64($0[2] as Int64))
            },
            last: rows.count == limit ? rows.last?.sequence(0) : nil)
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
}
