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
    public let path: String
    private let writer: CatalogConnection
    private let checkpointer: CatalogConnection
    private let readers: Mutex<[CatalogConnection]>
    private let free: DispatchSemaphore

    /// Opens the catalog, or creates it with nothing in it.
    /// - Throws: ``CatalogError`` if it is of another store, or of a schema that is not known.
    public init(path: String, storeID: StoreID, readers: Int) throws {
        precondition(readers > 0, "a catalog has a reader")
        self.path = path
        writer = try CatalogConnection(path: path, isReader: false)
        try writer.use { database in
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
        checkpointer = try CatalogConnection(path: path, isReader: false)
        self.readers = Mutex(try (0..<readers).map { _ in try CatalogConnection(path: path, isReader: true) })
        free = DispatchSemaphore(value: readers)
    }

    /// The writing session. One thread at a time.
    public func withWriter<Result>(_ body: (CatalogWriter) throws -> Result) throws -> Result {
        try writer.use { try body(CatalogWriter($0)) }
    }

    /// A consistent view of what is committed.
    public func read<Result>(_ body: (CatalogReader) throws -> Result) throws -> Result {
        free.wait()
        let connection = readers.withLock { $0.removeLast() }
        defer {
            readers.withLock { $0.append(connection) }
            free.signal()
        }
        return try connection.use { database in
            try database.execute(sql: "BEGIN")
            // Nothing was written: there is nothing to lose.
            defer { _ = try? database.execute(sql: "COMMIT") }
            return try body(CatalogReader(database))
        }
    }

    /// Moves what was committed from the write-ahead log into the database file. Takes its time; not for the
    /// commit thread.
    /// - Parameter waits: for writers and readers, so that the write-ahead log begins anew; without, what is
    ///   in use stays.
    public func checkpoint(waits: Bool) throws {
        try checkpointer.use { database in
            _ = try Row.fetchOne(database, sql: "PRAGMA wal_checkpoint(\(waits ? "RESTART" : "PASSIVE"))")
        }
    }

    /// The database's write-ahead log.
    public var walPath: String { path + "-wal" }

    /// What SQLite itself finds wrong with the file; empty if nothing.
    public func integrityErrors() throws -> [String] {
        try read { reader in
            try String.fetchAll(reader.database, sql: "PRAGMA quick_check(20)").filter { $0 != "ok" }
        }
    }
}

/// One connection, used by one thread at a time: the writer by whoever has the writing session, a reader by
/// who took it from the pool.
private final class CatalogConnection: Sendable {
    private let queue: DatabaseQueue

    init(path: String, isReader: Bool) throws {
        var configuration = Configuration()
        configuration.readonly = isReader
        configuration.busyMode = .timeout(30)
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
}
