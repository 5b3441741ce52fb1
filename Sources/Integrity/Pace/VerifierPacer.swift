/// How much of the time the completion verifier reads: a set share while confirmations keep up, and more the further they
/// are behind, up to all of it. So requests have the devices to themselves most of the time, and what waits to be confirmed
/// is bounded all the same by what the devices can do. Pure: it is told how long a read took and how much waits.
public struct VerifierPacer: Sendable, Equatable {
    /// Events that may wait without hurry: two confirmations' worth.
    static let easyCount = 2.0 * Double(CompletionVerifier.batchCount)
    /// With so many it does not rest.
    static let urgentCount = 4.0 * easyCount
    /// Shorter ones are put together, in seconds.
    static let shortestRest = 0.02
    /// No rest is longer, in seconds: the lag is looked at again.
    static let longestRest = 0.25

    /// Of the time, from 0 to 1; 1 for without rest.
    public let share: Double

    /// - Parameter share: more than 0, and at most 1.
    public init(share: Double = 1) {
        precondition(share > 0 && share <= 1, "a share is a part of the time")
        self.share = share
    }

    /// The part of the time in which to read.
    /// - Parameter waiting: events behind the one that is confirmed.
    public func share(waiting: UInt64) -> Double {
        let hurry = (Double(waiting) - Self.easyCount) / (Self.urgentCount - Self.easyCount)
        return share + (1 - share) * min(1, max(0, hurry))
    }

    /// Seconds to rest after a read that took `seconds`.
    public func rest(afterReading seconds: Double, waiting: UInt64) -> Double {
        min(Self.longestRest, max(0, seconds) * (1 / share(waiting: waiting) - 1))
    }
}
