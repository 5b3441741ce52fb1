import Model

/// When the scrub may read on: after each piece it has read it is told how long to wait, so that a pass ends in
/// time, requests do not feel it, and repairs and refills come first. Pure: the clock, the window and the load are
/// given to it.
public struct ScrubPacer: Sendable {
    public private(set) var governor = LoadGovernor()
    /// When the bytes read so far are paid for, at the pass's rate.
    private var paidUntil: Double?

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

    /// Requests that were answered while the scrub rested.
    public mutating func rested(_ load: LatencyCounts) { governor.observe(load, whileReading: false) }

    /// Whether anything may be read now.
    public static func isAllowed(
        isPaused: Bool, isAsked: Bool, window: ScrubWindow, minute: Int, isRepairing: Bool
    ) -> Bool {
        if isPaused || isRepairing { return false }
        return isAsked || window.contains(minute: minute)
    }
}
