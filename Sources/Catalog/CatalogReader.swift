import Foundation
import GRDB
import Model
import SwiftProtobuf

/// A blob as the catalog has it.
public struct BlobRow: Sendable, Equatable {
    public let id: BlobID
    public let length: UInt64
    public let sha256: [UInt8]
    /// Versions and parts that refer to it.
    public let uses: Int
    public let born: SequenceNumber
    /// Bucket and key of the version or part it was written for.
    public let bucket: String
    public let key: String
    /// The event that removed the last reference; `nil` while there is one.
    public let died: SequenceNumber?
    /// Named by a plan to reclaim: its replicas may be there or not.
    public let isReclaiming: Bool
}

/// A page of unfinished uploads and common prefixes.
public struct UploadListing: Sendable {
    public enum Item: Sendable {
        case upload(MultipartUpload)
        case prefix(String)
    }
    public let items: [Item]
    public let isTruncated: Bool
}

/// Reads of one consistent state. Lives inside ``Catalog/read(_:)`` or a writing session, whose uncommitted
/// changes it sees.
public struct CatalogReader {
    package let database: Database
    let hot: HotStatements
    private let cachedBuckets: BucketCache
    /// Not in a transaction that may be older than the cache.
    private let keepsBuckets: Bool

    init(_ database: Database, _ hot: HotStatements, _ buckets: BucketCache, keepsBuckets: Bool) {
        self.database = database
        self.hot = hot
        cachedBuckets = buckets
        self.keepsBuckets = keepsBuckets
    }

    func row(_ sql: String, _ arguments: StatementArguments) throws -> Row? {
        let statement = try database.cachedStatement(sql: sql)
        return try Row.fetchOne(statement, arguments: arguments)
    }

    /// Rows up to the first that is not wanted: behind it none is looked at, however many there are.
    func rows(
        _ sql: String, _ arguments: StatementArguments, while isWanted: (Row) -> Bool
    ) throws -> [Row] {
        let cursor = try Row.fetchCursor(try database.cachedStatement(sql: sql), arguments: arguments)
        var rows: [Row] = []
        while let row = try cursor.next(), isWanted(row) { rows.append(row.copy()) }
        return rows
    }

    func rows(_ sql: String, _ arguments: StatementArguments) throws -> [Row] {
        try Row.fetchAll(try database.cachedStatement(sql: sql), arguments: arguments)
    }

    // MARK: Store and buckets

    public func position() throws -> LogPosition {
        guard let row = try row("SELECT sequence, chain FROM meta", []) else {
            throw CatalogError.unreadable("it has no position")
        }
        return LogPosition(sequence: row.sequence(0), chain: ChainHash(row.bytes(1)))
    }

    /// Everything up to this event was re-read and verified.
    public func confirmedThrough() throws -> SequenceNumber {
        try row("SELECT confirmed FROM meta", [])?.sequence(0) ?? .zero
    }

    public func bucket(_ name: BucketName) throws -> Bucket? {
        if keepsBuckets { return try cachedBuckets.bucket(name) { try storedBucket(name) } }
        return try cachedBuckets.known(name) ?? storedBucket(name)
    }

    func storedBucket(_ name: BucketName) throws -> Bucket? {
        try row("SELECT * FROM buckets WHERE name = ?", [name.data]).map(bucket)
    }

    public func buckets() throws -> [Bucket] {
        try rows("SELECT * FROM buckets ORDER BY name", []).map(bucket)
    }

    private func bucket(_ row: Row) throws -> Bucket {
        let name: Data = row["name"]
        var settings: [String: [UInt8]] = [:]
        for setting in try rows("SELECT name, value FROM settings WHERE bucket = ?", [name]) {
            settings[setting[0]] = setting.bytes(1)
        }
        return Bucket(
            name: try BucketName(String(decoding: name, as: UTF8.self)), owner: row["owner"],
            region: row["region"], created: row.time("created"), createdSequence: row.sequence("sequence"),
            versioning: VersioningState(rawValue: row["versioning"]) ?? .off,
            settings: BucketSettings(settings))
    }

    /// Whether the bucket has no version and no delete marker.
    public func isEmpty(_ bucket: BucketName) throws -> Bool {
        let sql = """
            SELECT EXISTS (SELECT 1 FROM current WHERE bucket = ?1) OR EXISTS (SELECT 1 FROM archive WHERE bucket = ?1)
            """
        return try row(sql, [bucket.data])?[0] == 0
    }

    // MARK: Versions

    static let columns = "sequence, time, version, is_null, record"

    /// - Returns: for ``VersionSelector/current`` the newest version, even if it is a delete marker.
    public func version(
        _ bucket: BucketName, _ key: ObjectKey, _ selector: VersionSelector
    ) throws -> ObjectVersion? {
        switch selector {
        case .current:
            return try hot.currentVersion(bucket, key)
        case .null:
            return try hot.nullVersion(bucket, key)
        case .id(let id):
            // Without statistics, SQLite takes the table's own order, and looks at every version of the key.
            let place: StatementArguments = [bucket.data, key.data, Data(id.bytes)]
            let row =
                try row(
                    "SELECT \(Self.columns) FROM current WHERE bucket = ? AND key = ? AND version = ?", place)
                ?? row(
                    "SELECT \(Self.columns) FROM archive INDEXED BY archive_versions WHERE bucket = ? AND key = ? AND version = ?",
                    place)
            return try row.map(Self.version)
        }
    }

    static func version(_ row: Row) throws -> ObjectVersion {
        ObjectVersion(
            sequence: row.sequence(0), published: row.time(1),
            record: try EventVersionPublished(serializedBytes: row[4] as Data))
    }

    /// Versions in the order of bucket, key and age, from behind `after` on: for scans.
    public func versions(
        after: (bucket: String, key: String, sequence: SequenceNumber)?, limit: Int
    ) throws -> [ObjectVersion] {
        let sql = """
            SELECT \(Self.columns), bucket, key FROM current WHERE (bucket, key, -sequence) > (?1, ?2, ?3)
            UNION ALL
            SELECT \(Self.columns), bucket, key FROM archive WHERE (bucket, key, -sequence) > (?1, ?2, ?3)
            ORDER BY 6, 7, 1 DESC LIMIT ?4
            """
        let bucket = Data((after?.bucket ?? "").utf8)
        let key = Data((after?.key ?? "").utf8)
        let sequence = -Int64(after?.sequence.rawValue ?? 0)
        return try rows(sql, [bucket, key, after == nil ? Int64.min : sequence, limit]).map(Self.version)
    }

    // MARK: Uploads

    public func upload(_ bucket: BucketName, _ key: ObjectKey, _ id: UploadID) throws -> MultipartUpload? {
        try row(
            "SELECT sequence, time, record FROM uploads WHERE bucket = ? AND key = ? AND id = ?",
            [bucket.data, key.data, Data(id.bytes)]
        ).map(Self.upload)
    }

    public func hasUpload(_ bucket: BucketName, _ key: ObjectKey) throws -> Bool {
        try row("SELECT 1 FROM uploads WHERE bucket = ? AND key = ? LIMIT 1", [bucket.data, key.data]) != nil
    }

    /// Unfinished uploads in the order of bucket, key and id, from behind one on: for scans.
    public func uploads(after upload: MultipartUpload?, limit: Int) throws -> [MultipartUpload] {
        let bucket = Data((upload?.record.bucket ?? "").utf8)
        let key = Data((upload?.record.key ?? "").utf8)
        return try rows(
            """
            SELECT sequence, time, record FROM uploads WHERE (bucket, key, id) > (?, ?, ?)
            ORDER BY bucket, key, id LIMIT ?
            """, [bucket, key, upload?.record.uploadID ?? Data(), limit]
        ).map(Self.upload)
    }

    static func upload(_ row: Row) throws -> MultipartUpload {
        MultipartUpload(
            sequence: row.sequence(0), initiated: row.time(1),
            record: try EventUploadCreated(serializedBytes: row[2] as Data))
    }

    public func part(_ id: UploadID, _ number: Int) throws -> UploadedPart? {
        try row(
            "SELECT sequence, time, number, etag, piece FROM parts WHERE upload = ? AND number = ?",
            [Data(id.bytes), number]
        ).map(Self.part)
    }

    /// An upload that was aborted and whose parts still have their bytes, and the number of the last of its first parts.
    public func abortedParts(limit: Int) throws -> (upload: UploadID, through: Int)? {
        guard
            let row = try row(
                """
                SELECT upload, (SELECT max(number) FROM
                    (SELECT number FROM parts WHERE parts.upload = aborted.upload ORDER BY number LIMIT ?))
                FROM aborted ORDER BY sequence LIMIT 1
                """, [limit]), let id = UploadID(bytes: row[0] as Data)
        else { return nil }
        return (id, row[1] as Int? ?? 0)
    }

    public func parts(_ id: UploadID, after number: Int, limit: Int) throws -> [UploadedPart] {
        try rows(
            """
            SELECT sequence, time, number, etag, piece FROM parts WHERE upload = ? AND number > ?
            ORDER BY number LIMIT ?
            """, [Data(id.bytes), number, limit]
        ).map(Self.part)
    }

    static func part(_ row: Row) throws -> UploadedPart {
        UploadedPart(
            sequence: row.sequence(0), modified: row.time(1), number: row[2], etag: row[3],
            piece: try EventPiece(serializedBytes: row[4] as Data))
    }

    // MARK: Blobs

    public func blob(_ id: BlobID) throws -> BlobRow? {
        try row("SELECT * FROM blobs WHERE id = ?", [Data(id.bytes)]).map(Self.blob)
    }

    /// Blobs in the order of their ids.
    public func blobs(after: BlobID?, limit: Int) throws -> [BlobRow] {
        try rows(
            "SELECT * FROM blobs WHERE id > ? ORDER BY id LIMIT ?", [Data(after?.bytes ?? []), limit]
        ).map(Self.blob)
    }

    /// Blobs that nothing refers to since before `sequence` and `time`, in the order in which they died.
    public func deadBlobs(diedBefore sequence: SequenceNumber, _ time: Timestamp, limit: Int) throws
        -> [BlobRow]
    {
        try rows(
            "SELECT * FROM blobs WHERE died < ? AND reclaiming = 0 ORDER BY died LIMIT ?",
            [Int64(sequence.rawValue), limit]
        ) { UInt64($0["died_time"] as Int64) < time.microseconds }.map(Self.blob)
    }

    /// Blobs that a plan to reclaim names and that may still be there.
    public func reclaimingBlobs(limit: Int) throws -> [BlobRow] {
        try rows("SELECT * FROM blobs WHERE reclaiming = 1 ORDER BY died LIMIT ?", [limit]).map(Self.blob)
    }

    static func blob(_ row: Row) throws -> BlobRow {
        guard let id = BlobID(bytes: row.bytes("id")) else {
            throw CatalogError.unreadable("a blob has no id")
        }
        return BlobRow(
            id: id, length: UInt64(row["length"] as Int64), sha256: row.bytes("sha256"), uses: row["uses"],
            born: row.sequence("born"), bucket: String(decoding: row.bytes("bucket"), as: UTF8.self),
            key: String(decoding: row.bytes("key"), as: UTF8.self),
            died: (row["died"] as Int64?).map { SequenceNumber(UInt64($0)) },
            isReclaiming: row["reclaiming"] as Int == 1)
    }

    /// What each volume's last event says of it: its state ("set aside", "returned", "replaced"), since when,
    /// why.
    public func volumeStates() throws -> [(index: Int, state: String, since: SequenceNumber, reason: String)]
    {
        try rows("SELECT number, state, sequence, reason FROM volumes ORDER BY number", []).map {
            ($0[0], $0[1], $0.sequence(2), $0[3])
        }
    }
}

extension Row {
    func sequence(_ index: Int) -> SequenceNumber { SequenceNumber(UInt64(self[index] as Int64)) }
    func sequence(_ name: String) -> SequenceNumber { SequenceNumber(UInt64(self[name] as Int64)) }
    func time(_ index: Int) -> Timestamp { Timestamp(microseconds: UInt64(self[index] as Int64)) }
    func time(_ name: String) -> Timestamp { Timestamp(microseconds: UInt64(self[name] as Int64)) }
    func bytes(_ index: Int) -> [UInt8] { Array(self[index] as Data) }
    func bytes(_ name: String) -> [UInt8] { Array(self[name] as Data) }
}

extension BucketName { var data: Data { Data(rawValue.utf8) } }
extension ObjectKey { var data: Data { Data(rawValue.utf8) } }
