/// Keeps from asking a neighbour that does not answer: after some failures in a row it opens, and lets one attempt
/// through when a while has passed, which closes it or opens it for longer.
///
/// A value without a clock. Source: M. Nygard, "Release It!", "Circuit Breaker".
package struct CircuitBreaker: Sendable {
    package enum State: String, Sendable { case closed, open, halfOpen = "half-open" }

    package struct Settings: Sendable {
        /// Failures in a row that open it.
        package var failures = 5
        /// Seconds between attempts while it is closed; doubled with each failure.
        package var firstPause = 0.1
        /// Seconds that it is open at first; doubled each time the attempt fails.
        package var firstOpening = 1.0
        package var longestOpening = 60.0

        package init() {}
    }

    private let settings: Settings
    private(set) var failures = 0
    private var openings = 0
    /// On the caller's clock, in seconds; before then nothing is tried.
    package private(set) var next = 0.0

    package init(_ settings: Settings = Settings()) { self.settings = settings }

    package func state(at now: Double) -> State {
        guard failures >= settings.failures else { return .closed }
        return now < next ? .open : .halfOpen
    }

    package mutating func succeed() {
        failures = 0
        openings = 0
        next = 0
    }

    /// - Parameter chance: from 0 to 1: spreads the attempts of many who failed at the same time.
    package mutating func fail(at now: Double, chance: Double) {
        failures += 1
        let bound: Double
        if failures < settings.failures {
            bound = settings.firstPause * Double(1 << min(failures - 1, 16))
        } else {
            bound = min(settings.longestOpening, settings.firstOpening * Double(1 << min(openings, 16)))
            openings += 1
        }
        next = now + bound * (0.5 + chance / 2)
    }
}
