import Foundation
import GRDB
import Model
import Synchronization

/// The view that is computed from the event log: a SQLite database that can be deleted and rebuilt.
///
/// One writer, the commit thread; a pool of readers, each a connection of its own with its statements
/// prepared, used by whichever thread takes it. The log is the truth, so the catalog is not synced with each
/// commit; it must only stay uncorrupted, which WAL with `synchronous = NORMAL` gives.
public final class Catalog: Sendable {
    /// Of the tables: grows when they change.
    public static var schemaVersion: Int { CatalogSchema.version }

    public let path: String
    private let writer: CatalogConnection
    private let checkpointer: CatalogConnection
    private let readers: [ReaderSlot]
    private let free: DispatchSemaphore
    private let turn = Atomic<Int>(0)
    private let committedBuckets = BucketCache()
    private let session: WritingSession

    /// Opens the catalog, or creates it with nothing in it.
    /// - Throws: ``CatalogError`` if it is no database, of another store, or of a schema that is not known.
    public init(path: String, storeID: StoreID, readers: Int) throws {
        precondition(readers > 0, "a catalog has a reader")
        self.path = path
        writer = try CatalogError.naming(path) {
            let writer = try CatalogConnection(path: path, isReader: false)
            try writer.use { try Self.prepare($0, path: path, storeID: storeID) }
            return writer
        }
        session = WritingSession(
            statements: try writer.prepare(), changes: try writer.withRawConnection(HotChanges.init),
            committedBuckets: committedBuckets)
        // A checkpoint that waits for readers keeps the commit thread waiting too: not for long.
        checkpointer = try CatalogConnection(path: path, isReader: false, patience: 0.01)
        self.readers = try (0..<readers).map { _ in
            ReaderSlot(try CatalogConnection(path: path, isReader: true))
        }
        free = DispatchSemaphore(value: readers)
    }

    /// Brings the tables to the schema that is known, and sees that they are the store's.
    private static func prepare(_ database: Database, path: String, storeID: StoreID) throws {
        let version = try Int.fetchOne(database, sql: "PRAGMA user_version") ?? 0
        guard version <= CatalogSchema.version else {
            throw CatalogError.unknownSchema(path: path, found: version)
        }
        if version < CatalogSchema.version {
            try database.inTransaction {
                try CatalogSchema.migrate(database, from: version)
                if version == 0 {
                    try database.execute(
                        sql: "INSERT INTO meta VALUES (1, ?, 0, ?, 0)",
                        arguments: [Data(storeID.bytes), Data(ChainHash.genesis.bytes)])
                }
                return .commit
            }
        }
        guard try Data.fetchOne(database, sql: "SELECT store FROM meta") == Data(storeID.bytes) else {
            throw CatalogError.foreignStore(path: path)
        }
    }

    /// The last event that the catalog in a file has applied; `nil` if it is of another store, or there is none. Nothing of
    /// the file changes, not even by what closing it for good would write.
    /// - Throws: if it cannot be read.
    public static func appliedThrough(path: String, storeID: StoreID) throws -> SequenceNumber? {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        return try CatalogError.naming(path) {
            try CatalogConnection(path: path, isReader: true).use { database in
                guard let row = try Row.fetchOne(database, sql: "SELECT store, sequence FROM meta"),
                    row[0] as Data == Data(storeID.bytes)
                else { return nil }
                return SequenceNumber(UInt64(row[1] as Int64))
            }
        }
    }

    /// The schema of the catalog in a file; `nil` if there is none. Nothing of the file changes.
    /// - Throws: if it cannot be read.
    public static func schema(path: String) throws -> Int? {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        return try CatalogError.naming(path) {
            try CatalogConnection(path: path, isReader: true).use { database in
                try Int.fetchOne(database, sql: "PRAGMA user_version")
            }
        }
    }

    /// The writing session. One thread at a time.
    public func withWriter<Result>(_ body: (CatalogWriter) throws -> Result) throws -> Result {
        try writer.use { try body(CatalogWriter($0, session)) }
    }

    /// A consistent view of what is committed.
    public func read<Result>(_ body: (CatalogReader) throws -> Result) throws -> Result {
        try withReader { connection in
            let hot = try connection.prepare()
            return try connection.use { database in
                try database.cachedStatement(sql: "BEGIN").execute()
                // Nothing was written: there is nothing to lose.
                defer { _ = try? database.cachedStatement(sql: "COMMIT").execute() }
                return try body(CatalogReader(database, hot, committedBuckets, keepsBuckets: false))
            }
        }
    }

    /// The newest version of a key as of what is committed, even if it is a delete marker.
    public func currentVersion(_ bucket: BucketName, _ key: ObjectKey) throws -> ObjectVersion? {
        // One statement sees one state; where it takes two, a transaction does.
        try withReader { try $0.prepare().currentObject(bucket, key) }
            ?? read { try $0.version(bucket, key, .current) }
    }

    /// A bucket as of what is committed.
    public func bucket(_ name: BucketName) throws -> Bucket? {
        // The cache looks at its generation before the transaction begins.
        try committedBuckets.bucket(name) { try read { try $0.storedBucket(name) } }
    }

    private func withReader<Result>(_ body: (CatalogConnection) throws -> Result) rethrows -> Result {
        free.wait()
        let slot = takeSlot()
        defer {
            slot.isTaken.store(false, ordering: .releasing)
            free.signal()
        }
        return try body(slot.connection)
    }

    /// A connection that is free; the semaphore has seen to it that there is one.
    private func takeSlot() -> ReaderSlot {
        var index = turn.wrappingAdd(1, ordering: .relaxed).oldValue
        while true {
            let slot = readers[Int(index.magnitude % UInt(readers.count))]
            let (taken, _) = slot.isTaken.compareExchange(
                expected: false, desired: true, ordering: .acquiring)
            if taken { return slot }
            index &+= 1
        }
    }

    /// Moves what was committed from the write-ahead log into the database file, and waits for writers and readers, so that
    /// the write-ahead log begins anew. Takes its time; not for the commit thread.
    /// - Returns: whether everything that was committed is in the database file now, and synced.
    @discardableResult
    public func checkpoint() throws -> Bool {
        try checkpointer.use { database in
            guard let row = try Row.fetchOne(database, sql: "PRAGMA wal_checkpoint(RESTART)") else {
                return false
            }
            return row[0] as Int == 0 && row[1] as Int == row[2] as Int
        }
    }

    /// Moves what was committed into the database file while others read and write, and lets the write-ahead log begin
    /// anew where it has become long.
    /// - Parameter limit: bytes from which on it is long.
    /// - Returns: how long writers waited, at most; `nil` if nobody had to.
    public func checkpoint(limit: UInt64) throws -> Duration? {
        // The file does not shrink when it begins anew: how long it is says nothing.
        let frames = try checkpointer.use { database in
            try Row.fetchOne(database, sql: "PRAGMA wal_checkpoint(PASSIVE)").map { $0[1] as Int } ?? 0
        }
        guard UInt64(max(frames, 0)) * Self.pageByteCount >= limit else { return nil }
        // Little is left to move, for which writers wait.
        let start = ContinuousClock.now
        _ = try checkpoint()  // while somebody reads it cannot: the next one may
        return ContinuousClock.now - start
    }

    /// SQLite's default.
    private static let pageByteCount: UInt64 = 4096

    /// Empties the write-ahead log into the database file, of a catalog that nobody else uses: it takes no space then.
    /// - Returns: whether it did: not while somebody reads.
    @discardableResult
    public func emptyWriteAheadLog() throws -> Bool {
        try checkpointer.use { database in
            try Int.fetchOne(database, sql: "PRAGMA wal_checkpoint(TRUNCATE)") == 0
        }
    }

    /// The database's write-ahead log.
    public var walPath: String { path + "-wal" }

    /// Writes a compact copy of what is committed to a new file.
    /// - Parameter step: called now and then while it is written, which takes as long as the catalog is large; may keep it
    ///   waiting, and ends it by an error, which leaves a part of the file.
    public func write(to path: String, step: @escaping () throws -> Void) throws {
        try writer.use { database in
            try ProgressHandler(step).watch(database) {
                try database.execute(sql: "VACUUM INTO ?", arguments: [path])
            }
        }
    }

    /// What SQLite itself finds wrong with the file; empty if nothing.
    public func integrityErrors() throws -> [String] {
        try read { reader in
            try String.fetchAll(reader.database, sql: "PRAGMA quick_check(20)").filter { $0 != "ok" }
        }
    }
}

/// A reader's connection, and whether somebody has it.
private final class ReaderSlot: Sendable {
    let connection: CatalogConnection
    let isTaken = Atomic<Bool>(false)

    init(_ connection: CatalogConnection) { self.connection = connection }
}

/// One connection, used by one thread at a time: the writer by whoever has the writing session, a reader by
/// who took it from the pool.
private final class CatalogConnection: Sendable {
    private let queue: DatabaseQueue
    /// Prepared when they are first needed: the tables must be there. SQLite keeps a connection that is closed
    /// before its statements until they are finalized too.
    private let hot = Mutex<HotStatements?>(nil)

    /// - Parameter patience: seconds to wait for whoever has the file locked.
    init(path: String, isReader: Bool, patience: TimeInterval = 30) throws {
        var configuration = Configuration()
        configuration.readonly = isReader
        configuration.busyMode = .timeout(patience)
        configuration.maximumReaderCount = 1
        configuration.prepareDatabase { database in
            if !isReader { try database.execute(sql: "PRAGMA journal_mode = WAL") }
            try database.execute(
                sql: "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0; PRAGMA cache_size = -4096")
        }
        queue = try DatabaseQueue(path: path, configuration: configuration)
    }

    func use<Result>(_ body: (Database) throws -> Result) throws -> Result {
        try queue.unsafeReentrantWrite(body)
    }

    func prepare() throws -> HotStatements {
        if let statements = hot.withLock({ $0 }) { return statements }
        let statements = try withRawConnection(HotStatements.init)
        hot.withLock { $0 = statements }
        return statements
    }

    func withRawConnection<Result>(_ body: (OpaquePointer) throws -> Result) throws -> Result {
        try use { database in
            guard let connection = database.sqliteConnection else {
                preconditionFailure("a connection that is not closed is open")
            }
            return try body(connection)
        }
    }
}
