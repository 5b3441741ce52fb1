import Foundation
import GRDB
import Model

/// A row of an application's own records: what it believes the store has.
public struct ReferenceRow: Sendable, Equatable {
    public var bucket: String
    public var key: String
    /// "null" or 32 hexadecimal digits; empty for the current version.
    public var version: String
    /// Where the row stands in what it was read from, counted from 1.
    public var line: Int
    public var size: UInt64?
    /// An MD5 or a SHA-256 in lower-case hexadecimal digits, or an ETag.
    public var hash: String?
    /// A canonical id or a user's name.
    public var owner: String?

    public init(
        bucket: String, key: String, version: String = "", line: Int, size: UInt64? = nil,
        hash: String? = nil, owner: String? = nil
    ) {
        self.bucket = bucket
        self.key = key
        self.version = version
        self.line = line
        self.size = size
        self.hash = hash
        self.owner = owner
    }
}

/// An application's records, sorted as the catalog is: a SQLite file of its own, so that a million rows need no more
/// memory than ten. It is a scratch file: nothing of it is synced, and whoever made it removes it.
public final class ReferenceTable: Sendable {
    public let path: String
    private let queue: DatabaseQueue

    /// Makes an empty table in a new file.
    public init(creating path: String) throws {
        self.path = path
        queue = try Self.open(path)
        try queue.writeWithoutTransaction { database in
            try database.execute(
                sql: """
                    CREATE TABLE rows (
                        bucket BLOB NOT NULL,
                        key BLOB NOT NULL,
                        version TEXT NOT NULL,
                        line INTEGER NOT NULL,
                        size INTEGER,
                        hash TEXT,
                        owner TEXT,
                        PRIMARY KEY (bucket, key, version, line)
                    ) STRICT, WITHOUT ROWID;
                    """)
        }
    }

    /// Opens a table that was made before.
    public init(reading path: String) throws {
        self.path = path
        var configuration = Configuration()
        configuration.readonly = true
        queue = try DatabaseQueue(path: path, configuration: configuration)
    }

    private static func open(_ path: String) throws -> DatabaseQueue {
        var configuration = Configuration()
        configuration.prepareDatabase { database in
            try database.execute(
                sql: "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536;")
        }
        return try DatabaseQueue(path: path, configuration: configuration)
    }

    /// Adds all rows that `next` gives, until it gives none.
    /// - Returns: how many there were.
    public func fill(_ next: () throws -> ReferenceRow?) throws -> Int {
        var count = 0
        try queue.inTransaction { database in
            let insert = try database.makeStatement(sql: "INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?)")
            while let row = try next() {
                insert.setUncheckedArguments([
                    Data(row.bucket.utf8), Data(row.key.utf8), row.version, row.line,
                    row.size.map { Int64(bitPattern: $0) }, row.hash, row.owner,
                ])
                try insert.execute()
                count += 1
            }
            return .commit
        }
        return count
    }

    /// The buckets that rows name, in order.
    public func buckets() throws -> [String] {
        try queue.read { database in
            try Data.fetchAll(database, sql: "SELECT DISTINCT bucket FROM rows ORDER BY bucket")
                .map { String(decoding: $0, as: UTF8.self) }
        }
    }

    /// The first row of a key; `nil` if there is none.
    public func row(of bucket: String, key: String) throws -> ReferenceRow? {
        let start = ReferenceRow(bucket: bucket, key: key, line: -1)
        guard let row = try rows(of: bucket, after: start, limit: 1).first else { return nil }
        return row.key.utf8.elementsEqual(key.utf8) ? row : nil
    }

    /// Rows of a bucket behind `last`, in the order of key, version and line.
    public func rows(of bucket: String, after last: ReferenceRow?, limit: Int) throws -> [ReferenceRow] {
        try queue.read { database in
            let statement = try database.cachedStatement(
                sql: """
                    SELECT key, version, line, size, hash, owner FROM rows
                    WHERE bucket = ? AND (key, version, line) > (?, ?, ?) ORDER BY key, version, line LIMIT ?
                    """)
            let arguments: StatementArguments = [
                Data(bucket.utf8), Data((last?.key ?? "").utf8), last?.version ?? "", last?.line ?? -1, limit,
            ]
            return try Row.fetchAll(statement, arguments: arguments).map { row in
                ReferenceRow(
                    bucket: bucket, key: String(decoding: row[0] as Data, as: UTF8.self), version: row[1],
                    line: row[2], size: (row[3] as Int64?).map { UInt64(bitPattern: $0) }, hash: row[4],
                    owner: row[5])
            }
        }
    }
}
