import Foundation

/// Keeps the scrub and jobs from being felt: compares how long requests take in stretches in which they work, a part of the
/// time, with stretches in which they do not at all, and gives them less of the time when the p99 of the ones is above that of
/// the others. Pure: it is told what was measured.
///
/// A p99 of a few hundred requests is a matter of chance: two of the same load differ by more than a tenth as often as not,
/// and a loop that believes each gives way until nothing is done. So thousands are compared, and what is counted is how many
/// requests took longer than the calm p99: one in a hundred if nothing is felt. It gives way only where there are more of them
/// than chance explains, and takes more only where there are not more of them.
///
/// The share falls by half and rises by little: it settles where about one request in eight hundred takes longer for it, which
/// moves a p99 by some hundredths. A tenth is what must not be felt. It never reaches all of the time: without rests there would
/// be nothing to compare with.
public struct LoadGovernor: Sendable, Equatable {
    static let shares = 0.01...0.8
    /// What it grows by at once.
    private static let growth = 1.1
    /// Requests on either side that make a comparison, and those that do when as many have not come in some minutes.
    static let sampleCount = 2000
    static let smallSampleCount = 300
    static let patientSeconds = 120.0
    /// Where chance might explain what is seen, so many times that are waited for.
    static let patience = 4
    /// Standard deviations that chance does not explain: once in fifty times it does.
    static let significance = 2.0

    /// The part before anything was compared, and while there is somebody who gives nothing to compare.
    static let firstShare = 0.1

    /// Of the time, the part in which there may be work.
    public private(set) var share = Self.firstShare
    private var working = LatencyCounts()
    private var resting = LatencyCounts()
    /// When the first of them was answered, about.
    private var since: Double?

    public init() {}

    /// Whether requests were seen with which the calm has to be compared.
    var needsCalm: Bool { working.count > 0 }

    /// Requests that were answered in a stretch in which there was work a part of the time, or none at all.
    /// - Parameter now: in seconds.
    public mutating func observe(_ counts: LatencyCounts, whileWorking: Bool, at now: Double) {
        guard counts.count > 0 else { return }
        let since = since ?? now
        self.since = since
        if whileWorking { working.add(counts) } else { resting.add(counts) }
        let wanted = now - since < Self.patientSeconds ? Self.sampleCount : Self.smallSampleCount
        guard working.count >= wanted, resting.count >= wanted, let calm = resting.quantile(0.99) else {
            return
        }
        let (number, others) = (Double(working.count), Double(resting.count))
        let expected = number / 100
        // The calm p99 is known from a sample, too.
        let deviation = (expected * (1 + number / others)).squareRoot()
        let excess = (working.count(above: calm) - expected) / deviation
        if excess > Self.significance {
            share = max(Self.shares.lowerBound, share / 2)
        } else if excess <= 0 {
            grow()
        } else if resting.count < wanted * Self.patience {
            return
        }
        working = LatencyCounts()
        resting = LatencyCounts()
        self.since = nil
    }

    /// Nobody is there to feel it: little by little it is as with a new server. What was learned of others would take many
    /// comparisons to unlearn.
    mutating func nobodyAsks() {
        share =
            share < Self.firstShare
            ? min(Self.firstShare, share * Self.growth) : max(Self.firstShare, share / Self.growth)
    }

    private mutating func grow() { share = min(Self.shares.upperBound, share * Self.growth) }

    /// How long to rest after having worked for so long.
    public func rest(afterWorking seconds: Double) -> Double {
        Self.rest(afterWorking: seconds, share: share)
    }

    static func rest(afterWorking seconds: Double, share: Double) -> Double { seconds * (1 / share - 1) }
}
