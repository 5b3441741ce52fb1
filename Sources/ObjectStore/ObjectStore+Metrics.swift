import Catalog
import EventLog
import Model

/// What a store tells of its own work.
extension ObjectStore {
    public var commitMetrics: CommitMetrics { engine.ledger.metrics }
    public var logTimings: LogTimings { engine.ledger.log.timings }
    public var integrityCounts: IntegrityCounts { engine.counts }
    /// `nil` for a store that keeps no payloads in memory.
    public var payloadCacheCounts: PayloadCache.Counts? { engine.payloadCache?.counts }
    public var catalogPath: String { engine.settings.catalogPath }

    /// Looks at every row of some tables: takes as long as the catalog is large.
    public func catalogRowCounts() throws -> [(table: String, rows: Int)] {
        try engine.ledger.catalog.read { try $0.rowCounts() }
    }

    /// Versions that a mismatch affects or has affected, by how they stand. Looks at every one of them.
    public func affectedCounts() throws -> [EventAffectedVersion.State: (versions: Int, bytes: UInt64)] {
        try engine.ledger.catalog.read { try $0.affectedCounts() }
    }
}
