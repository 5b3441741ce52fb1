import Synchronization

/// Bounds the bytes of a second, over all that is copied at once; or, where nobody says how many, lets others go first.
public final class BytePace: Sendable {
    private let rate: UInt64
    private let wait: @Sendable (ContinuousClock.Instant) async throws -> Void
    private let room: @Sendable () throws -> Void
    /// When what was copied so far was due.
    private let due = Mutex(ContinuousClock.now)

    /// - Parameters:
    ///   - rate: 0 for as fast as it goes.
    ///   - room: asked where there is no rate; returns when what else is to be done has had its turn. May block its thread.
    public convenience init(rate: UInt64, room: @escaping @Sendable () throws -> Void = {}) {
        self.init(rate: rate, room: room) { try await Task.sleep(until: $0) }
    }

    /// - Parameter wait: returns at an instant that has not come yet.
    package init(
        rate: UInt64, room: @escaping @Sendable () throws -> Void = {},
        wait: @escaping @Sendable (ContinuousClock.Instant) async throws -> Void
    ) {
        self.rate = rate
        self.room = room
        self.wait = wait
    }

    /// Told of bytes that were copied; returns when the next may be.
    /// - Throws: `CancellationError`.
    public func spent(_ byteCount: Int) async throws {
        try Task.checkCancellation()
        guard rate > 0 else { return try room() }
        let next = due.withLock { due in
            due = max(due, .now).advanced(by: .seconds(Double(byteCount) / Double(rate)))
            return due
        }
        if next > .now { try await wait(next) }
    }
}
