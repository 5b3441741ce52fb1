import NIOCore

/// So much a second, and a reserve for bursts.
///
/// What is taken may exceed what is there (how long an answer is, is known when it has been sent): the bucket is then in
/// debt, and gives nothing until that is paid.
package struct TokenBucket: Sendable {
    package let rate: Double
    package let burst: Double
    private var tokens: Double
    private var updated: NIODeadline

    /// - Parameters:
    ///   - rate: tokens a second, above 0.
    ///   - burst: tokens at most, and at first.
    package init(rate: Double, burst: Double, at now: NIODeadline) {
        precondition(rate > 0 && burst > 0, "a bucket fills, and holds something")
        self.rate = rate
        self.burst = burst
        tokens = burst
        updated = now
    }

    private mutating func refill(_ now: NIODeadline) {
        guard now > updated else { return }
        tokens = min(burst, tokens + rate * Double((now - updated).nanoseconds) / 1e9)
        updated = now
    }

    /// Until so many are there; zero if they are.
    package mutating func wait(for count: Double, at now: NIODeadline) -> TimeAmount {
        refill(now)
        let missing = min(count, burst) - tokens
        guard missing > 0 else { return .zero }
        // A debt of years is told as a year.
        return .nanoseconds(Int64(min(missing / rate, 31_536_000) * 1e9) + 1)
    }

    package mutating func take(_ count: Double, at now: NIODeadline) {
        refill(now)
        tokens -= count
    }

    package mutating func giveBack(_ count: Double) { tokens = min(burst, tokens + count) }
}
