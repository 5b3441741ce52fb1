import Catalog
import Foundation
import GRDB
import GRDBSQLite
import Model
import TestSupport

/// A catalog in a directory of its own, and the events that made it.
final class CatalogFixture {
    let storeID = StoreID(high: 1, low: 2)
    let path: String
    let catalog: Catalog
    private(set) var events: [LoggedEvent] = []
    private let directory: String

    init() throws {
        directory = FileManager.default.temporaryDirectory.path + "/holdfast-catalog-\(BlobID.random())"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        path = directory + "/catalog.sqlite"
        catalog = try Catalog(path: path, storeID: storeID, readers: 2)
    }

    deinit {
        do { try FileManager.default.removeItem(atPath: directory) } catch {
            print("\(directory) was not removed: \(error)")
        }
    }

    var sequence: UInt64 { UInt64(events.count) }

    /// Applies one change in a transaction of its own.
    @discardableResult
    func apply(_ change: EventRecord.OneOf_Change?) throws -> UInt64 {
        try apply([change])
        return sequence
    }

    func apply(_ changes: [EventRecord.OneOf_Change?]) throws {
        try catalog.withWriter { writer in
            try writer.begin()
            let before = events
            do {
                for change in changes {
                    let event = Self.event(sequence + 1, change)
                    try writer.apply(event)
                    events.append(event)
                }
                try writer.commit()
            } catch {
                events = before
                try writer.rollback()
                throw error
            }
        }
    }

    static func event(_ sequence: UInt64, _ change: EventRecord.OneOf_Change?) -> LoggedEvent {
        var record = EventRecord()
        record.change = change
        let chain = (0..<32).map { UInt8(truncatingIfNeeded: sequence &* 31 &+ UInt64($0)) }
        return LoggedEvent(
            sequence: SequenceNumber(sequence), epoch: 1, time: Timestamp(microseconds: sequence * 1000),
            chain: ChainHash(chain), record: record, payloadLength: 0)
    }

    /// SQLite's virtual machine steps that `body` takes: what a read costs, whatever the machine does besides.
    func steps(_ body: (CatalogReader) throws -> Void) throws -> Int {
        try catalog.read { reader in try Self.count(reader.database) { try body(reader) } }
    }

    func writerSteps(_ body: (CatalogWriter) throws -> Void) throws -> Int {
        try catalog.withWriter { writer in try Self.count(writer.database) { try body(writer) } }
    }

    private static func count(_ database: Database, _ body: () throws -> Void) throws -> Int {
        let counter = UnsafeMutablePointer<Int>.allocate(capacity: 1)
        counter.initialize(to: 0)
        defer { counter.deallocate() }
        let count: @convention(c) (UnsafeMutableRawPointer?) -> Int32 = { context in
            context?.assumingMemoryBound(to: Int.self).pointee += 1
            return 0
        }
        sqlite3_progress_handler(database.sqliteConnection, 1, count, counter)
        defer { sqlite3_progress_handler(database.sqliteConnection, 0, nil, nil) }
        try body()
        return counter.pointee
    }
}

/// Events, with as much said as a test needs.
enum Change {
    static func bucket(_ name: String) -> EventRecord.OneOf_Change {
        var change = EventBucketCreated()
        change.bucket = name
        change.owner = "owner"
        change.region = "us-east-1"
        return .bucketCreated(change)
    }

    static func setting(_ bucket: String, _ name: String, _ value: String?) -> EventRecord.OneOf_Change {
        var change = EventBucketConfigured()
        change.bucket = bucket
        change.setting = name
        change.value = Data((value ?? "").utf8)
        change.removed = value == nil
        return .bucketConfigured(change)
    }

    static func version(
        _ bucket: String, _ key: String, _ id: VersionID = .random(), isNull: Bool = false,
        isMarker: Bool = false, pieces: [EventPiece] = [], replacing: UInt64 = 0, completing: UploadID? = nil
    ) -> EventRecord.OneOf_Change {
        var change = EventVersionPublished()
        change.bucket = bucket
        change.key = key
        change.versionID = Data(id.bytes)
        change.nullVersion = isNull
        change.deleteMarker = isMarker
        change.etag = isMarker ? "" : "etag-\(id)"
        change.owner = "owner"
        change.metadata.storageClass = "STANDARD"
        change.pieces = pieces
        change.size = pieces.reduce(0) { $0 + $1.length }
        change.replacedSequence = replacing
        if let completing { change.uploadID = Data(completing.bytes) }
        return .versionPublished(change)
    }

    static func removal(_ bucket: String, _ key: String, _ id: VersionID, _ published: UInt64)
        -> EventRecord.OneOf_Change
    {
        var change = EventVersionRemoved()
        change.bucket = bucket
        change.key = key
        change.versionID = Data(id.bytes)
        change.publishedSequence = published
        return .versionRemoved(change)
    }

    static func upload(_ bucket: String, _ key: String, _ id: UploadID) -> EventRecord.OneOf_Change {
        var change = EventUploadCreated()
        change.bucket = bucket
        change.key = key
        change.uploadID = Data(id.bytes)
        change.owner = "owner"
        return .uploadCreated(change)
    }

    static func part(
        _ bucket: String, _ key: String, _ id: UploadID, _ number: UInt32, _ piece: EventPiece,
        replacing: UInt64 = 0
    ) -> EventRecord.OneOf_Change {
        var change = EventPartPublished()
        change.bucket = bucket
        change.key = key
        change.uploadID = Data(id.bytes)
        change.partNumber = number
        change.etag = "part-\(number)"
        change.piece = piece
        change.replacedSequence = replacing
        return .partPublished(change)
    }

    static func abort(_ bucket: String, _ key: String, _ id: UploadID) -> EventRecord.OneOf_Change {
        var change = EventUploadAborted()
        change.bucket = bucket
        change.key = key
        change.uploadID = Data(id.bytes)
        return .uploadAborted(change)
    }

    static func piece(_ blob: BlobID, _ length: UInt64 = 100_000, part: UInt32 = 0) -> EventPiece {
        var piece = EventPiece()
        piece.blobID = Data(blob.bytes)
        piece.length = length
        piece.sha256 = Data(repeating: 7, count: 32)
        piece.partNumber = part
        return piece
    }

    /// Bytes that stand in the log, in the event of their own.
    static func inlinePiece(_ length: UInt64 = 10, part: UInt32 = 0) -> EventPiece {
        var piece = EventPiece()
        piece.length = length
        piece.partNumber = part
        return piece
    }

    static func plan(_ blobs: [BlobID], payloads: [UInt64] = []) -> EventRecord.OneOf_Change {
        var change = EventReclaimPlanned()
        change.blobIds = blobs.map { Data($0.bytes) }
        change.payloadSequences = payloads
        return .reclaimPlanned(change)
    }

    static func reclaimed(_ blobs: [BlobID], payloads: [UInt64] = []) -> EventRecord.OneOf_Change {
        var change = EventReclaimed()
        change.blobIds = blobs.map { Data($0.bytes) }
        change.payloadSequences = payloads
        return .reclaimed(change)
    }
}
