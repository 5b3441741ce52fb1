import NIOCore
import NIOHTTP1

/// A client may close its side when it has sent what it asks, and take the answer all the same: programs that pipe a
/// request into a socket do.
///
/// Whether it does, or has gone, cannot be told from here: the kernel says the same of both, until what is sent to one that
/// has gone comes back as a reset. So a request that came whole is answered, and the connection ends when the answer is
/// taken, or the client's time for that is over. A request that waits to be let in is given up, and not what was answered
/// before it: who has gone by then mostly could not wait, and working for those keeps an overloaded server from all
/// others. Over TLS a connection ends with the client's side, as it does with most servers.
extension HTTPConnection {
    /// Nothing more comes from the client. What was sent ahead has been handed on before.
    func endOfInput(_ context: ChannelHandlerContext) {
        isInputEnded = true
        switch state {
        case .busy(_, _, isReceived: true) where waitingTurn == nil: return
        case .busy(_, _, isReceived: true):
            // The answer before it may not be taken yet, nor even be flushed.
            endWaiting()
            state = .idle
            closeWhenTaken(context)
        case .idle where unsentByteCount(context) > 0: closeWhenTaken(context)
        case .busy, .idle, .discarding, .lingering, .closed: close(context)
        }
    }

    /// Closes when everything that was written before is with the client's kernel. A close of the server's side alone would be
    /// one of both, and drop what waits.
    private func closeWhenTaken(_ context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        do {
            // No answer is under way, so nothing goes out, below the HTTP handlers.
            let encoder = try context.pipeline.syncOperations.context(handlerType: HTTPResponseEncoder.self)
            encoder.writeAndFlush(NIOAny(ByteBuffer())).whenComplete { _ in
                let (connection, context) = bound.value
                connection.close(context)
            }
        } catch {
            // The pipeline is gone, and the connection with it.
            close(context)
        }
    }
}
