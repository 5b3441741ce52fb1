import Catalog
import EventLog
import Foundation
import Model
import ObjectStore
import Volumes

/// Catalogs as they were at some events, kept in `state/history/`, so that a look at the past begins at the one
/// before it instead of at the log's beginning.
///
/// They are computed copies: one that is damaged, or of a log that was cut since, is removed and the one before it
/// taken. Each is a catalog compressed, and beside it a `.json` that says what it is of, written last. At most
/// ``limit`` are kept, those that the history window has passed least of all; where there are more, the one goes that
/// leaves the smallest gap, so that they stay spread over the window.
package struct HistoryCheckpoints: Sendable {
    static let limit = 8
    private static let format = 1
    /// A checkpoint is made when as many events have come since the last one: replaying fewer takes a second or two.
    package static let leastStep: UInt64 = 50_000
    /// Or as many as the catalog has rows, of so many bytes each: so that copying a row costs no more than an event.
    package static let rowByteCount: UInt64 = 256

    /// What a checkpoint is of.
    package struct Entry: Codable, Sendable, Equatable {
        let format: Int
        let schema: Int
        package let sequence: UInt64
        let chain: String
        /// When its last event was appended.
        let timeMicroseconds: UInt64
        /// Of the catalog, not compressed.
        let catalogByteCount: UInt64
        /// Of the compressed file.
        let sha256: String
        /// Of the two files, without their suffixes.
        let name: String

        var position: SequenceNumber { SequenceNumber(sequence) }

        /// - Parameters: where it stands; of which file it is, if there is one.
        package init(
            sequence: UInt64, timeMicroseconds: UInt64, chain: String = "", catalogByteCount: UInt64 = 0,
            sha256: String = "", name: String = ""
        ) {
            format = HistoryCheckpoints.format
            schema = Catalog.schemaVersion
            self.sequence = sequence
            self.timeMicroseconds = timeMicroseconds
            self.chain = chain
            self.catalogByteCount = catalogByteCount
            self.sha256 = sha256
            self.name = name
        }
    }

    private let inspection: StoreInspection
    private let leastStep: UInt64
    private let rowByteCount: UInt64
    private let fileSystem: any FileSystem = RealFileSystem()  // as the scratch files that it is read into

    private var directory: String { inspection.stateDirectory + "/history" }

    /// - Parameters:
    ///   - leastStep: events between one checkpoint and the next, at least.
    ///   - rowByteCount: bytes of a catalog that count as much as an event.
    package init(
        _ inspection: StoreInspection, leastStep: UInt64 = leastStep, rowByteCount: UInt64 = rowByteCount
    ) {
        self.inspection = inspection
        self.leastStep = leastStep
        self.rowByteCount = rowByteCount
    }

    private func catalogPath(_ name: String) -> String { "\(directory)/\(name).catalog.gz" }
    private func entryPath(_ name: String) -> String { "\(directory)/\(name).json" }

    // MARK: Looking

    /// Those that are there, oldest first; what cannot be used is left out.
    package func entries() throws -> [Entry] {
        guard try fileSystem.status(of: directory) != nil else { return [] }
        return try fileSystem.list(directory).compactMap { file -> Entry? in
            guard file.hasSuffix(".json") else { return nil }
            let bytes: [UInt8]
            do throws(FileSystemError) { bytes = try fileSystem.contents(of: directory + "/" + file) } catch {
                guard error.code == ENOENT else { throw error }
                return nil  // another look has thinned it out
            }
            // One that is damaged is as one that is not there.
            guard let entry = try? JSONDecoder().decode(Entry.self, from: Data(bytes)),
                entry.format == Self.format, (1...Catalog.schemaVersion).contains(entry.schema),
                file == entry.name + ".json"
            else { return nil }
            return entry
        }.sorted { ($0.sequence, $0.name) < ($1.sequence, $1.name) }
    }

    /// Makes a catalog of the newest checkpoint up to an event.
    /// - Parameter path: of a file that is not there.
    /// - Returns: `nil` if there is none; then there is nothing at `path` either.
    func open(
        upTo last: SequenceNumber, at path: String, _ pace: @escaping SnapshotPace = unpaced
    ) throws -> Catalog? {
        for entry in try entries().reversed() where entry.position <= last {
            do { return try open(entry, at: path, pace) } catch let error as CheckpointFlaw {
                SnapshotCatalog.remove(path)
                try discard(entry, because: error)
            }
        }
        return nil
    }

    /// What keeps a checkpoint from being used.
    private struct CheckpointFlaw: Error {
        let reason: String
    }

    private func open(
        _ entry: Entry, at path: String, _ pace: @escaping SnapshotPace
    ) throws -> Catalog {
        guard try inspection.log.chainHash(at: entry.position).description == entry.chain else {
            throw CheckpointFlaw(reason: "the log has another chain hash there")
        }
        do {
            let file = try fileSystem.open(catalogPath(entry.name), [], permissions: 0)
            defer { file.close() }
            try Compression.decompress(
                file, sha256: try SnapshotCatalog.bytes(ofHexadecimal: entry.sha256), to: path, pace)
            let catalog = try Catalog(path: path, storeID: inspection.storeID, readers: 1)
            guard try catalog.read({ try $0.position().sequence }) == entry.position else {
                throw CheckpointFlaw(reason: "it is of another event")
            }
            return catalog
        } catch let error as CompressionError {
            throw CheckpointFlaw(reason: "\(error)")
        } catch let error as CatalogError {
            throw CheckpointFlaw(reason: "\(error)")
        } catch let error as SnapshotError {
            throw CheckpointFlaw(reason: "\(error)")
        } catch let error as FileSystemError where error.code == ENOENT {
            throw CheckpointFlaw(reason: "\(error)")  // a look at the same moment has thinned it out
        }
    }

    private func discard(_ entry: Entry, because flaw: CheckpointFlaw) throws {
        for path in [entryPath(entry.name), catalogPath(entry.name)] { try remove(path) }
    }

    /// Two looks at once may let go of the same.
    private func remove(_ path: String) throws(FileSystemError) {
        do throws(FileSystemError) { try fileSystem.remove(path) } catch {
            guard error.code == ENOENT else { throw error }
        }
    }

    // MARK: Keeping

    /// Whether a checkpoint at an event would spare much: enough events lie between it and the one before it.
    func isDue(at sequence: SequenceNumber) throws -> Bool {
        let last = try entries().last { $0.position <= sequence }
        let step = max(leastStep, (last?.catalogByteCount ?? 0) / rowByteCount)
        return sequence.rawValue - (last?.sequence ?? 0) >= step
    }

    /// Keeps a catalog as it is, if that spares much.
    func keepIfDue(_ catalog: SnapshotCatalog, _ pace: @escaping SnapshotPace = unpaced) throws {
        let position = try catalog.catalog.read { try $0.position() }
        if try isDue(at: position.sequence) { try keep(catalog, pace) }
    }

    /// Keeps a catalog as it is, and lets go of what is too much.
    func keep(_ catalog: SnapshotCatalog, _ pace: @escaping SnapshotPace = unpaced) throws {
        let position = try catalog.catalog.read { try $0.position() }
        guard position.sequence > .zero else { return }
        try fileSystem.createDirectories(directory, permissions: 0o700)
        let name = "\(position.sequence)-\(OperationID.random())"
        let file: Compression.Outcome
        let byteCount: UInt64
        do { (file, byteCount) = try catalog.compress(to: catalogPath(name), fileSystem, pace) } catch {
            try remove(catalogPath(name))
            throw error
        }
        let entry = Entry(
            sequence: position.sequence.rawValue,
            timeMicroseconds: try inspection.log.time(of: position.sequence).microseconds,
            chain: position.chain.description, catalogByteCount: byteCount, sha256: file.sha256.hexadecimal,
            name: name)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try fileSystem.replaceFile(entryPath(name), with: Array(try encoder.encode(entry)))
        try thin()
    }

    private func thin() throws {
        let entries = try entries()
        let window = inspection.historySeconds * 1_000_000
        let now = inspection.clock().microseconds
        let kept = Set(Self.kept(of: entries, windowStart: now - min(now, window)).map(\.name))
        for entry in entries where !kept.contains(entry.name) {
            try discard(entry, because: CheckpointFlaw(reason: "there are enough"))
        }
        // A catalog without an entry: its writer ended before it was done, or has it still before itself, and then
        // makes it again another time.
        for file in try fileSystem.list(directory) where file.hasSuffix(".catalog.gz") {
            guard try fileSystem.status(of: entryPath(String(file.dropLast(11)))) == nil else { continue }
            try remove(directory + "/" + file)
        }
    }

    /// - Parameters: oldest first; microseconds.
    package static func kept(of entries: [Entry], windowStart: UInt64) -> [Entry] {
        // Whatever the window shows is behind the newest that it has passed.
        let first = entries.lastIndex { $0.timeMicroseconds < windowStart } ?? 0
        var kept = Array(entries[first...])
        while kept.count > limit {
            // The newest stays: what comes next begins there.
            let gaps = kept.indices.dropLast().map { index in
                kept[index + 1].sequence - (index == 0 ? 0 : kept[index - 1].sequence)
            }
            guard let smallest = gaps.indices.min(by: { gaps[$0] < gaps[$1] }) else { break }
            kept.remove(at: smallest)
        }
        return kept
    }
}

/// Makes a checkpoint where one is due, a little at a time.
public struct HistoryKeeper: Sendable {
    /// Events that are replayed between two calls of the pace: some milliseconds of work.
    private static let step: UInt64 = 128

    private let inspection: StoreInspection
    private let checkpoints: HistoryCheckpoints

    public init(_ store: ObjectStore) { self.init(store, HistoryCheckpoints(store.inspection)) }

    package init(_ store: ObjectStore, _ checkpoints: HistoryCheckpoints) {
        inspection = store.inspection
        self.checkpoints = checkpoints
    }

    /// - Parameters:
    ///   - pace: may keep it waiting, and ends it by an error: then there is no new checkpoint, nor a part of one.
    ///   - progress: called with the part of the events that have been replayed, from 0 to 1.
    /// - Returns: the event that a checkpoint was made of; `nil` if none is due.
    @discardableResult
    public func makeIfDue(
        _ pace: @escaping SnapshotPace = unpaced, progress: (Double) -> Void = { _ in }
    ) throws -> SequenceNumber? {
        let last = try inspection.catalog.read { try $0.position().sequence }
        guard try checkpoints.isDue(at: last) else { return nil }
        let catalog = try SnapshotCatalog.beginHistory(of: inspection, through: last, pace)
        let first = try catalog.catalog.read { try $0.position().sequence }
        var next = first
        while next < last {
            next = min(last, SequenceNumber(next.rawValue + Self.step))
            try inspection.replay(to: catalog.catalog, through: next)
            progress(Double(next.rawValue - first.rawValue) / Double(last.rawValue - first.rawValue))
            try pace(0)
        }
        try checkpoints.keep(catalog, pace)
        return last
    }
}
