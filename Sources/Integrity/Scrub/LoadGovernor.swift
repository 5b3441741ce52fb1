/// Keeps the scrub from being felt: compares the p99 of requests while it reads with that while it rests, and gives
/// it less of the time when they differ by more than a tenth. Pure: it is told what was measured.
///
/// The share falls by half and rises by little, so that it settles below what is felt. It never reaches all of the
/// time: without rests there would be nothing to compare with.
public struct LoadGovernor: Sendable, Equatable {
    static let tolerance = 1.1
    static let shares = 0.01...0.8
    /// Requests on either side that make a comparison.
    static let sampleCount = 200

    /// Of the time, the part in which the scrub may read.
    public private(set) var share = 0.25
    private var reading = LatencyCounts()
    private var resting = LatencyCounts()

    public init() {}

    /// Requests that were answered while the scrub read, or while it rested.
    public mutating func observe(_ counts: LatencyCounts, whileReading: Bool) {
        guard counts.count > 0 else {
            // Nobody is there to feel it.
            if whileReading { grow() }
            return
        }
        if whileReading { reading.add(counts) } else { resting.add(counts) }
        guard reading.count >= Self.sampleCount, resting.count >= Self.sampleCount,
            let disturbed = reading.quantile(0.99), let calm = resting.quantile(0.99)
        else { return }
        if disturbed > calm * Self.tolerance {
            share = max(Self.shares.lowerBound, share / 2)
        } else {
            grow()
        }
        reading = LatencyCounts()
        resting = LatencyCounts()
    }

    private mutating func grow() { share = min(Self.shares.upperBound, share * 1.1) }

    /// How long to rest after having read for so long.
    public func rest(afterReading seconds: Double) -> Double { seconds * (1 / share - 1) }
}
