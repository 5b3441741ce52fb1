import Catalog
import EventLog
import Model
import Volumes

/// Brings a catalog up to its log.
enum CatalogReplay {
    static let batchCount = 4096

    /// - Parameter walLimit: what the catalog's write-ahead log may have grown to by the end of a batch, in bytes.
    /// - Returns: the number of events applied.
    @discardableResult
    static func run(
        log: EventLog, catalog: Catalog, through last: SequenceNumber? = nil,
        walLimit: UInt64 = Catalog.replayedWalLimit
    ) throws -> Int {
        var count = 0
        while true {
            let applied = try catalog.withWriter { writer -> Int in
                let position = try writer.reader.position()
                let left = last.map { $0.rawValue - min($0.rawValue, position.sequence.rawValue) }
                let limit = left.map { Int(min($0, UInt64(batchCount))) } ?? batchCount
                let events = try log.events(from: position.sequence.next, limit: limit)
                guard !events.isEmpty else { return 0 }
                try writer.transaction { for event in events { try writer.apply(event) } }
                return events.count
            }
            if applied == 0 { return count }
            count += applied
            try catalog.boundWriteAheadLog(to: walLimit)
        }
    }
}

extension Catalog {
    /// What the write-ahead log of a catalog may grow to while events are applied, before it is emptied.
    package static let replayedWalLimit: UInt64 = 64 * 1024 * 1024

    /// Between events that are applied, many at once: SQLite never does it by itself here, and a log of many events would
    /// take as much space again. While somebody reads, it goes on growing until the next call.
    package func boundWriteAheadLog(to limit: UInt64 = Catalog.replayedWalLimit) throws {
        // SQLite's files are of the real file system, whatever the volumes are on.
        if try RealFileSystem().status(of: walPath)?.size ?? 0 > limit { try emptyWriteAheadLog() }
    }
}
