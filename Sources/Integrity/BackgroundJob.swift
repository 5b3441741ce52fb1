import Synchronization
import Volumes

/// Work of a check that goes on beside the check's own thread.
///
/// It is submitted at once and waited for later; on an inline lane it has ended by then, so a simulated check
/// runs in one order.
final class BackgroundJob<Value: Sendable>: Sendable {
    private enum State {
        case running
        case awaited(UnsafeContinuation<Value, any Error>)
        case ended(Result<Value, any Error>)
    }

    private let state = Mutex(State.running)

    init(on lane: any Lane, _ work: @escaping @Sendable () throws -> Value) {
        let isAccepted = lane.submit { self.end(Result(catching: work)) }
        if !isAccepted { end(.failure(LaneRefused())) }
    }

    private func end(_ result: Result<Value, any Error>) {
        let waiter = state.withLock { state -> UnsafeContinuation<Value, any Error>? in
            defer { state = .ended(result) }
            if case .awaited(let continuation) = state { return continuation }
            return nil
        }
        waiter?.resume(with: result)
    }

    /// What the work came to. One task asks, once.
    func value() async throws -> Value {
        try await withUnsafeThrowingContinuation { continuation in
            let ended = state.withLock { state -> Result<Value, any Error>? in
                if case .ended(let result) = state { return result }
                state = .awaited(continuation)
                return nil
            }
            if let ended { continuation.resume(with: ended) }
        }
    }
}
