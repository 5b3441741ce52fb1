import Foundation
import GRDB
import Model
import SwiftProtobuf

/// How much there is.
public struct CatalogCounts: Sendable, Equatable {
    public var buckets = 0
    public var versions = 0
    public var deleteMarkers = 0
    /// Of the versions, as users count them.
    public var versionBytes: UInt64 = 0
    /// Blobs that something refers to, and their bytes.
    public var blobs = 0
    public var blobBytes: UInt64 = 0
}

extension CatalogReader {
    /// Looks at every row: takes as long as the catalog is large.
    public func counts() throws -> CatalogCounts {
        var counts = CatalogCounts()
        if let row = try row(
            "SELECT (SELECT count(*) FROM buckets), count(*), coalesce(sum(length), 0) FROM blobs WHERE uses > 0",
            [])
        {
            counts.buckets = row[0]
            counts.blobs = row[1]
            counts.blobBytes = UInt64(row[2] as Int64)
        }
        for table in ["current", "archive"] {
            let statement = try database.cachedStatement(sql: "SELECT record FROM \(table)")
            let cursor = try Row.fetchCursor(statement)
            while let row = try cursor.next() { try counts.add(Self.size(row)) }
        }
        return counts
    }

    /// How many bytes a version has, and whether it is a delete marker: of two fields of its record, for decoding all of
    /// it took a third of the time that an incremental snapshot takes.
    private static func size(_ row: Row) throws -> (bytes: UInt64, isDeleteMarker: Bool) {
        try row.withUnsafeData(atIndex: 0) { data in
            guard let data else { throw CatalogError.unreadable("a version has no record") }
            var size: (bytes: UInt64, isDeleteMarker: Bool) = (0, false)
            let isWhole = data.withUnsafeBytes { bytes in
                var fields = WireFields(bytes)
                while let (number, value) = fields.next() {
                    if case (5, .number(let flag)) = (number, value) { size.isDeleteMarker = flag != 0 }
                    if case (6, .number(let count)) = (number, value) { size.bytes = count }
                }
                return fields.isAtEnd
            }
            guard isWhole else {
                let record = try EventVersionPublished(serializedBytes: data)
                return (record.size, record.deleteMarker)
            }
            return size
        }
    }
}

extension CatalogCounts {
    fileprivate mutating func add(_ version: (bytes: UInt64, isDeleteMarker: Bool)) {
        if version.isDeleteMarker { deleteMarkers += 1 } else { versions += 1 }
        versionBytes += version.bytes
    }
}
