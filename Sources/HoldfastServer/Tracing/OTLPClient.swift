import Model
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL

/// Sends one request to a receiver of traces, on a connection of its own, within a deadline. The one place that knows
/// what it is sent with.
struct OTLPClient: Sendable {
    private static let connectSeconds: Int64 = 5
    private static let deadlineSeconds: Int64 = 10
    /// Of an answer, of which the status alone counts.
    private static let answerByteCount = 64 * 1024

    private let endpoint: TraceEndpoint
    private let group: any EventLoopGroup
    private let tls: NIOSSLContext?

    init(_ endpoint: TraceEndpoint, group: any EventLoopGroup) throws {
        self.endpoint = endpoint
        self.group = group
        tls = endpoint.isSecure ? try NIOSSLContext(configuration: .makeClientConfiguration()) : nil
    }

    struct NoAnswer: Error, CustomStringConvertible {
        let reason: String
        var description: String { reason }
    }

    /// - Returns: the status of the answer.
    func post(_ body: [UInt8]) async throws -> Int {
        let endpoint = endpoint
        let tls = tls
        let channel = try await ClientBootstrap(group: group)
            .connectTimeout(.seconds(Self.connectSeconds))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let pipeline = channel.pipeline.syncOperations
                    if let tls {
                        // An address of numbers has no name to ask for.
                        let name =
                            (try? SocketAddress(ipAddress: endpoint.host, port: 0)) == nil
                            ? endpoint.host : nil
                        try pipeline.addHandler(NIOSSLClientHandler(context: tls, serverHostname: name))
                    }
                    try pipeline.addHTTPClientHandlers()
                }
            }
            .connect(host: endpoint.host, port: endpoint.port).get()
        let answer = channel.eventLoop.makePromise(of: Int.self)
        let deadline = channel.eventLoop.scheduleTask(in: .seconds(Self.deadlineSeconds)) {
            answer.fail(NoAnswer(reason: "no answer within \(Self.deadlineSeconds) s"))
            channel.close(promise: nil)
        }
        defer {
            deadline.cancel()
            channel.close(promise: nil)
        }
        do {
            try await channel.eventLoop.submit {
                try channel.pipeline.syncOperations.addHandler(Answer(answer, limit: Self.answerByteCount))
                let host = endpoint.host.contains(":") ? "[\(endpoint.host)]" : endpoint.host
                let head = HTTPRequestHead(
                    version: .http1_1, method: .POST, uri: endpoint.path,
                    headers: [
                        "Host": "\(host):\(endpoint.port)", "Content-Type": "application/json",
                        "Content-Length": String(body.count), "User-Agent": "Holdfast", "Connection": "close",
                    ])
                channel.write(HTTPClientRequestPart.head(head), promise: nil)
                channel.write(
                    HTTPClientRequestPart.body(.byteBuffer(ByteBuffer(bytes: body))), promise: nil)
                channel.writeAndFlush(HTTPClientRequestPart.end(nil), promise: nil)
            }.get()
        } catch {
            answer.fail(error)
        }
        return try await answer.futureResult.get()
    }

    private final class Answer: ChannelInboundHandler {
        typealias InboundIn = HTTPClientResponsePart

        private let promise: EventLoopPromise<Int>
        private let limit: Int
        private var status: Int?
        private var byteCount = 0

        init(_ promise: EventLoopPromise<Int>, limit: Int) {
            self.promise = promise
            self.limit = limit
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            switch unwrapInboundIn(data) {
            case .head(let head): status = Int(head.status.code)
            case .body(let bytes):
                byteCount += bytes.readableBytes
                guard byteCount > limit else { return }
                promise.fail(NoAnswer(reason: "the answer is longer than \(limit) bytes"))
                context.close(promise: nil)
            case .end: promise.succeed(status ?? 0)
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            promise.fail(error)
            context.close(promise: nil)
        }

        func channelInactive(context: ChannelHandlerContext) {
            promise.fail(NoAnswer(reason: "the connection ended before the answer"))
            context.fireChannelInactive()
        }
    }
}
