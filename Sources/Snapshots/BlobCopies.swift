import Catalog
import Dispatch
import Model
import ObjectStore
import Synchronization
import Volumes

/// Copies blobs to a repository, many at a time (``CopyBatch``), and little at once while requests are there.
///
/// Synchronous: the caller waits until what it asked for is done.
final class BlobCopies: Sendable {
    /// They wait for the same disk most of the time, or, where the repository is an endpoint, for its answers. Syncs that
    /// wait at the same time are one to the disk.
    private static let threadCount = 16
    /// So many work while whoever paces the copy keeps it waiting: what is under way when it is to rest has to be little.
    private static let pacedCount = 2
    /// For so long after one was kept waiting, somebody is there to feel it; and who begins does not know yet.
    private static let caution = Duration.seconds(1)
    /// A step was kept waiting.
    private static let wait = Duration.milliseconds(2)

    private let inspection: StoreInspection
    private let target: any Volume
    private let pace: SnapshotPace
    private let lane: any Lane
    private let waited = Mutex(ContinuousClock.now)
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
    func copy(_ rows: [BlobRow]) throws -> CopyBatch.Report {
        let batch = CopyBatch(to: target, lane: lane) { [self] work in
            let isNarrow = waited.withLock { ContinuousClock.now - $0 < Self.caution }
            if isNarrow { narrow.wait() }
            defer { if isNarrow { narrow.signal() } }
            try work()
            try spent(0)
        }
        return try batch.copy(rows, length: \.length) { [self] in try stage($0) }
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

    private func spent(_ byteCount: Int) throws {
        let start = ContinuousClock.now
        try pace(byteCount)
        let end = ContinuousClock.now
        if end - start >= Self.wait { waited.withLock { $0 = end } }
    }
}
