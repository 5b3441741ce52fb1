import Model
import Synchronization

/// What the commit loop did, for whoever watches it.
public final class CommitMetrics: Sendable {
    private let batches = Histogram(bounds: [1, 2, 4, 8, 16, 32, 64, 128, 256])
    private let durations = Histogram()
    private let holds = Histogram(
        bounds: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1])
    private let failures = Atomic<UInt64>(0)

    func committed(_ changes: Int, since start: ContinuousClock.Instant) {
        batches.add(Double(changes))
        durations.add(ContinuousClock.now - start)
    }

    func maintenanceHeld(_ duration: Duration) { holds.add(duration) }

    func failed() { failures.add(1, ordering: .relaxed) }

    /// Changes of each batch.
    public var batchSizes: HistogramCounts { batches.counts }
    /// From a batch being taken to its callers being answered.
    public var seconds: HistogramCounts { durations.counts }
    /// How long transactions in which the store maintains itself held the catalog's writer for that: deciding and writing
    /// the rows, and committing them. The wait for the log's stable storage, which every batch has, is not in it. And how
    /// long writers waited for the write-ahead log to begin anew.
    public var maintenanceHoldSeconds: HistogramCounts { holds.counts }
    /// Batches that did not become durable, or of which it is not known.
    public var failedBatches: UInt64 { failures.load(ordering: .relaxed) }
}
