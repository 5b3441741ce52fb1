import NIOCore
import NIOHTTP1

/// Tells a connection after each read whether what has come ends where a request does: then nothing of another request is in
/// this process, and the socket can be handed to the next one.
///
/// NIO's parser does not tell where in a piece a request ended, nor what it has of the next head. Clients that wait for an
/// answer before they send the next request, which is nearly all, never leave it anything; one that sends ahead may.
public final class ReadEnds: ChannelInboundHandler {
    public typealias InboundIn = ByteBuffer

    private let connection: HTTPConnection

    init(_ connection: HTTPConnection) { self.connection = connection }

    public func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data)
        let before = connection.watch.received
        context.fireChannelRead(data)
        let bodyCount = connection.watch.received - before
        let isChunked = bodyCount > 0 && connection.head?.headers.contains(name: "transfer-encoding") == true
        connection.readsEndWithRequest = Self.endsWithRequest(
            bytes, bodyCount: bodyCount, isChunked: isChunked)
    }

    /// Whether a piece of a connection that was wholly parsed ends with a request, if that piece ends one.
    ///
    /// A head ends with an empty line, and so do chunks; a body of a known length ends anywhere, but then nothing stands
    /// before it in the piece, or a head that ends so. The beginning of another head has no empty line. When in doubt, it does not.
    /// - Parameter bodyCount: how many of the bytes were a body's, apart from what divides chunks.
    public static func endsWithRequest(_ bytes: ByteBuffer, bodyCount: Int, isChunked: Bool) -> Bool {
        let count = bytes.readableBytes
        if endsWithEmptyLine(bytes, at: count) { return true }
        guard !isChunked else { return false }
        let headCount = count - bodyCount
        return headCount == 0 || endsWithEmptyLine(bytes, at: headCount)
    }

    private static func endsWithEmptyLine(_ bytes: ByteBuffer, at end: Int) -> Bool {
        guard end >= 4 else { return false }
        return bytes.getInteger(at: bytes.readerIndex + end - 4, as: UInt32.self) == 0x0D0A_0D0A
    }
}
