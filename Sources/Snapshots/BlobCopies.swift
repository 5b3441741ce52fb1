import Catalog
import Dispatch
import Model
import ObjectStore
import Synchronization
import Volumes

/// Copies blobs to a repository, many at a time.
///
/// Each step is done for all of a batch before the next: bytes written, files synced, names given, names synced. What the
/// first sync of a step makes durable is durable for the others too, whose syncs then cost little.
///
/// Synchronous: the caller waits until what it asked for is done.
final class BlobCopies: Sendable {
    /// They wait for the same disk most of the time, or, where the repository is an endpoint, for its answers. Syncs that
    /// wait at the same time are one to the disk.
    private static let threadCount = 16
    /// So many work while whoever paces the copy keeps it waiting: what is under way when it is to rest has to be little.
    private static let pacedCount = 2
    /// With so many steps in a row that were not kept waiting, nobody is there to feel it.
    private static let calmCount = 64
    /// A step was kept waiting.
    private static let wait = Duration.milliseconds(2)
    /// A batch ends with so many blobs or bytes: so many files are open and have no name yet.
    private static let batchCount = 128
    private static let batchByteCount: UInt64 = 128 << 20

    /// What copying some blobs came to.
    struct Report: Sendable {
        var blobs = 0
        var bytes: UInt64 = 0

        static func += (left: inout Report, right: Report) {
            left.blobs += right.blobs
            left.bytes += right.bytes
        }
    }

    private let inspection: StoreInspection
    private let target: any Volume
    private let pace: SnapshotPace
    private let lane: any Lane
    private let calm = Atomic(0)
    private let narrow = DispatchSemaphore(value: pacedCount)
    /// Blobs that the snapshot needs and that no volume has good, nor the repository.
    private let lostBlobs = Mutex<Set<BlobID>>([])

    var lost: Set<BlobID> { lostBlobs.withLock { $0 } }

    init(_ inspection: StoreInspection, to target: any Volume, _ pace: @escaping SnapshotPace) {
        self.inspection = inspection
        self.target = target
        self.pace = pace
        lane = inspection.makeLane("snapshot", threads: Self.threadCount)
    }

    func finish() { lane.finish() }

    /// Copies those that the repository lacks.
    /// - Throws: what kept one from being written. That the store has one good nowhere is counted, and throws nothing.
    func copy(_ rows: [BlobRow]) throws -> Report {
        var report = Report()
        var batch: [BlobRow] = []
        var byteCount: UInt64 = 0
        for row in rows {
            batch.append(row)
            byteCount += row.length
            guard batch.count == Self.batchCount || byteCount >= Self.batchByteCount else { continue }
            report += try copyBatch(batch)
            batch = []
            byteCount = 0
        }
        report += try copyBatch(batch)
        return report
    }

    private func copyBatch(_ rows: [BlobRow]) throws -> Report {
        let staged = Mutex<[StagedCopy]>([])
        do {
            try each(rows) { [self] row in
                guard let copy = try stage(row) else { return }
                staged.withLock { $0.append(copy) }
            }
            try publish(staged.withLock { $0 })
        } catch {
            // What cannot be taken away now is a leftover, which the next snapshot clears.
            for copy in staged.withLock({ $0 }) { try? copy.sink.abort() }
            throw error
        }
        return staged.withLock { Report(blobs: $0.count, bytes: $0.reduce(0) { $0 + $1.bytes }) }
    }

    /// - Returns: `nil` if there is nothing to copy, or the repository has it.
    private func stage(_ row: BlobRow) throws -> StagedCopy? {
        do {
            let copy = try inspection.stageExport(
                row.id, length: row.length, sha256: row.sha256, to: target, pace: { [self] in try spent($0) })
            lostBlobs.withLock { _ = $0.remove(row.id) }
            return copy
        } catch is BlobFlaw {
            lostBlobs.withLock { _ = $0.insert(row.id) }
            return nil
        }
    }

    private func publish(_ copies: [StagedCopy]) throws {
        guard !copies.isEmpty else { return }
        try step(copies) { try $0.sink.sync() }
        try target.syncIncoming()
        try step(copies) { try $0.sink.link() }
        try step(copies) { [target] in try target.syncNames(of: [$0.id]) }
        try step(copies) { [target] in try target.settle($0.id) }
    }

    private func step(_ copies: [StagedCopy], _ body: @escaping @Sendable (StagedCopy) throws -> Void) throws
    {
        try each(copies) { [self] in
            try body($0)
            try spent(0)
        }
    }

    private func spent(_ byteCount: Int) throws {
        let start = ContinuousClock.now
        try pace(byteCount)
        if ContinuousClock.now - start < Self.wait {
            calm.add(1, ordering: .relaxed)
        } else {
            calm.store(0, ordering: .relaxed)
        }
    }

    /// Runs `body` for each on the lane's threads, and waits for all. After a failure no other is begun.
    /// - Throws: the first failure.
    private func each<Item: Sendable>(
        _ items: [Item], _ body: @escaping @Sendable (Item) throws -> Void
    ) throws {
        let failure = Mutex<(any Error)?>(nil)
        let group = DispatchGroup()
        for item in items {
            group.enter()
            let isAccepted = lane.submit { [self] in
                let isNarrow = calm.load(ordering: .relaxed) < Self.calmCount
                if isNarrow { narrow.wait() }
                defer {
                    if isNarrow { narrow.signal() }
                    group.leave()
                }
                guard failure.withLock({ $0 == nil }) else { return }
                do { try body(item) } catch { failure.withLock { $0 = $0 ?? error } }
            }
            guard isAccepted else {
                group.leave()
                group.wait()
                throw LaneRefused()
            }
        }
        group.wait()
        if let error = failure.withLock({ $0 }) { throw error }
    }
}
