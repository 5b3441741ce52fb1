import Synchronization

/// Bounds the bytes of a second, over all that is copied at once.
public final class BytePace: Sendable {
    private let rate: UInt64
    private let wait: @Sendable (ContinuousClock.Instant) async throws -> Void
    /// When what was copied so far was due.
    private let due = Mutex(ContinuousClock.now)

    /// - Parameter rate: 0 for as fast as it goes.
    public convenience init(rate: UInt64) {
        self.init(rate: rate) { try await Task.sleep(until: $0) }
    }

    /// - Parameter wait: returns at an instant that has not come yet.
    package init(rate: UInt64, wait: @escaping @Sendable (ContinuousClock.Instant) async throws -> Void) {
        self.rate = rate
        self.wait = wait
    }

    /// Told of bytes that were copied; returns when the next may be.
    /// - Throws: `CancellationError`.
    public func spent(_ byteCount: Int) async throws {
        try Task.checkCancellation()
        guard rate > 0 else { return }
        let next = due.withLock { due in
            due = max(due, .now).advanced(by: .seconds(Double(byteCount) / Double(rate)))
            return due
        }
        if next > .now { try await wait(next) }
    }
}
