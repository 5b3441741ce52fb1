import Model

/// When the scrub may read on: after each piece it has read it is told how long to wait, so that a pass ends in
/// time, requests do not feel it, and repairs and refills come first. Pure: the clock, the window and the load are
/// given to it.
public struct ScrubPacer: Sendable {
    public private(set) var governor = LoadGovernor()
    /// When the bytes read so far are paid for, at the pass's rate.
    private var paidUntil: Double?
    /// Since when it reads a part of the time.
    private var busySince: Double?

    /// It reads for so many seconds, at the share that it has; then, if requests came, not at all for some.
    static let busySeconds = 2.0
    static let calmSeconds = 0.5
    /// Requests that began while it read end within this, mostly: they say nothing of the calm.
    static let settlingSeconds = 0.05

    public init() {}

    public enum Verdict: Sendable, Equatable {
        case go
        /// Ask again after so many seconds.
        case rest(Double)
    }

    /// Something was read.
    /// - Parameters:
    ///   - rate: bytes per second; `nil` for as fast as requests allow.
    ///   - seconds: how long it took.
    ///   - now: in seconds.
    /// - Returns: when it may go on at the earliest, in seconds.
    public mutating func spend(
        _ byteCount: Int, seconds: Double, rate: Double?, load: LatencyCounts, at now: Double
    ) -> Double {
        busySince = busySince ?? now - seconds
        governor.observe(load, whileReading: true)
        let rested = now + governor.rest(afterReading: seconds)
        guard let rate else {
            paidUntil = nil
            return rested
        }
        // Time that was not used is not made up for.
        let paid = max(paidUntil ?? now - seconds, now - seconds) + Double(byteCount) / rate
        paidUntil = paid
        return max(rested, paid)
    }

    /// Requests that were answered in the rest after a read: what was read before is felt in it, too.
    public mutating func rested(_ load: LatencyCounts) {
        if load.count > 0 { governor.observe(load, whileReading: true) }
    }

    /// Whether it is time to read nothing for a while, to see how long requests take then; `nil` if it is not.
    /// - Returns: seconds in which what is answered does not count, and seconds in which it does.
    public func calm(at now: Double) -> (settling: Double, counting: Double)? {
        guard governor.needsCalm, let busySince, now - busySince >= Self.busySeconds else { return nil }
        return (Self.settlingSeconds, Self.calmSeconds)
    }

    /// Requests that were answered in the calm, which is over.
    public mutating func calmed(_ load: LatencyCounts) {
        busySince = nil
        governor.observe(load, whileReading: false)
    }

    /// Whether anything may be read now.
    public static func isAllowed(
        isPaused: Bool, isAsked: Bool, window: ScrubWindow, minute: Int, isRepairing: Bool
    ) -> Bool {
        if isPaused || isRepairing { return false }
        return isAsked || window.contains(minute: minute)
    }
}
