import NIOCore

/// How many requests of a class may be worked at at once, found from how long they take.
///
/// Every window of at least a tenth of a second and ten requests gives a mean latency, the *short* one; its slow moving
/// average is the *long* one. The limit moves by the gradient of the two: where requests take longer than they usually do,
/// work queues up somewhere below, and fewer are let in; where they do not, the limit grows by a few. A limit that is not
/// made use of stays as it is, since nothing was learnt of it.
///
/// What differs from the source: a latency below ``Bounds/comfort`` is nothing to act on. On an idle server a request takes
/// a fraction of a millisecond and beside fifty others ten times that, which is what a processor shared by fifty comes to
/// and no reason to turn anybody away.
///
/// Failure modes: a long average follows a latency that stays high, so that a server which is overloaded for minutes comes to
/// take that for usual; ``Bounds/maximum`` bounds what comes of it, and the deadline of the queue stays.
///
/// Source: Netflix concurrency-limits, `Gradient2Limit` and `WindowedLimit`
/// (https://github.com/Netflix/concurrency-limits), with its constants.
package struct AdaptiveLimit: Sendable {
    package struct Bounds: Sendable, Equatable {
        package var minimum: Int
        package var initial: Int
        package var maximum: Int
        /// Latencies up to this one are good.
        package var comfort: TimeAmount

        package init(minimum: Int, initial: Int, maximum: Int, comfort: TimeAmount) {
            precondition(1 <= minimum && minimum <= initial && initial <= maximum, "bounds are in order")
            self.minimum = minimum
            self.initial = initial
            self.maximum = maximum
            self.comfort = comfort
        }
    }

    static let shortestWindow = TimeAmount.milliseconds(100)
    static let longestWindow = TimeAmount.seconds(1)
    static let windowCount = 10
    /// How much longer than usual requests may take before the limit shrinks.
    static let tolerance = 1.5
    /// How much of what a window asks for is done.
    static let smoothing = 0.2
    /// Windows that the long average looks back over.
    static let longWindow = 600.0
    /// Windows of which the long average is the mean at first.
    static let warmUp = 10.0
    /// By how much the limit grows: a queue that short is no queue.
    static let headroom = 4.0

    private let bounds: Bounds
    private let isAdaptive: Bool
    private var estimate: Double
    private var windowStart: NIODeadline?
    private var count = 0
    private var sum = 0.0
    private var mostInFlight = 0
    private var long = 0.0
    private var windows = 0.0

    /// - Parameter isAdaptive: `false` for a limit that is always the maximum.
    package init(_ bounds: Bounds, isAdaptive: Bool = true) {
        self.bounds = bounds
        self.isAdaptive = isAdaptive
        estimate = Double(isAdaptive ? bounds.initial : bounds.maximum)
    }

    package var value: Int { Int(estimate) }

    /// Takes notice of a request that was answered well.
    /// - Parameters:
    ///   - latency: what the server needed, without what it waited for the client.
    ///   - inFlight: requests that were worked at then, this one included.
    package mutating func observe(_ latency: TimeAmount, inFlight: Int, at now: NIODeadline) {
        guard isAdaptive else { return }
        let start = windowStart ?? now
        windowStart = start
        count += 1
        sum += Double(max(0, latency.nanoseconds))
        mostInFlight = max(mostInFlight, inFlight)
        let age = now - start
        guard age >= Self.shortestWindow, count >= Self.windowCount || age >= Self.longestWindow else {
            return
        }
        let short = sum / Double(count)
        let used = mostInFlight
        windowStart = now
        (count, sum, mostInFlight) = (0, 0, 0)
        adjust(short: short, used: used)
    }

    private mutating func adjust(short: Double, used: Int) {
        windows += 1
        let factor = windows <= Self.warmUp ? 1 / windows : 2 / (Self.longWindow + 1)
        long += (short - long) * factor
        // After a time of overload it comes down sooner than the average would.
        if long > 2 * short { long *= 0.95 }
        guard Double(used) >= estimate / 2 else { return }
        let usual = max(long, Double(bounds.comfort.nanoseconds))
        let gradient = max(0.5, min(1, Self.tolerance * usual / max(short, 1)))
        let wanted = estimate * gradient + Self.headroom
        let next = estimate * (1 - Self.smoothing) + wanted * Self.smoothing
        estimate = max(Double(bounds.minimum), min(Double(bounds.maximum), next))
    }
}
