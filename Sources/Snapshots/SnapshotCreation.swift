import Catalog
import EventLog
import Foundation
import Model
import ObjectStore
import Volumes

/// Takes a snapshot of an open store into a repository, while the store serves (DESIGN invariant 6).
///
/// The repository's copy of the log is brought up to the event that the catalog is at, each run of events behind the
/// blobs it names; what the repository holds already is not copied again. Every frame, chain hash, block and blob is
/// verified on the way. Then the catalog as of that event is computed from the copy, which proves that the copy is
/// enough, and is stored; every blob it needs is looked for; and the manifest is written last. A process that ends
/// in between leaves a repository that is valid, and the next snapshot goes on where it was.
public struct SnapshotCreation: Sendable {
    private let inspection: StoreInspection
    private let repository: Repository
    private let place: String
    private let pace: SnapshotPace

    /// - Parameters:
    ///   - place: how the log names the repository; `nil` for its directory.
    ///   - pace: told of what is read while the snapshot is taken; may keep it waiting.
    public init(
        _ store: ObjectStore, _ repository: Repository, named place: String? = nil,
        pace: @escaping SnapshotPace = unpaced
    ) {
        inspection = store.inspection
        self.repository = repository
        self.place = place ?? repository.directory
        self.pace = pace
    }

    /// What a frame has besides its payload, about.
    private static let eventByteCount = 256

    /// What making a snapshot took.
    public struct Report: Sendable {
        public let manifest: SnapshotManifest
        public var events: UInt64 = 0
        public var blobs = 0
        /// Of blobs and of the log.
        public var bytes: UInt64 = 0
        /// Events copied whose payload no mirror had good, needed or not.
        public var lostPayloads: UInt64 = 0
        /// Blobs and events that a check had found damaged or missing in the repository, and that were copied anew.
        public var mended = 0
        /// Why the store's log does not say that it was taken; `nil` if it does.
        public var unnoted: String?
        /// Uploads of files to an endpoint that nobody would finish.
        public var uploads = UnfinishedUploads()
    }

    /// - Parameters:
    ///   - name: `nil` for one made of the time.
    ///   - progress: called with the part of the work that is done, from 0 to 1.
    /// - Throws: ``SnapshotError``. What the store has lost keeps nobody from saving the rest: the manifest counts it, and it
    ///   is looked for again by the next snapshot.
    public func run(
        name: String? = nil, progress: @escaping @Sendable (Double) -> Void = { _ in }
    ) async throws -> Report {
        if let name { try SnapshotManifest.check(name: name) }
        let (good, damaged) = try repository.snapshots()
        let taken = Set(good.map(\.name) + damaged.map(\.name))
        if let name, taken.contains(name) { throw SnapshotError.exists(name) }
        let name = name ?? SnapshotManifest.name(at: inspection.clock(), besides: taken)
        try repository.join(inspection.log, pace)
        let uploads = try repository.clearLeftovers()
        let position = try inspection.catalog.read { try $0.position() }
        var report = try await inspection.holding(position.sequence) {
            try await take(name, position, parent: good.last, progress)
        }
        report.uploads = uploads
        return report
    }

    private func take(
        _ name: String, _ position: LogPosition, parent: SnapshotManifest?,
        _ progress: (Double) -> Void
    ) async throws -> Report {
        let copies = BlobCopies(inspection, to: repository.volume, pace)
        defer { copies.finish() }
        var blobs = CopyBatch.Report()
        let start = repository.log.head.sequence.rawValue
        let total = max(1, position.sequence.rawValue - min(start, position.sequence.rawValue))
        var damage = try KnownDamage.load(repository)
        let copied = try repository.log.extend(from: inspection.log, through: position.sequence) {
            events, lostPayloads in
            blobs += try copies.copy(try needed(by: events, asOf: position.sequence))
            try pace(events.reduce(0) { $0 + $1.payloadLength + Self.eventByteCount })
            if let last = events.last {
                progress(Double(last.sequence.rawValue - start) / Double(total) * 0.8)
            }
            // Before the run is written: a snapshot that is cut off is gone on with behind it.
            if damage.noteCopied(events.map(\.sequence), lost: lostPayloads) { try damage.save(repository) }
        }
        let catalog = try SnapshotCatalog.make(
            repository, scratch: inspection.stateDirectory, from: parent, through: position.sequence, pace)
        // Every blob that the snapshot needs is looked for: one may have been damaged or removed in the repository since
        // it was copied.
        try catalog.forEachPage { blobs += try copies.copy($0) }
        var mended = 0
        try await RepositoryMending(inspection, repository, taken: catalog, pace).run { outcome in
            guard outcome.reason == nil else { return }  // the next check says so again
            mended += 1
            blobs.bytes += outcome.byteCount
        }
        try repository.retain { retain in try catalog.forEachPage { try retain($0.map(\.id)) } }
        progress(0.9)
        let file = try catalog.save(as: name, in: repository, pace)
        let lost = (
            blobs: copies.lost.count,
            payloads: try catalog.needed(of: try KnownDamage.load(repository).events, repository.log).count
        )
        let manifest = try repository.manifest(
            name, position, catalog, file, lost, created: inspection.clock(), parent: parent?.name)
        try repository.write(manifest)
        let unnoted = await note(manifest, position.chain)
        // It is at hand: a look at the past can begin here.
        do { try HistoryCheckpoints(inspection).keepIfDue(catalog, pace) } catch is FileSystemError {
            // No room for a copy in the store's state is no reason to say that the snapshot failed.
        }
        progress(1)
        return Report(
            manifest: manifest, events: copied.events, blobs: blobs.blobs,
            bytes: copied.bytes + blobs.bytes, lostPayloads: UInt64(copied.lostPayloads.count),
            mended: mended, unnoted: unnoted)
    }

    /// Says in the store's log that the snapshot is there.
    /// - Returns: what keeps the store from it, which takes nothing from the snapshot.
    private func note(_ manifest: SnapshotManifest, _ chain: ChainHash) async -> String? {
        var change = EventSnapshotTaken()
        change.repository = place
        change.snapshot = manifest.name
        change.sequence = manifest.sequence
        change.chain = Data(chain.bytes)
        change.createdMicroseconds = manifest.createdMicroseconds
        change.versions = UInt64(manifest.versions)
        change.versionBytes = manifest.versionBytes
        change.lostBlobs = UInt64(manifest.lostBlobs)
        change.lostPayloads = UInt64(manifest.lostPayloads ?? 0)
        do {
            _ = try await inspection.record(.snapshotTaken(change))
            return nil
        } catch { return "\(error)" }
    }

    /// The blobs that events name, each once, without those that nothing needs as of the snapshot.
    private func needed(by events: [LoggedEvent], asOf last: SequenceNumber) throws -> [BlobRow] {
        var seen = Set<BlobID>()
        return try inspection.catalog.read { reader in
            try events.flatMap(\.record.blobPieces).compactMap { piece in
                guard let id = BlobID(bytes: piece.blobID), seen.insert(id).inserted,
                    let row = try reader.blob(id), !row.isReclaiming, row.died.map({ $0 > last }) ?? true
                else { return nil }
                return row
            }
        }
    }
}

extension SnapshotCatalog {
    /// Blobs that some version or part needs, in the order of their ids, some hundreds at a time.
    func forEachPage(_ body: ([BlobRow]) throws -> Void) throws {
        var after: BlobID?
        while true {
            let page = try catalog.read { try $0.blobs(after: after, limit: 512) }
            try body(page.filter { $0.uses > 0 })
            guard let last = page.last, page.count == 512 else { return }
            after = last.id
        }
    }
}
