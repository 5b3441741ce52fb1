import Catalog
import EventLog
import Foundation
import Model
import Volumes

/// Which snapshots are kept when a repository is pruned: the newest so many, and the newest of so many hours, days,
/// weeks and months that have one, in UTC; weeks begin on Monday (ISO 8601).
public struct RetentionRule: Codable, Sendable, Equatable {
    public var last = 0
    public var hourly = 0
    public var daily = 0
    public var weekly = 0
    public var monthly = 0

    public init(last: Int = 0, hourly: Int = 0, daily: Int = 0, weekly: Int = 0, monthly: Int = 0) {
        (self.last, self.hourly, self.daily, self.weekly, self.monthly) = (
            last, hourly, daily, weekly, monthly
        )
    }

    public var keepsNothing: Bool { self == RetentionRule() }

    /// The names of those that stay.
    public func kept(of snapshots: [SnapshotManifest]) -> Set<String> {
        let newestFirst = snapshots.sorted { $0.timeMicroseconds > $1.timeMicroseconds }
        var kept = Set(newestFirst.prefix(last).map(\.name))
        let hour: UInt64 = 3_600_000_000
        keep(hourly, of: newestFirst, &kept) { $0.timeMicroseconds / hour }
        keep(daily, of: newestFirst, &kept) { $0.timeMicroseconds / (24 * hour) }
        // 1970-01-01 was a Thursday.
        keep(weekly, of: newestFirst, &kept) { ($0.timeMicroseconds / (24 * hour) + 3) / 7 }
        keep(monthly, of: newestFirst, &kept) { UInt64($0.time.prefix(7).filter(\.isNumber)) ?? 0 }
        return kept
    }

    private func keep(
        _ count: Int, of newestFirst: [SnapshotManifest], _ kept: inout Set<String>,
        by period: (SnapshotManifest) -> UInt64
    ) {
        var periods = Set<UInt64>()
        for snapshot in newestFirst where periods.count < count && periods.insert(period(snapshot)).inserted {
            kept.insert(snapshot.name)
        }
    }
}

/// Deletes snapshots, and gives back the space that no other needs: blobs at once, payloads in the log where a sealed segment
/// has enough of them that it is written afresh without.
///
/// Without a snapshot that stays, the log stays as it is: what a later one needs is not known then.
public struct SnapshotPruning: Sendable {
    public struct Report: Sendable {
        public var deleted: [String] = []
        public var blobs = 0
        public var bytes: UInt64 = 0
        /// Snapshots that stay because their objects are locked, with the reason.
        public var locked: [(name: String, reason: String)] = []
        /// Blobs that no snapshot needs, and that are locked.
        public var lockedBlobs = 0
        /// Objects at an endpoint that a prune that was cut off had left behind a segment of the log.
        public var strays = 0
        /// Uploads of files to an endpoint that nobody will finish.
        public var uploads = UnfinishedUploads()
        /// Events whose payloads were dropped from the log, and the bytes that this gave back.
        public var payloads: UInt64 = 0
        public var payloadBytes: UInt64 = 0
        /// Segments of the log that are locked, and may have enough payloads that no snapshot needs.
        public var lockedSegments = 0
        /// Such segments in which something is damaged: they wait until it is mended.
        public var damagedSegments = 0
        /// Snapshots that stay and of which it is not known what they need, with the reason: nothing was given back then.
        public var unknown: [(name: String, reason: String)] = []
        /// A snapshot that stays and that the log does not lead to, with the reason: nothing was dropped then.
        public var unproven: (snapshot: String, reason: String)?

        /// Whether nothing but locks kept it from giving back what it may: damage it does not work around, and somebody has to
        /// hear of that.
        public var isComplete: Bool { unproven == nil && unknown.isEmpty && damagedSegments == 0 }

        public init() {}
    }

    /// A segment is written afresh when this part of it is payloads that nobody needs: 1 in so many bytes.
    private static let segmentShare: UInt64 = 4

    private let repository: Repository
    private let scratch: String
    private let pace: @Sendable (Int) throws -> Void

    /// - Parameters:
    ///   - scratch: a directory of a real file system.
    ///   - pace: told of each step, with the bytes of the log that were read and written; may wait before the work goes on, or end it by throwing.
    public init(
        _ repository: Repository, scratch: String = FileManager.default.temporaryDirectory.path,
        pace: @escaping @Sendable (Int) throws -> Void = { _ in }
    ) {
        self.pace = pace
        self.repository = repository
        self.scratch = scratch
    }

    /// Deletes what a rule does not keep, and then the blobs.
    public func run(keeping rule: RetentionRule) throws -> Report {
        let (good, _) = try repository.snapshots()
        let kept = rule.kept(of: good)
        return try run(deleting: good.map(\.name).filter { !kept.contains($0) })
    }

    /// One whose manifest is damaged goes if it is named. Where it stays, what it needs is not known, and nothing is given back
    /// (DESIGN invariant 5): who mends it or deletes it prunes on.
    public func run(deleting names: [String]) throws -> Report {
        var report = Report()
        for name in names {
            do {
                try repository.delete(name)
                report.deleted.append(name)
            } catch let error as FileSystemError where error.isRetained {
                report.locked.append((name, "\(error)"))
            }
        }
        var damage = try KnownDamage.load(repository)
        for name in report.deleted { damage.files.subtract(SnapshotFile.all(of: name)) }
        try damage.save(repository)
        report.uploads = try repository.clearLeftovers()
        report.strays = try repository.log.removeStrays()
        let (good, damaged) = try repository.snapshots()
        report.unknown = damaged
        let needed = BlobCensus(scratch: scratch)
        let payloads = PayloadCensus()
        for manifest in good {
            do {
                let catalog = try SnapshotCatalog.open(manifest, in: repository, scratch: scratch, pace)
                try needed.add(catalog, pace: pace)
                try payloads.add(catalog, through: manifest.position, pace: pace)
            } catch let error as LogError {
                // Its stored catalog is damaged, and the log does not lead there.
                report.unknown.append((manifest.name, "\(error)"))
            }
            try pace(0)
        }
        guard report.unknown.isEmpty else { return report }
        try sweep(needed, &report)
        report.unproven = try unproven(good)
        if report.unproven == nil, let newest = good.last {
            try dropPayloads(upTo: newest.position, but: payloads, &report)
        }
        return report
    }

    /// A snapshot whose event the log has not, or has otherwise: which events are no longer needed is said by their numbers.
    private func unproven(_ snapshots: [SnapshotManifest]) throws -> (snapshot: String, reason: String)? {
        let log = repository.log
        let head = log.head.sequence
        for manifest in snapshots {
            guard manifest.position <= head else {
                return (manifest.name, "the log ends at event \(head), before event \(manifest.sequence)")
            }
            guard let chain = try log.chainHash(ifReadableAt: manifest.position) else {
                return (manifest.name, "event \(manifest.sequence) of the log cannot be read")
            }
            guard chain.description == manifest.chain else {
                return (manifest.name, "event \(manifest.sequence) of the log has another chain hash")
            }
        }
        return nil
    }

    /// - Parameter newest: the last snapshot's event, which the log has: what was copied behind it is of one that is not finished, or yet to come.
    private func dropPayloads(
        upTo newest: SequenceNumber, but needed: PayloadCensus, _ report: inout Report
    ) throws {
        let log = repository.log
        let spared = try SparedSegments.load(repository)
        let dropping = try log.dropPayloads(
            through: newest, share: Self.segmentShare, as: repository.mirror, sparing: spared,
            isNeeded: needed.contains, pace: pace)
        report.payloads = dropping.payloads
        report.payloadBytes = dropping.bytes
        report.lockedSegments = dropping.locked
        report.damagedSegments = dropping.damaged
        // Of those that were damaged, or copied without their bytes, what is gone now is no damage.
        var damage = try KnownDamage.load(repository)
        damage.events = try damage.events.filter { event in
            guard event <= newest, !needed.contains(event) else { return true }
            return try log.isPayloadDropped(event) != true
        }
        try damage.save(repository)
        if dropping.spared != spared { try SparedSegments.save(dropping.spared, repository) }
    }

    /// Removes what is not needed. Both lists are in the order of the ids; of what is there, the blobs of one first byte
    /// at a time are in memory.
    private func sweep(_ needed: BlobCensus, _ report: inout Report) throws {
        let reader = needed.reader()
        var next = try reader.next()?.id
        for byte in UInt8.min...UInt8.max {
            try pace(0)
            for case .blob(let id) in try repository.volume.listBlobs(firstByte: byte) {
                while let known = next, known < id { next = try reader.next()?.id }
                if next == id { continue }
                try pace(0)
                let size = try? repository.volume.info(of: id, length: nil).length
                do { try repository.volume.removeBlob(id) } catch let error as FileSystemError
                    where error.isRetained
                {
                    report.lockedBlobs += 1
                    continue
                }
                report.blobs += 1
                report.bytes += size ?? 0
            }
        }
    }
}
