import Foundation
import Logging

/// Keeps what samples from being felt: what is looked at page by page takes a tenth of a thread's time while it is looked at, and
/// a hundredth in the long run, however large the store is. A look at everything at once keeps a processor for as long as
/// the store is large, which the p99 of requests shows.
package struct SamplingPace {
    /// How much longer it rests than a page took, and than a whole look.
    private static let (pageRests, lookRests) = (9, 99)
    /// In a look whose pages wait for a disk, seconds.
    private static let longestRest = 0.25

    private var began = ContinuousClock.now
    private var worked = Duration.zero

    /// Looks again and again, until the task is cancelled. What fails is logged, and tried again in its time.
    /// - Parameters:
    ///   - interval: the least time between two looks.
    ///   - body: rests between its pages.
    package static func `repeat`(
        every interval: Duration, _ what: String, _ logger: Logger,
        _ body: (inout SamplingPace) throws -> Void
    ) async {
        while !Task.isCancelled {
            var pace = SamplingPace()
            do { try body(&pace) } catch is CancellationError { return } catch {
                logger.error("\(what): \(error)")
            }
            // Cancelled while it sleeps, the loop ends above.
            try? await Task.sleep(for: max(interval, pace.worked(at: .now) * lookRests))
        }
    }

    /// Between two pages. Blocks its thread.
    /// - Throws: `CancellationError`.
    package mutating func rest() throws {
        let now = ContinuousClock.now
        Thread.sleep(forTimeInterval: min(Self.longestRest, (now - began) * Self.pageRests / .seconds(1)))
        try Task.checkCancellation()
        worked = worked(at: now)
        began = .now
    }

    private func worked(at now: ContinuousClock.Instant) -> Duration { worked + (now - began) }
}
