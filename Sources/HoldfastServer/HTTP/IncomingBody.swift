import NIOCore
import ObjectStore
import S3
import Synchronization

extension ByteBuffer: ByteChunk {
    public var count: Int { readableBytes }
    public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result
    {
        try withUnsafeReadableBytes(body)
    }
}

/// The bytes of a request between the connection that receives them and the task that works at them.
///
/// It holds no more than ``limit`` bytes and one read: the connection stops reading until some are taken.
package final class IncomingBody: RequestBody {
    package static let limit = 1024 * 1024

    private struct State {
        var buffers: [ByteBuffer] = []
        var first = 0
        var byteCount = 0
        /// Of all that came in.
        var received: UInt64 = 0
        var isEnded = false
        /// When its end came.
        var ended: NIODeadline?
        var failure: S3Error?
        var waiter: CheckedContinuation<ByteBuffer?, any Error>?
        /// The connection waits to be told that there is room.
        var isPaused = false
        /// The client waits for "100 Continue".
        var awaitsContinue: Bool
        /// What its request is worked at under.
        var permit: AdmissionPermit?

        mutating func takeWaiter() -> Waiter? {
            defer { waiter = nil }
            return waiter.map { Waiter(continuation: $0, permit: permit) }
        }

        mutating func take() -> ByteBuffer? {
            guard first < buffers.count else { return nil }
            let buffer = buffers[first]
            first += 1
            byteCount -= buffer.readableBytes
            if first == buffers.count {
                buffers.removeAll(keepingCapacity: true)
                first = 0
            }
            return buffer
        }
    }

    /// What ``next()`` comes to before it waits.
    private enum Next {
        case bytes(ByteBuffer, resume: Bool)
        case end
        case failed(S3Error)
        case wait
    }

    private let state: Mutex<State>
    private let resume: @Sendable () -> Void
    private let sendContinue: @Sendable () -> Void

    /// - Parameters:
    ///   - resume: tells the connection to read on.
    ///   - sendContinue: tells the client to send.
    package init(
        awaitsContinue: Bool, resume: @escaping @Sendable () -> Void,
        sendContinue: @escaping @Sendable () -> Void
    ) {
        state = Mutex(State(awaitsContinue: awaitsContinue))
        self.resume = resume
        self.sendContinue = sendContinue
    }

    package func next() async throws -> (any ByteChunk)? {
        // Also for a body of no bytes: clients that were answered without it take the next answer on the
        // connection for a part of this one.
        let isToContinue = state.withLock { state in
            defer { state.awaitsContinue = false }
            return state.awaitsContinue
        }
        if isToContinue { sendContinue() }
        let next = state.withLock { state -> Next in
            if let buffer = state.take() {
                let resume = state.isPaused && state.byteCount < Self.limit / 2
                if resume { state.isPaused = false }
                return .bytes(buffer, resume: resume)
            }
            if let failure = state.failure { return .failed(failure) }
            return state.isEnded ? .end : .wait
        }
        switch next {
        case .bytes(let buffer, let isToResume):
            if isToResume { resume() }
            return buffer
        case .end: return nil
        case .failed(let error): throw error
        case .wait: return try await wait()
        }
    }

    private func wait() async throws -> ByteBuffer? {
        let permit = state.withLock { $0.permit }
        return try await withCheckedThrowingContinuation { continuation in
            // What came since is there already.
            let outcome = state.withLock { state -> (Result<ByteBuffer?, any Error>, Bool)? in
                if let buffer = state.take() {
                    let resume = state.isPaused
                    state.isPaused = false
                    return (.success(buffer), resume)
                }
                if let failure = state.failure { return (.failure(failure), false) }
                if state.isEnded { return (.success(nil), false) }
                state.waiter = continuation
                return nil
            }
            // It may be woken before this: then the permit hears of the end of the pause first, which comes to the same.
            guard let (result, isToResume) = outcome else {
                permit?.pause()
                return
            }
            if isToResume { resume() }
            continuation.resume(with: result)
        }
    }

    // MARK: The connection's side

    package func push(_ buffer: ByteBuffer) {
        let waiter = state.withLock { state -> Waiter? in
            state.received += UInt64(buffer.readableBytes)
            if let waiter = state.takeWaiter() { return waiter }
            state.buffers.append(buffer)
            state.byteCount += buffer.readableBytes
            return nil
        }
        waiter?.wake(.success(buffer))
    }

    package func end() {
        let waiter = state.withLock { state in
            state.isEnded = true
            state.ended = .now()
            return state.takeWaiter()
        }
        waiter?.wake(.success(nil))
    }

    package func fail(_ error: S3Error) {
        let waiter = state.withLock { state in
            state.failure = error
            return state.takeWaiter()
        }
        waiter?.wake(.failure(error))
    }

    /// The task that waits, and what it waits under.
    private struct Waiter {
        let continuation: CheckedContinuation<ByteBuffer?, any Error>
        let permit: AdmissionPermit?

        func wake(_ result: Result<ByteBuffer?, any Error>) {
            permit?.resume()
            continuation.resume(with: result)
        }
    }

    /// The request is let in: while its task waits for bytes, others may be worked at.
    func isWorkedAt(under permit: AdmissionPermit?) { state.withLock { $0.permit = permit } }

    /// When the client had sent all; `nil` if it has not.
    var ended: NIODeadline? { state.withLock { $0.ended } }

    /// Whether the connection may read on now; if not, it is told when it may.
    package func wantsMore() -> Bool {
        state.withLock { state in
            let wants = state.byteCount < Self.limit && !state.awaitsContinue
            state.isPaused = !wants
            return wants
        }
    }

    package var receivedByteCount: UInt64 { state.withLock { $0.received } }

    /// The client was never asked to send what it announced.
    package var wasNotAskedFor: Bool { state.withLock { $0.awaitsContinue } }
}
