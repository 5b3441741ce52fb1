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
        let (received, heads) = (connection.watch.received, connection.watch.heads)
        context.fireChannelRead(data)
        let bodyCount = connection.watch.received - received
        let isChunked = bodyCount > 0 && connection.head?.headers.contains(name: "transfer-encoding") == true
        connection.readsEndWithRequest = Self.endsWithRequest(
            bytes, bodyCount: bodyCount, hasHead: connection.watch.heads > heads, isChunked: isChunked)
    }

    /// Whether a piece of a connection that was wholly parsed ends with a request, if that piece ends one.
    ///
    /// A head ends with an empty line, and so do chunks; a body of a known length ends anywhere, but then the piece has nothing
    /// besides it but its head. The beginning of another head has no empty line. In doubt, it does not.
    /// - Parameters:
    ///   - bodyCount: how many of the bytes were a body's, apart from what divides chunks.
    ///   - hasHead: whether a head ended in the piece.
    ///   - isChunked: the body's length was not known before.
    public static func endsWithRequest(
        _ bytes: ByteBuffer, bodyCount: Int, hasHead: Bool, isChunked: Bool
    ) -> Bool {
        let count = bytes.readableBytes
        if bodyCount == 0 || isChunked {
            return count >= 4 && bytes.getInteger(at: bytes.writerIndex - 4, as: UInt32.self) == emptyLine
        }
        return count - bodyCount == (hasHead ? firstHeadCount(bytes) : 0)
    }

    private static let emptyLine: UInt32 = 0x0D0A_0D0A

    /// The bytes through the first empty line, if there is one.
    private static func firstHeadCount(_ bytes: ByteBuffer) -> Int? {
        bytes.withUnsafeReadableBytes { piece in
            guard piece.count >= 4 else { return nil }
            return (4...piece.count).first {
                UInt32(bigEndian: piece.loadUnaligned(fromByteOffset: $0 - 4, as: UInt32.self)) == emptyLine
            }
        }
    }
}
