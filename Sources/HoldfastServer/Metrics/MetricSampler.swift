import Foundation
import Logging
import Model
import ObjectStore
import Synchronization

/// Looks from time to time at what is too dear to look at whenever somebody asks for the metrics: rows of the catalog,
/// versions that are affected, room on the volumes. It takes no more than a hundredth of a thread's time, however large
/// the store is: it counts rows at once, which p99 feels.
final class MetricSampler: Sendable {
    struct Sample: Sendable {
        var rows: [(table: String, rows: Int)] = []
        var affected: [EventAffectedVersion.State: (versions: Int, bytes: UInt64)] = [:]
        var volumes: [VolumeRoom] = []
        /// Of the file system that the state directory is on.
        var state: (free: UInt64, total: UInt64)?
        var catalogBytes: UInt64 = 0
        let taken: Timestamp
    }

    static let interval = Duration.seconds(5)
    /// How much longer it rests than it looked.
    static let restFactor = 99

    private let store: ObjectStore
    private let logger: Logger
    private let last = Mutex<Sample?>(nil)

    init(_ store: ObjectStore, _ logger: Logger) {
        self.store = store
        self.logger = logger
    }

    /// `nil` until it has looked once.
    var sample: Sample? { last.withLock { $0 } }

    /// Until the task is cancelled; on a thread that may wait for disks.
    func run() async {
        while !Task.isCancelled {
            let start = ContinuousClock.now
            do {
                let sample = try look()
                last.withLock { $0 = sample }
            } catch {
                logger.error("counting for the metrics: \(error)")
            }
            let rest = max(Self.interval, (ContinuousClock.now - start) * Self.restFactor)
            // Cancelled while it sleeps, the loop ends above.
            try? await Task.sleep(for: rest)
        }
    }

    private func look() throws -> Sample {
        var sample = Sample(taken: .now())
        sample.rows = try store.catalogRowCounts()
        sample.affected = try store.affectedCounts()
        sample.volumes = VolumeRoom.ofVolumes(in: store)
        // What cannot be asked has no sample; the others have theirs.
        sample.state = try? store.inspection.stateSpace()
        for suffix in ["", "-wal"] {
            var status = stat()
            if stat(store.catalogPath + suffix, &status) == 0 {
                sample.catalogBytes += UInt64(status.st_size)
            }
        }
        return sample
    }
}
