import Synchronization

/// One reader's place in a count of requests that only grows: each reader is told of every request, whoever else reads.
public final class LatencyReader: Sendable {
    private let total: @Sendable () -> LatencyCounts
    private let place: Mutex<LatencyCounts>

    /// - Parameter total: all requests so far. The reader begins behind them.
    public init(_ total: @escaping @Sendable () -> LatencyCounts) {
        self.total = total
        place = Mutex(total())
    }

    /// How long requests took that were answered since this was asked last.
    public func take() -> LatencyCounts {
        // The total is looked at under the lock: of two who ask at once the later one has the greater total.
        place.withLock { place in
            let now = total()
            defer { place = now }
            return now.since(place)
        }
    }
}
