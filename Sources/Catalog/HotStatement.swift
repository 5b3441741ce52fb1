import Foundation
import GRDBSQLite
import Model
import SwiftProtobuf

/// A statement of the paths that every request takes: prepared once on its connection, and run by SQLite's own
/// interface. What GRDB does around a statement (arguments as values, a dispatch queue, a row that is copied)
/// costs several times the statement itself.
///
/// Belongs to its connection, which one thread at a time uses.
final class HotStatement: @unchecked Sendable {  // used by whoever has the connection, and by nobody else
    private static let copied = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

    private let connection: OpaquePointer
    private let statement: OpaquePointer

    init(_ sql: String, _ connection: OpaquePointer) throws(CatalogError) {
        var statement: OpaquePointer?
        let flags = UInt32(SQLITE_PREPARE_PERSISTENT)
        guard sqlite3_prepare_v3(connection, sql, -1, flags, &statement, nil) == SQLITE_OK, let statement
        else { throw .unreadable(String(cString: sqlite3_errmsg(connection))) }
        self.connection = connection
        self.statement = statement
    }

    deinit { sqlite3_finalize(statement) }

    // MARK: Binding, from 1 on

    func bind(_ index: Int32, _ value: Int64) { check(sqlite3_bind_int64(statement, index, value)) }

    /// As a blob of its UTF-8.
    func bind(_ index: Int32, utf8 text: String) {
        var text = text
        text.withUTF8 { bind(index, UnsafeRawBufferPointer($0)) }
    }

    func bind(_ index: Int32, _ bytes: [UInt8]) { bytes.withUnsafeBytes { bind(index, $0) } }

    func bind(_ index: Int32, _ bytes: UnsafeRawBufferPointer) {
        guard let start = bytes.baseAddress, !bytes.isEmpty else {
            return check(sqlite3_bind_zeroblob(statement, index, 0))
        }
        check(sqlite3_bind_blob(statement, index, start, Int32(bytes.count), Self.copied))
    }

    private func check(_ code: Int32) {
        precondition(
            code == SQLITE_OK || code == SQLITE_NOMEM, "the statement has the parameters it is given")
    }

    // MARK: Running

    /// What `read` makes of the first row; `nil` if there is none.
    func first<Result>(_ read: (HotStatement) throws -> Result) throws -> Result? {
        defer { sqlite3_reset(statement) }
        switch sqlite3_step(statement) {
        case SQLITE_ROW: return try read(self)
        case SQLITE_DONE: return nil
        default: throw failure
        }
    }

    /// - Returns: the number of rows it changed.
    @discardableResult
    func execute() throws(CatalogError) -> Int {
        defer { sqlite3_reset(statement) }
        guard sqlite3_step(statement) == SQLITE_DONE else { throw failure }
        return Int(sqlite3_changes(connection))
    }

    /// Whether both give the same rows, each column of the same type and value.
    func hasSameRows(as other: HotStatement) throws(CatalogError) -> Bool {
        defer {
            sqlite3_reset(statement)
            sqlite3_reset(other.statement)
        }
        while true {
            let hasRow = try step()
            guard try other.step() == hasRow else { return false }
            guard hasRow else { return true }
            for column in 0..<sqlite3_column_count(statement) where !isSame(column, other) { return false }
        }
    }

    private func step() throws(CatalogError) -> Bool {
        switch sqlite3_step(statement) {
        case SQLITE_ROW: return true
        case SQLITE_DONE: return false
        default: throw failure
        }
    }

    private func isSame(_ column: Int32, _ other: HotStatement) -> Bool {
        let type = sqlite3_column_type(statement, column)
        guard sqlite3_column_type(other.statement, column) == type else { return false }
        switch type {
        case SQLITE_NULL: return true
        case SQLITE_INTEGER: return integer(column) == other.integer(column)
        default:
            // Text is compared as what it is stored as.
            let left = sqlite3_column_blob(statement, column)
            let right = sqlite3_column_blob(other.statement, column)
            let count = sqlite3_column_bytes(statement, column)
            guard sqlite3_column_bytes(other.statement, column) == count else { return false }
            guard let left, let right else { return count == 0 }
            return memcmp(left, right, Int(count)) == 0
        }
    }

    private var failure: CatalogError { .unreadable(String(cString: sqlite3_errmsg(connection))) }

    // MARK: The row, from 0 on

    func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(statement, column) }

    func bytes(_ column: Int32) -> [UInt8] {
        guard let start = sqlite3_column_blob(statement, column) else { return [] }
        return Array(
            UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(statement, column))))
    }
}

/// The hot statements of one connection.
struct HotStatements: Sendable {
    static let columns = "sequence, time, record"

    let current: HotStatement
    /// A delete marker that hides its key.
    let newestArchived: HotStatement
    let nullArchived: HotStatement

    init(_ connection: OpaquePointer) throws(CatalogError) {
        current = try HotStatement(
            "SELECT \(Self.columns) FROM current WHERE bucket = ? AND key = ?", connection)
        newestArchived = try HotStatement(
            """
            SELECT \(Self.columns) FROM (SELECT \(Self.columns), newest FROM archive
            WHERE bucket = ? AND key = ? ORDER BY sequence DESC LIMIT 1) WHERE newest = 1
            """, connection)
        nullArchived = try HotStatement(
            "SELECT \(Self.columns) FROM archive INDEXED BY archive_nulls WHERE bucket = ? AND key = ? AND is_null = 1",
            connection)
    }
}

/// The hot statements of the writing connection.
struct HotChanges: Sendable {
    let insertCurrent: HotStatement
    let archiveCurrent: HotStatement
    let deleteCurrent: HotStatement
    let unmarkNewest: HotStatement
    let deleteCurrentAt: HotStatement
    let releasePayload: HotStatement
    let setPosition: HotStatement

    init(_ connection: OpaquePointer) throws(CatalogError) {
        insertCurrent = try HotStatement("INSERT INTO current VALUES (?, ?, ?, ?, ?, ?, ?)", connection)
        archiveCurrent = try HotStatement(
            "INSERT INTO archive SELECT bucket, key, sequence, time, version, is_null, record, 0 FROM current WHERE bucket = ? AND key = ?",
            connection)
        deleteCurrent = try HotStatement("DELETE FROM current WHERE bucket = ? AND key = ?", connection)
        unmarkNewest = try HotStatement(
            """
            UPDATE archive SET newest = 0 WHERE bucket = ?1 AND key = ?2 AND newest = 1
            AND sequence = (SELECT max(sequence) FROM archive WHERE bucket = ?1 AND key = ?2)
            """, connection)
        deleteCurrentAt = try HotStatement(
            "DELETE FROM current WHERE bucket = ? AND key = ? AND sequence = ?", connection)
        releasePayload = try HotStatement("INSERT INTO payloads VALUES (?, ?, ?, ?, 0)", connection)
        setPosition = try HotStatement(
            "UPDATE meta SET sequence = ?, chain = ? WHERE sequence = ?", connection)
    }
}

extension HotStatements {
    /// The newest version of a key, even if it is a delete marker.
    func currentVersion(_ bucket: BucketName, _ key: ObjectKey) throws -> ObjectVersion? {
        try version(current, bucket, key) ?? version(newestArchived, bucket, key)
    }

    /// The version of a key that is shown as "null".
    func nullVersion(_ bucket: BucketName, _ key: ObjectKey) throws -> ObjectVersion? {
        if let newest = try version(current, bucket, key), newest.isNull { return newest }
        return try version(nullArchived, bucket, key)
    }

    /// The newest version of a key, unless it is a delete marker.
    func currentObject(_ bucket: BucketName, _ key: ObjectKey) throws -> ObjectVersion? {
        try version(current, bucket, key)
    }

    private func version(
        _ statement: HotStatement, _ bucket: BucketName, _ key: ObjectKey
    ) throws -> ObjectVersion? {
        statement.bind(1, utf8: bucket.rawValue)
        statement.bind(2, utf8: key.rawValue)
        return try statement.first(Self.version)
    }

    static func version(_ row: HotStatement) throws -> ObjectVersion {
        ObjectVersion(
            sequence: SequenceNumber(UInt64(row.integer(0))),
            published: Timestamp(microseconds: UInt64(row.integer(1))),
            record: try EventVersionPublished(serializedBytes: row.bytes(2)))
    }
}
