import Synchronization

/// How often a measured value came out at or below each of a few bounds: what Prometheus makes quantiles of.
public struct HistogramCounts: Sendable, Equatable {
    /// Rising, in the unit of what is measured.
    public let bounds: [Double]
    /// Of the values up to each bound and above the one before; at the end, of those above all of them.
    public private(set) var counts: [UInt64]
    /// Of all values.
    public private(set) var sum = 0.0

    public init(bounds: [Double]) {
        precondition(zip(bounds, bounds.dropFirst()).allSatisfy(<), "bounds rise")
        self.bounds = bounds
        counts = [UInt64](repeating: 0, count: bounds.count + 1)
    }

    public var count: UInt64 { counts.reduce(0, +) }

    public mutating func add(_ value: Double) {
        var index = 0
        // Few bounds, and most values are small: quicker than a search by halves.
        while index < bounds.count, value > bounds[index] { index += 1 }
        counts[index] += 1
        sum += value
    }

    public mutating func add(_ other: HistogramCounts) {
        precondition(other.bounds == bounds, "what is added up is measured alike")
        for index in counts.indices { counts[index] += other.counts[index] }
        sum += other.sum
    }

    /// From a tenth of a millisecond to half a minute.
    public static let secondsBounds: [Double] = [
        0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
    ]
}

/// A histogram that several threads add to.
public final class Histogram: Sendable {
    private let counted: Mutex<HistogramCounts>

    public init(bounds: [Double] = HistogramCounts.secondsBounds) {
        counted = Mutex(HistogramCounts(bounds: bounds))
    }

    public func add(_ value: Double) { counted.withLock { $0.add(value) } }

    /// Adds a duration, in seconds.
    public func add(_ duration: Duration) { add(duration.inSeconds) }

    public var counts: HistogramCounts { counted.withLock { $0 } }
}

extension Duration {
    public var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
