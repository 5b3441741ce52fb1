import Catalog
import EventLog
import Model
import Volumes

/// The ledger of one process: the mirrored event log, and the SQLite catalog computed from it. Nothing else
/// knows both.
final class EmbeddedLedger: Ledger {
    let log: EventLog
    let catalog: Catalog
    private let loop: CommitLoop

    init(log: EventLog, catalog: Catalog, volumes: VolumeSet, lane: any Lane, cache: PayloadCache?) {
        self.log = log
        self.catalog = catalog
        loop = CommitLoop(log: log, catalog: catalog, volumes: volumes, lane: lane, cache: cache)
    }

    func commit<Outcome: Sendable>(_ proposal: Proposal<Outcome>) async throws -> Committed<Outcome> {
        try await withUnsafeThrowingContinuation { continuation in
            let pending = PendingProposal(proposal) { continuation.resume(with: $0) }
            if !loop.submit(.change(pending)) {
                pending.fail(StoreError.busy("the commit queue is full"))
            }
        }
    }

    /// Commits without waiting for the outcome, which `completion` hears of.
    func propose<Outcome: Sendable>(
        _ proposal: Proposal<Outcome>,
        completion: @escaping @Sendable (Result<Committed<Outcome>, any Error>) -> Void
    ) {
        let pending = PendingProposal(proposal, completion: completion)
        if !loop.submit(.change(pending)) { pending.fail(StoreError.busy("the commit queue is full")) }
    }

    /// Runs `body` on the commit thread, with nothing staged and nothing being appended.
    /// - Returns: `false` if the commit queue is full or closed, and `body` will not run.
    func exclude(_ body: @escaping @Sendable () -> Void) -> Bool { loop.submit(.control(body)) }

    func read<Result>(_ body: (any LedgerView) throws -> Result) throws -> Result {
        try catalog.read { try body(CatalogView($0)) }
    }

    func currentVersion(_ bucket: BucketName, _ key: ObjectKey) throws -> ObjectVersion? {
        try catalog.currentVersion(bucket, key)
    }

    func bucket(_ name: BucketName) throws -> Bucket? { try catalog.bucket(name) }

    var head: LogPosition { log.head }
    var queueDepth: Int { loop.depth }
    var busyTime: Duration { loop.busyTime }
    var metrics: CommitMetrics { loop.metrics }

    func events(from sequence: SequenceNumber, limit: Int) throws -> [LoggedEvent] {
        try log.events(from: sequence, limit: limit)
    }

    func waitForEvents(after sequence: SequenceNumber) async { await log.waitForEvents(after: sequence) }

    func payloadIfCached(of sequence: SequenceNumber) -> [UInt8]? { log.payloadIfCached(of: sequence) }

    func payload(of sequence: SequenceNumber) throws -> [UInt8] { try log.payload(of: sequence) }

    /// Opens the log again in place, and brings the catalog up to it; if that fails, the next commit does. On the
    /// commit thread.
    func reopenLog(_ mirrors: [LogMirror]) throws -> LogRecovery {
        loop.expectCatalogBehind()
        let recovery = try log.reopen(mirrors)
        try loop.catchUpCatalog()
        return recovery
    }

    /// Ends the commit thread after what is queued, and wakes who follows the log.
    func close() {
        loop.close()
        log.close()
    }
}
