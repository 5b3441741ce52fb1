import Catalog
import Dispatch
import Model
import ObjectStore
import Synchronization
import Volumes

/// Copies blobs to a repository, several at a time: each waits for three syncs, which others use.
///
/// Synchronous: the caller waits until what it asked for is done.
final class BlobCopies: Sendable {
    /// More wait for the same disk.
    private static let threadCount = 4
    /// So many wait at once: fewer than the lane takes.
    private static let batchCount = 512

    /// What became of one.
    private enum Outcome: Sendable {
        case copied(UInt64)
        case present
        /// No volume has it good.
        case lost
        case failed(any Error)
    }

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
        for start in stride(from: 0, to: rows.count, by: Self.batchCount) {
            report += try copyBatch(rows[start..<min(start + Self.batchCount, rows.count)])
        }
        return report
    }

    private func copyBatch(_ rows: ArraySlice<BlobRow>) throws -> Report {
        let results = Mutex<[(id: BlobID, outcome: Outcome)]>([])
        let isCutOff = Atomic(false)
        let group = DispatchGroup()
        for row in rows {
            group.enter()
            let isAccepted = lane.submit {
                if !isCutOff.load(ordering: .relaxed) {
                    let outcome = self.copy(row)
                    if case .failed = outcome { isCutOff.store(true, ordering: .relaxed) }
                    results.withLock { $0.append((row.id, outcome)) }
                }
                group.leave()
            }
            guard isAccepted else {
                group.leave()
                group.wait()
                throw LaneRefused()
            }
        }
        group.wait()
        var report = Report()
        for (id, outcome) in results.withLock({ $0 }) {
            switch outcome {
            case .failed(let error): throw error
            case .lost: lostBlobs.withLock { _ = $0.insert(id) }
            case .present: lostBlobs.withLock { _ = $0.remove(id) }
            case .copied(let count):
                lostBlobs.withLock { _ = $0.remove(id) }
                report.blobs += 1
                report.bytes += count
            }
        }
        return report
    }

    private func copy(_ row: BlobRow) -> Outcome {
        do {
            let count = try inspection.export(
                row.id, length: row.length, sha256: row.sha256, to: target, pace: pace)
            return count.map { .copied($0) } ?? .present
        } catch is BlobFlaw { return .lost } catch { return .failed(error) }
    }
}
