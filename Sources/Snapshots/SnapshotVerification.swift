import Catalog
import EventLog
import Foundation
import Model
import Volumes

/// One thing that is wrong in a repository.
public struct RepositoryFlaw: Sendable, Equatable {
    public let snapshot: String
    /// Relative to the repository.
    public let path: String
    /// The event of the log that is damaged, if that is what is wrong.
    public var sequence: SequenceNumber?
    public let reason: String
}

/// Checks a repository: that each snapshot can be restored.
///
/// Always: every manifest against its digest, every frame of the log against its checksums and the chain up to each
/// snapshot's chain hash, every stored catalog against its digest, and for every blob that a snapshot needs, presence
/// and trailer. Besides, a part of the blobs is read whole; a cursor in the repository makes the next check go on
/// behind it, so that repeated checks come to all. What is bad is remembered until it is mended: by the next snapshot,
/// or by ``RepositoryMending``. Memory does not grow with the number of blobs.
public struct SnapshotVerification: Sendable {
    public struct Report: Sendable {
        public var snapshots = 0
        public var events: UInt64 = 0
        public var blobs = 0
        /// Blobs and bytes that were read whole.
        public var blobsRead = 0
        public var bytesRead: UInt64 = 0
        public var flaws: [RepositoryFlaw] = []
    }

    private static let cursorName = "verified"

    private let repository: Repository
    private let scratch: String
    private let pace: @Sendable (Int) throws -> Void

    /// - Parameters:
    ///   - scratch: a directory of a real file system.
    ///   - pace: told of bytes that were read; may wait before the work goes on, or end it by throwing.
    public init(
        _ repository: Repository, scratch: String = FileManager.default.temporaryDirectory.path,
        pace: @escaping @Sendable (Int) throws -> Void = { _ in }
    ) {
        self.pace = pace
        self.repository = repository
        self.scratch = scratch
    }

    /// - Parameters:
    ///   - name: one snapshot; `nil` for all.
    ///   - percent: how much of the blobs is read, 0 to 100.
    public func run(_ name: String?, percent: Int) throws -> Report {
        var report = Report()
        var manifests: [SnapshotManifest] = []
        if let name {
            do { manifests = [try repository.snapshot(name)] } catch SnapshotError.damagedManifest(
                let path, let reason)
            {
                report.flaws.append(flaw(name, path, reason))
            }
        } else {
            let (good, damaged) = try repository.snapshots()
            manifests = good
            report.flaws += damaged.map { flaw($0.name, repository.manifestPath($0.name), $0.reason) }
        }
        report.snapshots = manifests.count + report.flaws.count
        let damagedEvents = try checkLog(manifests, &report)
        let needed = BlobCensus(scratch: scratch)
        for manifest in manifests {
            do { try collect(manifest, needed) } catch let error as CompressionError {
                report.flaws.append(flaw(manifest.name, repository.catalogPath(manifest.name), "\(error)"))
            } catch let error as FileSystemError {
                report.flaws.append(flaw(manifest.name, repository.catalogPath(manifest.name), "\(error)"))
            }
        }
        var damage = try KnownDamage.load(repository)
        let last = manifests.map(\.position).max() ?? .zero
        damage.events = damage.events.filter { $0 > last }.union(damagedEvents)
        try damage.save(repository)
        try checkBlobs(needed, ofAll: name == nil && report.flaws.isEmpty, percent: percent, &report)
        return report
    }

    private func flaw(
        _ snapshot: String, _ path: String, _ reason: String, _ sequence: SequenceNumber? = nil
    ) -> RepositoryFlaw {
        let inside = path.hasPrefix(repository.directory + "/")
        return RepositoryFlaw(
            snapshot: snapshot,
            path: inside ? String(path.dropFirst(repository.directory.utf8.count + 1)) : path,
            sequence: sequence, reason: reason)
    }

    /// - Returns: the events that are damaged, or whose bytes are.
    private func checkLog(
        _ manifests: [SnapshotManifest], _ report: inout Report
    ) throws -> Set<SequenceNumber> {
        let last = manifests.map(\.position).max() ?? .zero
        var damaged: Set<SequenceNumber> = []
        var expected: [SequenceNumber: [SnapshotManifest]] = [:]
        for manifest in manifests { expected[manifest.position, default: []].append(manifest) }
        var next = SequenceNumber(1)
        // Behind a damaged event the rest is looked at too.
        while next <= last {
            do {
                try repository.log.forEachFrame(from: next, through: last) { frame, raw in
                    report.events += 1
                    try pace(frame.byteCount)
                    if !frame.hasGoodPayload(raw) {
                        damaged.insert(frame.sequence)
                        report.flaws.append(
                            flaw(
                                "", "log", "the bytes that event \(frame.sequence) carries are damaged",
                                frame.sequence))
                    }
                    for manifest in expected.removeValue(forKey: frame.sequence) ?? []
                    where frame.chain.description != manifest.chain {
                        report.flaws.append(
                            flaw(
                                manifest.name, "log",
                                "event \(frame.sequence) has chain hash \(frame.chain), where the manifest says \(manifest.chain)"
                            ))
                    }
                }
                break
            } catch let error as LogError {
                report.flaws.append(flaw("", "log", "\(error)", error.damagedEvent))
                guard let event = error.damagedEvent, event >= next else { break }
                damaged.insert(event)
                expected[event] = nil  // that it is damaged is said already
                next = event.next
            }
        }
        let head = repository.log.head.sequence
        for manifest in expected.values.joined() {
            report.flaws.append(flaw(manifest.name, "log", "the log ends at event \(head)", head.next))
        }
        return damaged
    }

    private func collect(_ manifest: SnapshotManifest, _ needed: BlobCensus) throws {
        try needed.add(try SnapshotCatalog.stored(manifest, in: repository, scratch: scratch))
    }

    /// - Parameter ofAll: whether the blobs are those of all snapshots.
    private func checkBlobs(
        _ needed: BlobCensus, ofAll: Bool, percent: Int, _ report: inout Report
    ) throws {
        let count = (needed.count * min(max(percent, 0), 100) + 99) / 100
        let start = try count > 0 ? start(needed) : 0
        var last: BlobID?
        let known = try KnownDamage.load(repository)
        var damage = ofAll ? KnownDamage() : known
        try needed.forEach { index, row in
            let place = (index - start + needed.count) % needed.count
            let isDeep = place < count
            if place == count - 1 { last = row.id }
            try pace(0)
            let flaws = repository.volume.verify(
                row.id, length: row.length, sha256: row.sha256, deep: isDeep)
            report.blobs += 1
            if isDeep {
                report.blobsRead += 1
                report.bytesRead += row.length
            }
            // Bad bytes that were read once are bad until they are read again.
            damage.note(row.id, isDamaged: !flaws.isEmpty || !isDeep && known.blobs.contains(row.id))
            for found in flaws {
                report.flaws.append(
                    RepositoryFlaw(
                        snapshot: "", path: repository.volume.path(of: row.id), reason: found.description))
            }
        }
        damage.events = known.events
        try damage.save(repository)
        if let last, count < needed.count {
            try repository.fileSystem.replaceFile(cursorPath, with: Array("\(last)\n".utf8))
        }
    }

    /// A large blob is paced between its pieces; who ends the work in one is heard when it was read.
    private func verify(_ row: BlobRow, deep: Bool) throws -> [BlobFlaw] {
        var stop: (any Error)?
        let flaws = ScanPace.run { count in
            guard stop == nil else { return }
            do { try pace(count) } catch { stop = error }
        } _: {
            repository.volume.verify(row.id, length: row.length, sha256: row.sha256, deep: deep)
        }
        if let stop { throw stop }
        return flaws
    }

    private var cursorPath: String { "\(repository.directory)/snapshots/\(Self.cursorName)" }

    /// The number of the first blob behind the cursor; from the beginning again at the end.
    private func start(_ needed: BlobCensus) throws -> Int {
        guard try repository.fileSystem.status(of: cursorPath) != nil,
            let cursor = BlobID(
                String(decoding: try repository.fileSystem.contents(of: cursorPath), as: UTF8.self)
                    .trimmingCharacters(in: .whitespacesAndNewlines))
        else { return 0 }
        return try needed.countThrough(cursor) % max(1, needed.count)
    }
}

extension LogError {
    /// The event that is damaged, if it is about one.
    fileprivate var damagedEvent: SequenceNumber? {
        if case .damaged(let sequence, _) = self { sequence } else { nil }
    }
}
