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
    private let pace: @Sendable (Int) throws -> Void

    /// - Parameter pace: told of bytes that were copied; may wait before the work goes on, or end it by throwing.
    public init(
        _ store: ObjectStore, _ repository: Repository,
        pace: @escaping @Sendable (Int) throws -> Void = { _ in }
    ) {
        self.pace = pace
        inspection = store.inspection
        self.repository = repository
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
        /// Events copied whose payload no mirror had good.
        public var lostPayloads: UInt64 = 0
    }

    /// Blobs that the snapshot needs and that no volume has good, nor the repository.
    private final class Losses {
        var blobs: Set<BlobID> = []
    }

    /// - Parameters:
    ///   - name: `nil` for one made of the time.
    ///   - progress: called with the part of the work that is done, from 0 to 1.
    /// - Throws: ``SnapshotError``. What the store has lost keeps nobody from saving the rest: it is counted, and looked
    ///   for again by the next snapshot.
    public func run(
        name: String? = nil, progress: @escaping @Sendable (Double) -> Void = { _ in }
    ) async throws -> Report {
        let name = name ?? SnapshotManifest.name(at: inspection.clock())
        try SnapshotManifest.check(name: name)
        let (good, damaged) = try repository.snapshots()
        guard !good.contains(where: { $0.name == name }), !damaged.contains(where: { $0.name == name }) else {
            throw SnapshotError.exists(name)
        }
        try repository.clearLeftovers()
        let position = try inspection.catalog.read { try $0.position() }
        return try await inspection.holding(position.sequence) {
            try take(name, position, parent: good.last, progress)
        }
    }

    private func take(
        _ name: String, _ position: LogPosition, parent: SnapshotManifest?,
        _ progress: (Double) -> Void
    ) throws -> Report {
        var blobs = 0
        var blobBytes: UInt64 = 0
        let losses = Losses()
        let start = repository.log.head.sequence.rawValue
        let total = max(1, position.sequence.rawValue - min(start, position.sequence.rawValue))
        let copied = try repository.log.extend(from: inspection.log, through: position.sequence) { events in
            try pace(events.reduce(0) { $0 + $1.payloadLength + Self.eventByteCount })
            for event in events {
                for piece in event.record.blobPieces {
                    guard let count = try copy(piece, asOf: position.sequence, losses) else { continue }
                    blobs += 1
                    blobBytes += count
                }
            }
            if let last = events.last {
                progress(Double(last.sequence.rawValue - start) / Double(total) * 0.8)
            }
        }
        let catalog = try SnapshotCatalog.make(
            repository, scratch: inspection.stateDirectory, from: parent, through: position.sequence)
        let (moreBlobs, moreBytes) = try bringMissing(catalog, losses)
        progress(0.9)
        let file = try catalog.save(as: name, in: repository)
        let manifest = try manifest(name, position, catalog, file, losses, parent: parent)
        try repository.write(manifest)
        progress(1)
        return Report(
            manifest: manifest, events: copied.events, blobs: blobs + moreBlobs,
            bytes: copied.bytes + blobBytes + moreBytes, lostPayloads: copied.lostPayloads)
    }

    /// A blob that nothing needs as of the snapshot is left out.
    private func copy(_ piece: EventPiece, asOf last: SequenceNumber, _ losses: Losses) throws -> UInt64? {
        guard let id = BlobID(bytes: piece.blobID),
            let row = try inspection.catalog.read({ try $0.blob(id) }), !row.isReclaiming,
            row.died.map({ $0 > last }) ?? true
        else { return nil }
        return try export(row, losses)
    }

    private func export(_ row: BlobRow, _ losses: Losses) throws -> UInt64? {
        do {
            let count = try inspection.export(
                row.id, length: row.length, sha256: row.sha256, to: repository.volume, pace: pace)
            losses.blobs.remove(row.id)
            return count
        } catch is BlobFlaw {
            losses.blobs.insert(row.id)
            return nil
        }
    }

    /// Every blob that the snapshot needs is looked for: one may have been damaged or removed in the repository since
    /// it was copied.
    private func bringMissing(_ catalog: SnapshotCatalog, _ losses: Losses) throws -> (Int, UInt64) {
        var blobs = 0
        var bytes: UInt64 = 0
        try catalog.forEachBlob { row in
            try pace(0)
            if let count = try export(row, losses) {
                blobs += 1
                bytes += count
            }
        }
        return (blobs, bytes)
    }

    private func manifest(
        _ name: String, _ position: LogPosition, _ catalog: SnapshotCatalog,
        _ file: SnapshotManifest.CatalogFile, _ losses: Losses, parent: SnapshotManifest?
    ) throws -> SnapshotManifest {
        let counts = try catalog.catalog.read { try $0.counts() }
        let last = try repository.log.events(from: position.sequence, limit: 1).first?.time
        let time = last ?? Timestamp(microseconds: 0)
        let created = inspection.clock()
        return SnapshotManifest(
            format: SnapshotManifest.format, name: name, storeID: repository.storeID.description,
            sequence: position.sequence.rawValue, chain: position.chain.description,
            time: time.description, timeMicroseconds: time.microseconds, created: created.description,
            createdMicroseconds: created.microseconds, parent: parent?.name, buckets: counts.buckets,
            versions: counts.versions, deleteMarkers: counts.deleteMarkers,
            versionBytes: counts.versionBytes, blobs: counts.blobs, blobBytes: counts.blobBytes,
            lostBlobs: losses.blobs.count, catalog: file, software: Release.name)
    }
}

extension EventRecord {
    /// Blobs that the change refers to.
    var blobPieces: [EventPiece] {
        switch change {
        case .versionPublished(let change): change.pieces.filter { !$0.blobID.isEmpty }
        case .partPublished(let change): change.piece.blobID.isEmpty ? [] : [change.piece]
        default: []
        }
    }
}

extension SnapshotCatalog {
    /// Blobs that some version or part needs, in the order of their ids.
    func forEachBlob(_ body: (BlobRow) throws -> Void) throws {
        var after: BlobID?
        while true {
            let page = try catalog.read { try $0.blobs(after: after, limit: 1024) }
            for row in page where row.uses > 0 { try body(row) }
            guard let last = page.last, page.count == 1024 else { return }
            after = last.id
        }
    }
}
