import Model
import Synchronization

/// What the commit loop did, for whoever watches it.
public final class CommitMetrics: Sendable {
    private let batches = Histogram(bounds: [1, 2, 4, 8, 16, 32, 64, 128, 256])
    private let durations = Histogram()
    private let failures = Atomic<UInt64>(0)

    func committed(_ changes: Int, since start: ContinuousClock.Instant) {
        batches.add(Double(changes))
        durations.add(ContinuousClock.now - start)
    }

    func failed() { failures.add(1, ordering: .relaxed) }

    /// Changes of each batch.
    public var batchSizes: HistogramCounts { batches.counts }
    /// From a batch being taken to its callers being answered.
    public var seconds: HistogramCounts { durations.counts }
    /// Batches that did not become durable, or of which it is not known.
    public var failedBatches: UInt64 { failures.load(ordering: .relaxed) }
}
