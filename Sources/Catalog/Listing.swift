import Foundation
import GRDB
import Model
import SwiftProtobuf

/// How a listing walks a table that is ordered by the keys' bytes: rows are read a page at a time, and when
/// one falls under a common prefix the walk goes on behind everything that begins with it, so a listing costs
/// what it shows, not what the prefixes hide.
struct ListingWalk {
    let prefix: [UInt8]
    let delimiter: [UInt8]

    /// The common prefix that `key` falls under.
    func commonPrefix(of key: [UInt8]) -> [UInt8]? {
        guard !delimiter.isEmpty, key.count >= prefix.count else { return nil }
        var index = prefix.count
        while index + delimiter.count <= key.count {
            if key[index..<index + delimiter.count].elementsEqual(delimiter) {
                return Array(key[..<(index + delimiter.count)])
            }
            index += 1
        }
        return nil
    }

    /// The smallest byte string greater than everything that begins with `bytes`; `nil` if there is none.
    static func successor(_ bytes: [UInt8]) -> [UInt8]? {
        var bytes = bytes
        while let last = bytes.last {
            if last < 0xFF {
                bytes[bytes.count - 1] = last + 1
                return bytes
            }
            bytes.removeLast()
        }
        return nil
    }

    /// Where a listing that goes on behind the key or common prefix `marker` begins: `(bytes, inclusive)`;
    /// `nil` if nothing can follow.
    func start(after marker: [UInt8]) -> (key: [UInt8], isInclusive: Bool)? {
        guard !marker.isEmpty, !marker.lexicographicallyPrecedes(prefix) else { return (prefix, true) }
        if marker.starts(with: prefix), let common = commonPrefix(of: marker), common == marker {
            return Self.successor(marker).map { ($0, true) }
        }
        return (marker, false)
    }
}

extension CatalogReader {
    private static let pageCount = 256

    /// Current objects whose keys begin with `prefix`, behind `after` (a key, or a common prefix that an
    /// earlier page ended with).
    public func listCurrent(
        _ bucket: BucketName, prefix: String, delimiter: String, after: String, limit: Int
    ) throws -> ListingPage {
        let walk = ListingWalk(prefix: Array(prefix.utf8), delimiter: Array(delimiter.utf8))
        var items: [ListingPage.Item] = []
        var start = walk.start(after: Array(after.utf8))
        while let (from, isInclusive) = start {
            let sql =
                "SELECT \(Self.columns), key FROM current WHERE bucket = ? AND key \(isInclusive ? ">=" : ">") ? ORDER BY key LIMIT ?"
            let wanted = min(Self.pageCount, limit + 1 - items.count)
            let cursor = try Row.fetchCursor(
                try database.cachedStatement(sql: sql), arguments: [bucket.data, Data(from), wanted])
            var count = 0
            start = nil
            while let row = try cursor.next() {
                count += 1
                let key = row.bytes(5)
                guard key.starts(with: walk.prefix) else {
                    return ListingPage(items: items, isTruncated: false)
                }
                if items.count == limit { return ListingPage(items: items, isTruncated: true) }
                if let common = walk.commonPrefix(of: key) {
                    items.append(.prefix(String(decoding: common, as: UTF8.self)))
                    start = ListingWalk.successor(common).map { ($0, true) }
                    count = 0
                    break
                }
                items.append(.version(try Self.listed(row, isLatest: true)))
                start = (key, false)
            }
            if count > 0, count < wanted { start = nil }
        }
        return ListingPage(items: items, isTruncated: false)
    }

    /// All versions and delete markers of keys that begin with `prefix`, newest first within a key.
    /// - Parameters:
    ///   - keyMarker: the listing begins behind this key, or with `versionMarker` behind that version of it.
    public func listVersions(
        _ bucket: BucketName, prefix: String, delimiter: String, keyMarker: String,
        versionMarker: VersionSelector?, limit: Int
    ) throws -> ListingPage {
        let walk = ListingWalk(prefix: Array(prefix.utf8), delimiter: Array(delimiter.utf8))
        var items: [ListingPage.Item] = []
        // The rest of the marker's key comes first.
        var start: (key: [UInt8], below: Int64)? = walk.start(after: Array(keyMarker.utf8)).map {
            $0.isInclusive ? ($0.key, Int64.max) : ($0.key, 0)
        }
        if let versionMarker {
            let marker = try version(bucket, try ObjectKey(keyMarker), versionMarker)
            // A marker that was deleted since the last page was given: what is left of its key comes again
            // rather than not at all.
            start = (Array(keyMarker.utf8), marker.map { Int64($0.sequence.rawValue) } ?? Int64.max)
        }
        let sql = """
            SELECT \(Self.columns), key, newest FROM (
                SELECT * FROM (SELECT \(Self.columns), key, 1 AS newest FROM current
                    WHERE bucket = ?1 AND (key > ?2 OR (key = ?2 AND sequence < ?3)) AND key >= ?2 ORDER BY key LIMIT ?4)
                UNION ALL
                SELECT * FROM (SELECT \(Self.columns), key, newest FROM archive
                    WHERE bucket = ?1 AND (key > ?2 OR (key = ?2 AND sequence < ?3)) AND key >= ?2
                    ORDER BY key, sequence DESC LIMIT ?4)
            ) ORDER BY key, sequence DESC LIMIT ?4
            """
        while let (from, below) = start {
            let wanted = min(Self.pageCount, limit + 1 - items.count)
            let cursor = try Row.fetchCursor(
                try database.cachedStatement(sql: sql), arguments: [bucket.data, Data(from), below, wanted])
            var count = 0
            start = nil
            while let row = try cursor.next() {
                count += 1
                let key = row.bytes(5)
                guard key.starts(with: walk.prefix) else {
                    return ListingPage(items: items, isTruncated: false)
                }
                if items.count == limit { return ListingPage(items: items, isTruncated: true) }
                if let common = walk.commonPrefix(of: key) {
                    items.append(.prefix(String(decoding: common, as: UTF8.self)))
                    start = ListingWalk.successor(common).map { ($0, Int64.max) }
                    count = 0
                    break
                }
                let listed = try Self.listed(row, isLatest: row[6] as Int == 1)
                items.append(.version(listed))
                start = (key, Int64(listed.sequence.rawValue))
            }
            if count > 0, count < wanted { start = nil }
        }
        return ListingPage(items: items, isTruncated: false)
    }

    /// Unfinished uploads in the order of their keys and, within a key, of their ids.
    public func listUploads(
        _ bucket: BucketName, prefix: String, delimiter: String, keyMarker: String,
        uploadMarker: UploadID?, limit: Int
    ) throws -> UploadListing {
        let walk = ListingWalk(prefix: Array(prefix.utf8), delimiter: Array(delimiter.utf8))
        var items: [UploadListing.Item] = []
        let last = Data(repeating: 0xFF, count: 17)  // behind every id
        var start: (key: [UInt8], after: Data)? = walk.start(after: Array(keyMarker.utf8)).map {
            $0.isInclusive ? ($0.key, Data()) : ($0.key, uploadMarker.map { Data($0.bytes) } ?? last)
        }
        while let (from, after) = start {
            let wanted = min(Self.pageCount, limit + 1 - items.count)
            let found = try rows(
                """
                SELECT sequence, time, record, key, id FROM uploads WHERE bucket = ? AND (key, id) > (?, ?)
                ORDER BY key, id LIMIT ?
                """, [bucket.data, Data(from), after, wanted])
            start = nil
            for row in found {
                let key = row.bytes(3)
                guard key.starts(with: walk.prefix) else {
                    return UploadListing(items: items, isTruncated: false)
                }
                if items.count == limit { return UploadListing(items: items, isTruncated: true) }
                if let common = walk.commonPrefix(of: key) {
                    items.append(.prefix(String(decoding: common, as: UTF8.self)))
                    start = ListingWalk.successor(common).map { ($0, Data()) }
                    break
                }
                items.append(.upload(try Self.upload(row)))
                start = found.count == wanted ? (key, row[4]) : nil
            }
        }
        return UploadListing(items: items, isTruncated: false)
    }

    private static func listed(_ row: Row, isLatest: Bool) throws -> ListedVersion {
        let record = try EventVersionPublished(serializedBytes: row[4] as Data)
        guard let id = VersionID(bytes: record.versionID) else {
            throw CatalogError.unreadable("a version has no id")
        }
        return ListedVersion(
            key: try ObjectKey(record.key), sequence: row.sequence(0), versionID: id,
            isNull: record.nullVersion, isDeleteMarker: record.deleteMarker, isLatest: isLatest,
            size: record.size, etag: record.etag, modified: row.time(1), owner: record.owner,
            storageClass: record.metadata.storageClass,
            checksum: record.checksums.first.map { ($0.algorithm, $0.composite) })
    }
}
