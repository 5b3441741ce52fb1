import Foundation
import Logging
import Model
import ObjectStore
import Synchronization

/// Looks from time to time at what is too dear to look at whenever somebody asks for the metrics: rows of the catalog,
/// versions that are affected, room on the volumes. It takes no more than a twentieth of a thread's time, however large
/// the store is.
final class MetricSampler: Sendable {
    struct Volume: Sendable {
        let index: Int
        let freeBytes: Double
        let sizeBytes: Double
    }

    struct Sample: Sendable {
        var rows: [(table: String, rows: Int)] = []
        var affected: [EventAffectedVersion.State: (versions: Int, bytes: UInt64)] = [:]
        var volumes: [Volume] = []
        var catalogBytes: UInt64 = 0
        let taken: Timestamp
    }

    static let interval = Duration.seconds(5)
    /// How much longer it rests than it looked.
    static let restFactor = 19

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
        // A disk that hangs is set aside within its deadline, and not asked then.
        for status in store.volumeStatuses where status.standing == .inService {
            var room = statvfs()
            guard statvfs(status.path, &room) == 0 else { continue }
            sample.volumes.append(
                Volume(
                    index: status.index, freeBytes: Double(room.f_bavail) * Double(room.f_frsize),
                    sizeBytes: Double(room.f_blocks) * Double(room.f_frsize)))
        }
        for suffix in ["", "-wal"] {
            var status = stat()
            if stat(store.catalogPath + suffix, &status) == 0 {
                sample.catalogBytes += UInt64(status.st_size)
            }
        }
        return sample
    }
}
