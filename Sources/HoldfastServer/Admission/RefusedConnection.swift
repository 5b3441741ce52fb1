import NIOCore

/// A connection more than there may be: it is answered `503 SlowDown` as soon as it asks for anything, and closed.
///
/// It is closed in two steps: first the server's side, so that the client reads the answer to its end, and when the client
/// has closed its own, or after a moment, the rest. Closing it at once while bytes of the client are unread would reset it,
/// and a reset may overtake the answer.
final class RefusedConnection: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    /// How long it may take to ask, and to read the answer.
    static let limit = TimeAmount.seconds(5)

    private var isAnswered = false
    private var deadline: Scheduled<Void>?

    func channelActive(context: ChannelHandlerContext) {
        let channel = context.channel
        deadline = context.eventLoop.scheduleTask(in: Self.limit) { channel.close(mode: .all, promise: nil) }
        context.fireChannelActive()
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isAnswered else { return }
        isAnswered = true
        let isHead = unwrapInboundIn(data).readableBytesView.starts(with: "HEAD ".utf8)
        context.writeAndFlush(wrapOutboundOut(Refusal.ofConnection(isHead: isHead)), promise: nil)
        context.close(mode: .output, promise: nil)
    }

    func channelReadComplete(context: ChannelHandlerContext) { context.read() }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}
