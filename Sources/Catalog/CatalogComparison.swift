import Foundation
import GRDB
import Model

/// A row that one catalog has otherwise than another.
public struct RowDifference: Sendable {
    public let table: String
    /// The row's key, as text for people.
    public let key: String
    public let found: String?
    public let expected: String?
    /// Bucket and key, for a row of a version or an upload; empty for any other.
    public let bucket: String
    public let objectKey: String
    /// Columns whose values differ, where both have the row.
    public let columns: [String]
    /// The messages that both have in the column `record`.
    public let foundRecord: Data?
    public let expectedRecord: Data?
    let place: [DatabaseValue]
}

/// Compares two catalogs row for row.
public enum CatalogComparison {
    /// Every table with its primary key, in its order.
    private static let tables: [(name: String, key: [String], order: String)] = [
        ("meta", ["one"], "one"), ("buckets", ["name"], "name"),
        ("settings", ["bucket", "name"], "bucket, name"), ("current", ["bucket", "key"], "bucket, key"),
        ("archive", ["bucket", "key", "sequence"], "bucket, key, sequence DESC"),
        ("uploads", ["bucket", "key", "id"], "bucket, key, id"),
        ("parts", ["upload", "number"], "upload, number"), ("blobs", ["id"], "id"),
        ("payloads", ["sequence"], "sequence"), ("findings", ["sequence"], "sequence"),
        ("volumes", ["number"], "number"), ("incidents", ["id"], "id"),
        ("affected", ["incident", "version"], "incident, version"), ("undone", ["repair"], "repair"),
        ("scrubs", ["volume"], "volume"), ("acknowledgements", ["sequence"], "sequence"),
        ("outages", ["sequence", "volume"], "sequence, volume"), ("followed", ["one"], "one"),
        ("aborted", ["upload"], "upload"),
    ]

    /// Calls `report` with each row of `found` that is not as in `expected`, and each that is missing.
    public static func run(
        _ found: CatalogReader, against expected: CatalogReader,
        report: (RowDifference) throws -> Void
    ) throws {
        for table in tables {
            let sql = "SELECT * FROM \(table.name) ORDER BY \(table.order)"
            if try isSame(sql, found.database, expected.database) { continue }
            let left = try Row.fetchCursor(found.database, sql: sql)
            let right = try Row.fetchCursor(expected.database, sql: sql)
            var a = try left.next()?.copy()
            var b = try right.next()?.copy()
            while a != nil || b != nil {
                let order = compare(a, b, table.key, isDescending: table.name == "archive")
                if order != 0 || a != b {
                    let wrong = order <= 0 ? a : nil
                    let right = order >= 0 ? b : nil
                    try report(difference(table.name, table.key, wrong, right))
                }
                if order <= 0 { a = try left.next()?.copy() }
                if order >= 0 { b = try right.next()?.copy() }
            }
        }
    }

    /// Whether a query gives the same rows from both: most tables are the same, and this finds it out at the
    /// speed of SQLite.
    private static func isSame(_ sql: String, _ a: Database, _ b: Database) throws -> Bool {
        guard let left = a.sqliteConnection, let right = b.sqliteConnection else {
            preconditionFailure("a connection that is in use is open")
        }
        return try HotStatement(sql, left).hasSameRows(as: try HotStatement(sql, right))
    }

    /// Negative if `a` comes first, or is all there is.
    private static func compare(_ a: Row?, _ b: Row?, _ key: [String], isDescending: Bool) -> Int {
        guard let a else { return 1 }
        guard let b else { return -1 }
        for (index, column) in key.enumerated() {
            let order = compare(a[column] as DatabaseValue, b[column] as DatabaseValue)
            if order != 0 { return isDescending && index == key.count - 1 ? -order : order }
        }
        return 0
    }

    private static func compare(_ a: DatabaseValue, _ b: DatabaseValue) -> Int {
        switch (a.storage, b.storage) {
        case (.int64(let a), .int64(let b)): a == b ? 0 : a < b ? -1 : 1
        case (.blob(let a), .blob(let b)): a == b ? 0 : a.lexicographicallyPrecedes(b) ? -1 : 1
        case (.string(let a), .string(let b)):
            a.utf8.elementsEqual(b.utf8) ? 0 : a.utf8.lexicographicallyPrecedes(b.utf8) ? -1 : 1
        default: preconditionFailure("a key's columns are of one type, never null")
        }
    }

    private static func difference(
        _ table: String, _ key: [String], _ found: Row?, _ expected: Row?
    ) -> RowDifference {
        guard let row = found ?? expected else { preconditionFailure("one of the rows is there") }
        let place = key.map { row[$0] as DatabaseValue }
        let isOfObject = ["current", "archive", "uploads"].contains(table)
        func name(_ index: Int) -> String {
            isOfObject ? String(decoding: Data.fromDatabaseValue(place[index]) ?? Data(), as: UTF8.self) : ""
        }
        var columns: [String] = []
        if let found, let expected {
            columns = found.columnNames.filter {
                found[$0] as DatabaseValue != expected[$0] as DatabaseValue
            }
        }
        return RowDifference(
            table: table, key: place.map(text).joined(separator: " "), found: found.map(text),
            expected: expected.map(text), bucket: name(0), objectKey: name(1), columns: columns,
            foundRecord: record(found), expectedRecord: record(expected), place: place)
    }

    private static func record(_ row: Row?) -> Data? {
        guard let row, row.hasColumn("record") else { return nil }
        return Data.fromDatabaseValue(row["record"])
    }

    private static func text(_ row: Row) -> String {
        row.map { "\($0.0)=\(text($0.1))" }.joined(separator: " ")
    }

    private static func text(_ value: DatabaseValue) -> String {
        switch value.storage {
        case .null: "null"
        case .int64(let number): String(number)
        case .double(let number): String(number)
        case .string(let text): text
        case .blob(let data):
            data.count <= 64 && data.allSatisfy { (0x20..<0x7F).contains($0) }
                ? String(decoding: data, as: UTF8.self) : String(data.prefix(32).hexadecimal)
        }
    }

    /// Makes rows of a catalog what they are in another that is as of the same event.
    public static func mend(
        _ differences: [RowDifference], in writer: CatalogWriter, from expected: CatalogReader
    ) throws {
        writer.touchBuckets()
        for difference in differences {
            guard let table = tables.first(where: { $0.name == difference.table }) else { continue }
            let match = table.key.map { "\($0) = ?" }.joined(separator: " AND ")
            let arguments = StatementArguments(difference.place)
            try writer.database.execute(sql: "DELETE FROM \(table.name) WHERE \(match)", arguments: arguments)
            guard
                let row = try Row.fetchOne(
                    expected.database, sql: "SELECT * FROM \(table.name) WHERE \(match)", arguments: arguments
                )
            else { continue }
            let marks = row.map { _ in "?" }.joined(separator: ", ")
            try writer.database.execute(
                sql: "INSERT INTO \(table.name) VALUES (\(marks))",
                arguments: StatementArguments(row.map { $0.1 }))
        }
    }
}
