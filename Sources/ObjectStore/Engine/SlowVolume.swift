import Model

/// Finds a volume whose disk still answers, and takes so much longer than the others that every write waits for it (DESIGN
/// invariant 9). Disks often are slow before they fail.
///
/// Looked at is how long each takes to make a batch of the log durable: every change does that on every volume, so that they are
/// compared over the same work. A disk that is slow for a moment has many quick batches around it, and the median does not
/// show it. Pure: it is told what was measured, and when.
package struct SlowVolumeWatch: Sendable {
    /// What is compared, and for how long at least.
    static let windowSeconds: UInt64 = 30
    /// Batches within the window: a disk that takes seconds for each has few.
    static let fewest: UInt64 = 4
    /// Seconds that its median batch takes at least; any healthy disk that is asked too much is quicker.
    static let floor = 0.5
    /// How many times as long as the slowest of the others.
    static let factor = 10.0

    package struct Finding: Equatable {
        package let volume: Int
        package let reason: String
    }

    private var window: (begun: Timestamp, counts: [Int: HistogramCounts])?

    package init() {}

    /// - Parameters:
    ///   - counts: seconds of all appends so far, by volume in service.
    /// - Returns: the volume that is to be set aside. `nil` where one is aside already: two are as few as may be.
    package mutating func look(_ counts: [Int: HistogramCounts], at now: Timestamp) -> Finding? {
        guard counts.count == Limits.volumeCount else {
            window = nil
            return nil
        }
        guard let window, window.counts.keys == counts.keys,
            counts.allSatisfy({ $1.count >= window.counts[$0]?.count ?? 0 })
        else {
            window = (now, counts)
            return nil
        }
        guard now.microseconds >= window.begun.microseconds + Self.windowSeconds * 1_000_000 else {
            return nil
        }
        self.window = (now, counts)
        var medians: [(volume: Int, seconds: ClosedRange<Double>)] = []
        for (volume, count) in counts {
            guard let earlier = window.counts[volume],
                let median = count.median(since: earlier, ofAtLeast: Self.fewest)
            else { return nil }
            medians.append((volume, median))
        }
        medians.sort { $0.seconds.upperBound > $1.seconds.upperBound }
        let (slow, next) = (medians[0], medians[1].seconds.upperBound)
        guard slow.seconds.lowerBound >= max(Self.floor, next * Self.factor) else { return nil }
        return Finding(
            volume: slow.volume,
            reason:
                "its disk takes more than \(slow.seconds.lowerBound) s to make a batch durable, the others less than \(next)"
        )
    }
}

extension HistogramCounts {
    /// Between which bounds the median of the values is that were added since an earlier state of the same histogram.
    /// - Returns: `nil` for too few of them.
    func median(since earlier: HistogramCounts, ofAtLeast fewest: UInt64) -> ClosedRange<Double>? {
        let added = zip(counts, earlier.counts).map { $0 - $1 }
        let count = added.reduce(0, +)
        guard count >= max(fewest, 1) else { return nil }
        var before: UInt64 = 0
        for (index, number) in added.enumerated() {
            before += number
            guard before * 2 >= count else { continue }
            return (index == 0 ? 0 : bounds[index - 1])...(index < bounds.count ? bounds[index] : .infinity)
        }
        return nil
    }
}
