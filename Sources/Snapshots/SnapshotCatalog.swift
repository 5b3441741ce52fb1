import Catalog
import EventLog
import Foundation
import Model
import ObjectStore
import Volumes

/// The catalog as of a snapshot, in a scratch file that goes with it.
public final class SnapshotCatalog: Sendable {
    public let catalog: Catalog
    private let path: String

    private init(_ catalog: Catalog, _ path: String) {
        self.catalog = catalog
        self.path = path
    }

    deinit { Self.remove(path) }

    /// The file of a snapshot, decompressed; or, where that is damaged or of a later release, computed from the repository's log.
    /// - Parameter scratch: a directory of a real file system.
    /// - Throws: ``LogError/damaged(_:_:)`` if the log has not got all of its events good either.
    public static func open(
        _ manifest: SnapshotManifest, in repository: Repository, scratch: String,
        _ pace: @escaping SnapshotPace = unpaced
    ) throws -> SnapshotCatalog {
        try make(repository, scratch: scratch, from: manifest, through: manifest.position, pace)
    }

    /// The file of a snapshot, and nothing else.
    /// - Throws: ``CompressionError`` if it is damaged, ``FileSystemError`` if it cannot be read.
    static func stored(
        _ manifest: SnapshotManifest, in repository: Repository, scratch: String,
        _ pace: @escaping SnapshotPace = unpaced
    ) throws -> SnapshotCatalog {
        let path = "\(scratch)/snapshot-\(OperationID.random()).sqlite"
        do { return try begin(path, repository, manifest, through: manifest.position, pace) } catch {
            remove(path)
            throw error
        }
    }

    /// The event that a stored catalog is as of, where nothing but the file itself says so.
    /// - Throws: ``CompressionError`` if it is damaged, ``FileSystemError`` if it cannot be read, ``CatalogError``.
    static func position(
        storedFor name: String, in repository: Repository, scratch: String, _ pace: @escaping SnapshotPace
    ) throws -> LogPosition {
        let path = "\(scratch)/snapshot-\(OperationID.random()).sqlite"
        defer { remove(path) }
        let file = try repository.fileSystem.open(repository.catalogPath(name), [], permissions: 0)
        defer { file.close() }
        try Compression.decompress(file, sha256: nil, to: path, pace)
        let catalog = try Catalog(path: path, storeID: repository.storeID, readers: 1)
        return try catalog.read { try $0.position() }
    }

    /// - Throws: ``LogError/damaged(_:_:)`` if it is not as of an event with this chain hash.
    func require(_ chain: ChainHash) throws { try require(chain.description) }

    func require(_ chain: String) throws {
        let position = try catalog.read { try $0.position() }
        guard position.chain.description != chain else { return }
        throw LogError.damaged(
            position.sequence, "it has chain hash \(position.chain), where the snapshot has \(chain)")
    }

    /// - Parameter parent: the snapshot to begin with; without one, or if its file is damaged or a later release's, the log's
    ///   beginning.
    package static func make(
        _ repository: Repository, scratch: String, from parent: SnapshotManifest?,
        through last: SequenceNumber, walLimit: UInt64 = Catalog.replayedWalLimit,
        _ pace: @escaping SnapshotPace = unpaced
    ) throws -> SnapshotCatalog {
        let path = "\(scratch)/snapshot-\(OperationID.random()).sqlite"
        do {
            if let parent {
                do {
                    return try begin(path, repository, parent, through: last, walLimit: walLimit, pace)
                } catch is CompressionError, is FileSystemError, CatalogError.unknownSchema {
                    remove(path)  // Damaged, missing, or a later release's: the log says the same.
                }
            }
            let catalog = try Catalog(path: path, storeID: repository.storeID, readers: 1)
            try follow(catalog, repository.log, through: last, walLimit: walLimit, pace)
            return SnapshotCatalog(catalog, path)
        } catch {
            remove(path)
            throw error
        }
    }

    private static func begin(
        _ path: String, _ repository: Repository, _ parent: SnapshotManifest, through last: SequenceNumber,
        walLimit: UInt64 = Catalog.replayedWalLimit, _ pace: @escaping SnapshotPace = unpaced
    ) throws -> SnapshotCatalog {
        let file = try repository.fileSystem.open(
            repository.catalogPath(parent.name), [], permissions: 0)
        defer { file.close() }
        try Compression.decompress(
            file, sha256: try bytes(ofHexadecimal: parent.catalog.sha256), to: path, pace)
        let catalog = try Catalog(path: path, storeID: repository.storeID, readers: 1)
        try follow(catalog, repository.log, through: last, walLimit: walLimit, pace)
        return SnapshotCatalog(catalog, path)
    }

    /// Events that are applied at once: some milliseconds of work, between which it can be kept waiting.
    private static let step: UInt64 = 128

    /// - Throws: ``LogError/damaged(_:_:)`` also if the log ends before that event.
    private static func follow(
        _ catalog: Catalog, _ log: LogCopy, through last: SequenceNumber, walLimit: UInt64,
        _ pace: @escaping SnapshotPace
    ) throws {
        while true {
            let isDone = try catalog.withWriter { writer in
                let position = try writer.reader.position()
                let events = try log.events(
                    from: position.sequence.next,
                    limit: Int(min(step, last.rawValue - min(last.rawValue, position.sequence.rawValue))))
                guard !events.isEmpty else { return true }
                try writer.transaction { for event in events { try writer.apply(event) } }
                return false
            }
            if isDone { break }
            try catalog.boundWriteAheadLog(to: walLimit)
            try pace(0)
        }
        // Who took a catalog of an earlier time for that of the snapshot would take what came since for unneeded.
        let reached = try catalog.read { try $0.position().sequence }
        guard reached == last else {
            throw LogError.damaged(
                log.head.sequence.next,
                "a catalog as of event \(last) cannot be computed: it would be as of event \(reached)")
        }
    }

    /// Of a store's own log: from the nearest checkpoint on.
    static func history(
        of inspection: StoreInspection, through last: SequenceNumber
    ) throws -> SnapshotCatalog {
        let history = try beginHistory(of: inspection, through: last)
        try inspection.replay(to: history.catalog, through: last)
        return history
    }

    /// Of a store's own log, as of the nearest checkpoint that is not later than an event; empty if there is none.
    package static func beginHistory(
        of inspection: StoreInspection, through last: SequenceNumber, _ pace: @escaping SnapshotPace = unpaced
    ) throws -> SnapshotCatalog {
        let path = "\(inspection.stateDirectory)/snapshot-\(OperationID.random()).sqlite"
        do {
            let catalog =
                try HistoryCheckpoints(inspection).open(upTo: last, at: path, pace)
                ?? Catalog(path: path, storeID: inspection.storeID, readers: 1)
            return SnapshotCatalog(catalog, path)
        } catch {
            remove(path)
            throw error
        }
    }

    /// Writes the catalog, compacted and compressed, to the repository. Synced but for the directory.
    func save(
        as name: String, in repository: Repository, _ pace: @escaping SnapshotPace = unpaced
    ) throws -> SnapshotManifest.CatalogFile {
        let target = repository.catalogPath(name)
        if try repository.fileSystem.status(of: target) != nil {
            do throws(FileSystemError) { try repository.fileSystem.remove(target) } catch {
                // What a snapshot of that name left that was not finished.
                throw error.isRetained ? SnapshotError.lockedName(name, "\(error)") : error
            }
        }
        let (file, _) = try compress(to: target, repository.fileSystem, pace)
        return .init(
            name: "\(name).catalog.gz", byteCount: file.byteCount, sha256: file.sha256.hexadecimal)
    }

    /// Writes the catalog in the place of one that is damaged or missing. Synced.
    package func replace(
        _ name: String, in repository: Repository, _ pace: @escaping SnapshotPace = unpaced
    ) throws -> SnapshotManifest.CatalogFile {
        let target = repository.catalogPath(name)
        let beside = target + ".new"
        let fileSystem = repository.fileSystem
        if try fileSystem.status(of: beside) != nil { try fileSystem.remove(beside) }
        let (file, _) = try compress(to: beside, fileSystem, pace)
        try fileSystem.rename(beside, to: target)
        try fileSystem.syncDirectory(parent(of: target))
        return .init(
            name: "\(name).catalog.gz", byteCount: file.byteCount, sha256: file.sha256.hexadecimal)
    }

    /// - Returns: what was written, and the bytes of the catalog before they were compressed.
    func compress(
        to target: String, _ fileSystem: any FileSystem, _ pace: @escaping SnapshotPace = unpaced
    ) throws -> (file: Compression.Outcome, catalogByteCount: UInt64) {
        let compact = path + ".compact"
        defer { Self.remove(compact) }
        try catalog.write(to: compact) { try pace(0) }
        let source = try RealFileSystem().open(compact, [], permissions: 0)
        defer { source.close() }
        return (try Compression.compress(source, to: target, fileSystem, pace), try source.size())
    }

    static func bytes(ofHexadecimal text: String) throws -> [UInt8] {
        let digits = Array(text.utf8)
        let bytes = stride(from: 0, to: digits.count - digits.count % 2, by: 2).compactMap {
            UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)
        }
        guard bytes.count * 2 == digits.count else {
            throw SnapshotError.damagedManifest(path: "snapshots/", reason: "'\(text)' is no digest")
        }
        return bytes
    }

    /// A scratch file that stays is a computed copy; nothing reads it.
    static func remove(_ path: String) {
        for suffix in ["", "-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + suffix) }
    }
}
