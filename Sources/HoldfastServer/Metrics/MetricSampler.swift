import Catalog
import Foundation
import Logging
import Model
import ObjectStore
import Synchronization

/// Looks from time to time at what is too dear to look at whenever somebody asks for the metrics: rows of the catalog,
/// versions that are affected, room on the volumes. It counts page by page and rests between (``SamplingPace``).
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
    /// Rows that are counted at once: some tenths of a millisecond.
    private static let pageCount = 1024

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
        await SamplingPace.repeat(every: Self.interval, "counting for the metrics", logger) { pace in
            let sample = try look(&pace)
            last.withLock { $0 = sample }
        }
    }

    private func look(_ pace: inout SamplingPace) throws -> Sample {
        var sample = Sample(taken: .now())
        for table in CountedTable.allCases {
            var (rows, place) = try store.countRows(of: table, behind: nil, limit: Self.pageCount)
            while let behind = place {
                try pace.rest()
                let page = try store.countRows(of: table, behind: behind, limit: Self.pageCount)
                (rows, place) = (rows + page.rows, page.place)
            }
            sample.rows.append((table.rawValue, rows))
        }
        sample.affected = try affected(&pace)
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

    private func affected(
        _ pace: inout SamplingPace
    ) throws -> [EventAffectedVersion.State: (versions: Int, bytes: UInt64)] {
        var counts: [EventAffectedVersion.State: (versions: Int, bytes: UInt64)] = [:]
        var next: SequenceNumber? = .zero
        while let last = next {
            let page = try store.affectedStates(after: last, limit: Self.pageCount)
            for version in page.versions {
                counts[version.state, default: (0, 0)].versions += 1
                counts[version.state, default: (0, 0)].bytes += version.size
            }
            next = page.last
            if next != nil { try pace.rest() }
        }
        return counts
    }
}
