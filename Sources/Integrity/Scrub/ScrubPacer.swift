import Model

/// When the scrub may read on, requests aside, of which ``LoadPace`` tells: a pass takes as long as its rate asks, and repairs and
/// refills come first. Pure: the clock and the window are given to it.
public struct ScrubPacer: Sendable {
    /// When the bytes read so far are paid for, at the pass's rate.
    private var paidUntil: Double?

    public init() {}

    /// Something was read.
    /// - Parameters:
    ///   - seconds: how long it took.
    ///   - rate: bytes per second; `nil` for as fast as requests allow.
    ///   - now: in seconds.
    /// - Returns: when it may go on at the earliest, in seconds.
    public mutating func spend(_ byteCount: Int, seconds: Double, rate: Double?, at now: Double) -> Double {
        guard let rate else {
            paidUntil = nil
            return now
        }
        // Time that was not used is not made up for.
        let paid = max(paidUntil ?? now - seconds, now - seconds) + Double(byteCount) / rate
        paidUntil = paid
        return max(now, paid)
    }

    /// Whether anything may be read now.
    public static func isAllowed(
        isPaused: Bool, isAsked: Bool, window: ScrubWindow, minute: Int, isRepairing: Bool
    ) -> Bool {
        if isPaused || isRepairing { return false }
        return isAsked || window.contains(minute: minute)
    }
}
