import HTTPTypes
import Model
import NIOCore
import NIOHTTP1
import S3

/// Sends a response from a worker thread.
struct ResponseWriter: Sendable {
    let channel: any Channel
    let connection: NIOLoopBound<HTTPConnection>
    let context: NIOLoopBound<ChannelHandlerContext>
    /// "TLSv1.3"; `nil` without TLS.
    let tlsVersion: String?

    /// Sends a response whose body is at hand.
    /// - Parameters:
    ///   - mayGoOn: whether the connection may take another request.
    ///   - whenTaken: called on the event loop when the connection holds nothing of the body any more: it was taken, or the
    ///     connection has ended. Not called without a body.
    func send(
        _ head: HTTPResponseHead, _ body: ByteBuffer?, mayGoOn: Bool = true,
        whenTaken: (@Sendable () -> Void)? = nil
    ) {
        channel.eventLoop.execute {
            let goesOn = begin(head, mayGoOn: mayGoOn)
            if let body {
                let promise = whenTaken.map { whenTaken in
                    let promise = channel.eventLoop.makePromise(of: Void.self)
                    promise.futureResult.whenComplete { _ in whenTaken() }
                    return promise
                }
                connection.value.write(.body(.byteBuffer(body)), context.value, promise: promise)
            }
            connection.value.finish(goesOn: goesOn, context.value)
        }
    }

    /// Sends the head and the first bytes of a body; `finish` follows.
    func send(_ head: HTTPResponseHead, first: ByteBuffer) async throws -> Bool {
        try await channel.eventLoop.submit {
            let goesOn = begin(head)
            connection.value.write(.body(.byteBuffer(first)), context.value)
            context.value.flush()
            return goesOn
        }.get()
    }

    /// Returns when the connection has taken the bytes.
    func send(_ piece: ByteBuffer) async throws {
        try await channel.eventLoop.flatSubmit { connection.value.send(piece, context.value) }.get()
    }

    func finish(goesOn: Bool) {
        channel.eventLoop.execute { connection.value.finish(goesOn: goesOn, context.value) }
    }

    /// Breaks a response off: the client sees that bytes are missing.
    func abort() {
        channel.eventLoop.execute { connection.value.close(context.value) }
    }

    private func begin(_ head: HTTPResponseHead, mayGoOn: Bool = true) -> Bool {
        let goesOn = mayGoOn && connection.value.canGoOn()
        var head = head
        if !goesOn || connection.value.isLastAnswer() {
            head.headers.replaceOrAdd(name: "Connection", value: "close")
        }
        connection.value.write(.head(head), context.value)
        return goesOn
    }
}
