import Foundation
import GRDB
import Model
import SwiftProtobuf

/// What a store's replicas say of themselves, sorted by the versions that they are of: a SQLite file without a name, so
/// that a million blobs need no more memory than ten, and nothing of it is left when its process ends.
package final class DescriptorTable {
    /// The version of an object that a blob is of.
    package struct Version: Hashable, Sendable {
        package let bucket: String
        package let key: ObjectKey
        package let version: Data

        package init(bucket: String, key: ObjectKey, version: Data) {
            self.bucket = bucket
            self.key = key
            self.version = version
        }

        fileprivate init(_ row: Row, from column: Int) throws {
            self.init(
                bucket: row[column],
                key: try ObjectKey(String(decoding: row[column + 1] as Data, as: UTF8.self)),
                version: row[column + 2])
        }

        fileprivate var arguments: StatementArguments { [bucket, Data(key.rawValue.utf8), version] }
    }

    private static let schema = """
        CREATE TABLE parts (
            bucket TEXT NOT NULL,
            key BLOB NOT NULL,
            version BLOB NOT NULL,
            part INTEGER NOT NULL,
            descriptor BLOB NOT NULL,
            PRIMARY KEY (bucket, key, version, part)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE published (
            time INTEGER NOT NULL,
            bucket TEXT NOT NULL,
            key BLOB NOT NULL,
            version BLOB NOT NULL,
            PRIMARY KEY (time, bucket, key, version)
        ) STRICT, WITHOUT ROWID;
        """

    private let queue: DatabaseQueue

    /// An empty one.
    /// - Parameter directory: has room for a descriptor of each blob, about a kilobyte.
    package init(in directory: String) throws {
        let path = "\(directory)/descriptors-\(OperationID.random())"
        var configuration = Configuration()
        configuration.prepareDatabase { database in
            // Without a journal nothing asks for the name of the file again.
            try database.execute(
                sql: "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536;")
        }
        queue = try DatabaseQueue(path: path, configuration: configuration)
        defer { try? FileManager.default.removeItem(atPath: path) }  // what stays is one scratch file
        try queue.writeWithoutTransaction { try $0.execute(sql: Self.schema) }
    }

    /// Adds what `body` gives.
    /// - Parameter add: keeps the newer one of two for the same part of a version, and returns the other.
    package func fill(
        _ body: (_ add: (Version, EventBlobDescriptor) throws -> EventBlobDescriptor?) throws -> Void
    ) throws {
        try queue.inTransaction { database in
            let find = try database.makeStatement(
                sql:
                    "SELECT descriptor FROM parts WHERE bucket = ? AND key = ? AND version = ? AND part = ?")
            let put = try database.makeStatement(sql: "REPLACE INTO parts VALUES (?, ?, ?, ?, ?)")
            try body { version, descriptor in
                let place = version.arguments + [descriptor.partNumber]
                let former = try Data.fetchOne(find, arguments: place).map {
                    try EventBlobDescriptor(serializedBytes: $0)
                }
                if let former, former.createdMicroseconds >= descriptor.createdMicroseconds {
                    return descriptor
                }
                try put.execute(arguments: place + [try descriptor.serializedBytes() as Data])
                return former
            }
            return .commit
        }
    }

    /// Publishes versions.
    /// - Parameter body: is given each version with its descriptors by their parts, in the order of bucket, key and version,
    ///   and says when it was published; `nil` if it is not to be.
    package func publish(
        _ body: (Version, _ parts: [EventBlobDescriptor]) throws -> UInt64?
    ) throws {
        try queue.inTransaction { database in
            let put = try database.makeStatement(sql: "INSERT INTO published VALUES (?, ?, ?, ?)")
            func end(_ version: Version, _ parts: [EventBlobDescriptor]) throws {
                guard let time = try body(version, parts) else { return }
                try put.execute(arguments: [Int64(bitPattern: time)] + version.arguments)
            }
            var current: (version: Version, parts: [EventBlobDescriptor])?
            let rows = try Row.fetchCursor(
                database,
                sql: "SELECT bucket, key, version, descriptor FROM parts ORDER BY bucket, key, version, part")
            while let row = try rows.next() {
                let version = try Version(row, from: 0)
                let descriptor = try EventBlobDescriptor(serializedBytes: row[3] as Data)
                if current?.version == version {
                    current?.parts.append(descriptor)
                } else {
                    if let (version, parts) = current { try end(version, parts) }
                    current = (version, [descriptor])
                }
            }
            if let (version, parts) = current { try end(version, parts) }
            return .commit
        }
    }

    /// The versions that were published, oldest first.
    package func forEachPublished(
        _ body: (_ time: UInt64, Version, _ parts: [EventBlobDescriptor]) throws -> Void
    ) throws {
        try queue.read { database in
            let find = try database.makeStatement(
                sql:
                    "SELECT descriptor FROM parts WHERE bucket = ? AND key = ? AND version = ? ORDER BY part")
            let rows = try Row.fetchCursor(
                database,
                sql: "SELECT time, bucket, key, version FROM published ORDER BY time, bucket, key, version")
            while let row = try rows.next() {
                let version = try Version(row, from: 1)
                let parts = try Data.fetchAll(find, arguments: version.arguments).map {
                    try EventBlobDescriptor(serializedBytes: $0)
                }
                try body(UInt64(bitPattern: row[0]), version, parts)
            }
        }
    }
}
