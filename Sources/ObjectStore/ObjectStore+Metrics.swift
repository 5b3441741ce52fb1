import Catalog
import EventLog
import Model

/// What a store tells of its own work.
extension ObjectStore {
    public var commitMetrics: CommitMetrics { engine.ledger.metrics }
    public var logTimings: LogTimings { engine.ledger.log.timings }
    public var integrityCounts: IntegrityCounts { engine.counts }
    /// How long the commit thread has been at the batch it took last; zero when nothing waits for it. One that grows
    /// beyond every deadline is a thread that hangs.
    public var commitBusyTime: Duration { engine.ledger.busyTime }
    /// Why no change can be made, besides volumes that are out of service; `nil` if it can.
    public var commitObstacle: String? { engine.ledger.log.brokenReason }
    /// `nil` for a store that keeps no payloads in memory.
    public var payloadCacheCounts: PayloadCache.Counts? { engine.payloadCache?.counts }
    public var catalogPath: String { engine.settings.catalogPath }

    /// A page of the count of a table's rows.
    /// - Returns: how many rows were counted, and where to go on; `nil` behind the last one.
    public func countRows(
        of table: CountedTable, behind place: CountPlace?, limit: Int
    ) throws -> (rows: Int, place: CountPlace?) {
        try engine.ledger.catalog.read { try $0.countRows(of: table, behind: place, limit: limit) }
    }

    /// A page of the versions that a mismatch affects or has affected, each as it stands.
    public func affectedStates(after last: SequenceNumber, limit: Int) throws -> AffectedPage {
        try engine.ledger.catalog.read { try $0.affectedStates(after: last, limit: limit) }
    }

    /// The newest events that tell of findings, repairs, volumes and incidents, the newest first; so many of each kind.
    public func notableEvents(limit: Int) throws -> [SequenceNumber] {
        try engine.ledger.catalog.read { try $0.notableEvents(limit: limit) }
    }
}
