import NIOCore
import NIOTLS

/// Closes a connection whose handshake takes too long: until it is done, a client need not prove anything, and holds
/// one of the connections that there may be.
final class HandshakeDeadline: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer

    static let limit = TimeAmount.seconds(10)

    private var deadline: Scheduled<Void>?

    func handlerAdded(context: ChannelHandlerContext) {
        let channel = context.channel
        // Nobody is told: it is the client's fault, and any number of them may do it.
        deadline = context.eventLoop.scheduleTask(in: Self.limit) { channel.close(mode: .all, promise: nil) }
    }

    func handlerRemoved(context: ChannelHandlerContext) { deadline?.cancel() }

    func channelInactive(context: ChannelHandlerContext) {
        deadline?.cancel()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        context.fireUserInboundEventTriggered(event)
        guard let event = event as? TLSUserEvent, case .handshakeCompleted = event else { return }
        // Its work is done; the bytes of requests need not pass it.
        context.pipeline.syncOperations.removeHandler(self, promise: nil)
    }
}
