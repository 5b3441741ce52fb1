import Model

/// How long each mirror takes to append a batch and to have it on stable storage. The slowest of a quorum is what a
/// write waits for.
public final class LogTimings: Sendable {
    private let appends = (0..<Limits.volumeCount).map { _ in Histogram() }

    func appended(_ mirror: Int, since start: ContinuousClock.Instant) {
        guard appends.indices.contains(mirror - 1) else { return }
        appends[mirror - 1].add(ContinuousClock.now - start)
    }

    /// Seconds, by volume.
    public var appendSeconds: [(volume: Int, seconds: HistogramCounts)] {
        appends.enumerated().map { ($0.offset + 1, $0.element.counts) }
    }
}
