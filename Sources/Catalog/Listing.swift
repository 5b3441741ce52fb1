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
        let marker = Array(keyMarker.utf8)
        var start = walk.start(after: marker).map {
            VersionMerge.Start.key($0.key, isInclusive: $0.isInclusive)
        }
        if let versionMarker, !marker.isEmpty, marker.starts(with: walk.prefix) {
            // A marker that was deleted since the last page was given: what is left of its key comes again
            // rather than not at all.
            start =
                try version(bucket, try ObjectKey(keyMarker), versionMarker).map {
                    .version(marker, below: $0.sequence)
                } ?? .key(marker, isInclusive: true)
        }
        var items: [ListingPage.Item] = []
        while let from = start {
            start = nil
            let versions = try VersionMerge(database, bucket, from)
            while let (row, isLatest) = try versions.next() {
                let key = row.bytes(5)
                guard key.starts(with: walk.prefix) else {
                    return ListingPage(items: items, isTruncated: false)
                }
                if items.count == limit { return ListingPage(items: items, isTruncated: true) }
                if let common = walk.commonPrefix(of: key) {
                    items.append(.prefix(String(decoding: common, as: UTF8.self)))
                    start = ListingWalk.successor(common).map { .key($0, isInclusive: true) }
                    break
                }
                items.append(.version(try Self.listed(row, isLatest: isLatest)))
            }
        }
        return ListingPage(items: items, isTruncated: false)
    }

    /// Unfinished uploads in the order of their keys and, within a key, of their age.
    ///
    /// Source: Amazon S3 API Reference, "ListMultipartUploads".
    public func listUploads(
        _ bucket: BucketName, prefix: String, delimiter: String, keyMarker: String,
        uploadMarker: UploadID?, limit: Int
    ) throws -> UploadListing {
        let walk = ListingWalk(prefix: Array(prefix.utf8), delimiter: Array(delimiter.utf8))
        let marker = Array(keyMarker.utf8)
        var items: [UploadListing.Item] = []
        var start: (key: [UInt8], after: Int64)? = walk.start(after: marker).map {
            ($0.key, $0.isInclusive ? 0 : Int64.max)
        }
        if let uploadMarker, !marker.isEmpty, marker.starts(with: walk.prefix) {
            // One that ended since the last page was given: what is left of its key comes again.
            let found = try upload(bucket, try ObjectKey(keyMarker), uploadMarker)
            start = (marker, found.map { Int64($0.sequence.rawValue) } ?? 0)
        }
        while let (from, after) = start {
            let wanted = min(Self.pageCount, limit + 1 - items.count)
            let found = try rows(
                """
                SELECT sequence, time, record, key FROM uploads WHERE bucket = ? AND (key, sequence) > (?, ?)
                ORDER BY key, sequence LIMIT ?
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
                    start = ListingWalk.successor(common).map { ($0, 0) }
                    break
                }
                items.append(.upload(try Self.upload(row)))
                start = found.count == wanted ? (key, row[0]) : nil
            }
        }
        return UploadListing(items: items, isTruncated: false)
    }

    private static func listed(_ row: Row, isLatest: Bool) throws -> ListedVersion {
        try row.withUnsafeData(atIndex: 4) { data in
            guard let data else { throw CatalogError.unreadable("a version has no record") }
            return try listed(
                data, sequence: row.sequence(0), modified: row.time(1), isLatest: isLatest)
        }
    }

    private static func listed(
        _ encoded: Data, sequence: SequenceNumber, modified: Timestamp, isLatest: Bool
    ) throws -> ListedVersion {
        let record =
            try encoded.withUnsafeBytes { ListedRecord($0) }
            ?? ListedRecord(try EventVersionPublished(serializedBytes: encoded))
        guard let id = VersionID(bytes: record.versionID) else {
            throw CatalogError.unreadable("a version has no id")
        }
        return ListedVersion(
            key: try ObjectKey(record.key), sequence: sequence, versionID: id, isNull: record.isNull,
            isDeleteMarker: record.isDeleteMarker, isLatest: isLatest, size: record.size,
            etag: record.etag, modified: modified, owner: record.owner, storageClass: record.storageClass,
            checksum: record.checksum.map {
                (EventChecksumAlgorithm(rawValue: $0.algorithm) ?? .unspecified, $0.composite)
            })
    }
}
