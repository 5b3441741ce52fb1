import Foundation
import GRDB
import Model

/// The versions of a bucket in the order of their keys and, within a key, newest first: the current ones and the
/// older ones, merged as they are stepped to, so that whoever stops early pays for no more than was looked at.
///
/// A key's current version is newer than all its older ones. What is stored of a listing's columns is at 0 to
/// 4, the key at 5.
final class VersionMerge {
    enum Start {
        case key([UInt8], isInclusive: Bool)
        /// Within the key, the version that comes behind that of this event, which may be the newest.
        case version([UInt8], below: SequenceNumber)
    }

    /// A cursor and the row it stands on, which is good until the cursor moves.
    private struct Head {
        let cursor: RowCursor
        var row: Row?
        var key: [UInt8] = []

        mutating func move() throws {
            row = try cursor.next()
            if let row { key = row.bytes(5) }
        }
    }

    private var rest: RowCursor?
    private var current: Head
    private var archive: Head
    private enum Side { case current, archive }
    /// Which of the two gave its row away, and moves before the next.
    private var given: Side?

    init(_ database: Database, _ bucket: BucketName, _ start: Start) throws {
        func open(_ table: String, _ place: String, _ arguments: StatementArguments) throws -> RowCursor {
            let newest = table == "archive" ? "newest" : "1"
            let order = table == "archive" ? "key, sequence DESC" : "key"
            let statement = try database.cachedStatement(
                sql:
                    "SELECT \(CatalogReader.columns), key, \(newest) FROM \(table) WHERE bucket = ? AND \(place) ORDER BY \(order)"
            )
            return try Row.fetchCursor(statement, arguments: arguments)
        }
        let from: [UInt8]
        var comparison = "key > ?"
        switch start {
        case .key(let key, let isInclusive):
            from = key
            if isInclusive { comparison = "key >= ?" }
        case .version(let key, let sequence):
            from = key
            rest = try open(
                "archive", "key = ? AND sequence < ?",
                [bucket.data, Data(key), Int64(sequence.rawValue)])
        }
        let arguments: StatementArguments = [bucket.data, Data(from)]
        current = Head(cursor: try open("current", comparison, arguments))
        archive = Head(cursor: try open("archive", comparison, arguments))
        try current.move()
        try archive.move()
    }

    /// - Returns: a row, good until the next call, and whether it is the newest of its key.
    func next() throws -> (row: Row, isLatest: Bool)? {
        if let row = try rest?.next() { return (row, row[6] as Int == 1) }
        rest = nil
        switch given {
        case .current: try current.move()
        case .archive: try archive.move()
        case nil: break
        }
        let isCurrent =
            archive.row == nil
            || (current.row != nil && !archive.key.lexicographicallyPrecedes(current.key))
        given = isCurrent ? .current : .archive
        let row = isCurrent ? current.row : archive.row
        return row.map { ($0, $0[6] as Int == 1) }
    }
}
