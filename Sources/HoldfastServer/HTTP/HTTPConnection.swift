import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOSSL
import NIOTLS
import S3
import Synchronization

/// One connection of a client: takes one request at a time, hands it to the responder on the worker threads,
/// and reads no more of its body than the responder takes.
final class HTTPConnection: ChannelInboundHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    /// Bytes of a refused request that are read and dropped, so that the client gets to read the answer.
    private static let discardLimit = 64 * 1024 * 1024

    private enum State {
        case idle
        /// A request is worked at.
        case busy(IncomingBody, isStarted: Bool, isReceived: Bool)
        /// It is answered, and the rest of its body is dropped.
        case discarding(byteCount: Int)
        case closed
    }

    private let listener: ListenerContext
    private var state = State.idle
    private var head: HTTPRequestHead?
    private var isReading = false
    private var tlsVersion: String?
    /// The answer under way said that it is the last one.
    private var isLast = false
    private var hadRequests = false
    /// Set while the connection is idle and its listener stops.
    private var idleEnd: Scheduled<Void>?

    /// How long a connection of a listener that stops may be silent. A client may be sending its next request just as the
    /// connection is closed, and would have no answer: who is silent for so long hardly is. Each request that does come is
    /// answered, with `Connection: close`.
    private static let silence = TimeAmount.milliseconds(500)
    /// The same for one that is new: a handshake and a first request come first.
    private static let silenceAtFirst = TimeAmount.seconds(2)

    init(_ listener: ListenerContext) { self.listener = listener }

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        endIfIdle(context)
        read(context)
    }

    /// Closes an idle connection of a listener that stops, unless a request comes in time.
    private func endIfIdle(_ context: ChannelHandlerContext) {
        guard case .idle = state, idleEnd == nil, listener.isStopping.load(ordering: .relaxed) else { return }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        idleEnd = context.eventLoop.scheduleTask(in: hadRequests ? Self.silence : Self.silenceAtFirst) {
            bound.value.0.close(bound.value.1)
        }
    }

    private func read(_ context: ChannelHandlerContext) {
        guard !isReading else { return }
        isReading = true
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head): begin(head, context)
        case .body(let buffer): receive(buffer, context)
        case .end: endOfRequest(context)
        }
    }

    private func begin(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        self.head = head
        idleEnd?.cancel()
        idleEnd = nil
        hadRequests = true
        isLast = false
        let channel = context.channel
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let body = IncomingBody(
            awaitsContinue: head.headers.first(name: "expect")?.lowercased() == "100-continue",
            resume: { channel.eventLoop.execute { bound.value.0.read(bound.value.1) } },
            sendContinue: {
                channel.eventLoop.execute {
                    let (connection, context) = bound.value
                    let part = HTTPServerResponsePart.head(.init(version: .http1_1, status: .continue))
                    context.writeAndFlush(connection.wrapOutboundOut(part), promise: nil)
                    connection.read(context)
                }
            })
        state = .busy(body, isStarted: false, isReceived: false)
    }

    private func receive(_ buffer: ByteBuffer, _ context: ChannelHandlerContext) {
        switch state {
        case .busy(let body, _, _): body.push(buffer)
        case .discarding(let count):
            guard count + buffer.readableBytes <= Self.discardLimit else { return close(context) }
            state = .discarding(byteCount: count + buffer.readableBytes)
        case .idle, .closed: break
        }
    }

    private func endOfRequest(_ context: ChannelHandlerContext) {
        switch state {
        case .busy(let body, let isStarted, _):
            body.end()
            state = .busy(body, isStarted: isStarted, isReceived: true)
        case .discarding: end(context)
        case .idle, .closed: break
        }
    }

    /// A read has brought what it could: a request is begun here and not at its head, so that a small body is
    /// there when its task asks for it.
    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        switch state {
        case .busy(let body, let isStarted, let isReceived):
            if !isStarted {
                state = .busy(body, isStarted: true, isReceived: isReceived)
                start(body, context)
            }
            if !isReceived, body.wantsMore() { read(context) }
        case .idle, .discarding: read(context)
        case .closed: break
        }
        context.fireChannelReadComplete()
    }

    private func start(_ body: IncomingBody, _ context: ChannelHandlerContext) {
        guard let head else { preconditionFailure("a request begins with its head") }
        let writer = ResponseWriter(
            channel: context.channel, connection: NIOLoopBound(self, eventLoop: context.eventLoop),
            context: NIOLoopBound(context, eventLoop: context.eventLoop), tlsVersion: tlsVersion)
        let listener = listener
        listener.requests.wrappingAdd(1, ordering: .relaxed)
        Task(executorPreference: listener.workers) {
            await listener.answer(head, body, writer)
            listener.requests.wrappingSubtract(1, ordering: .relaxed)
        }
    }

    // MARK: Answering, on the event loop

    func write(_ part: HTTPServerResponsePart, _ context: ChannelHandlerContext) {
        // NIO answers for us where a connection ends in the middle of a request.
        if case .closed = state { return }
        context.write(wrapOutboundOut(part), promise: nil)
    }

    /// Whether the answer that begins is the last one on the connection, although it could go on: the listener stops.
    func isLastAnswer() -> Bool {
        isLast = listener.isStopping.load(ordering: .relaxed)
        return isLast
    }

    /// Whether the connection can take another request behind this one's answer.
    func canGoOn() -> Bool {
        guard let head, head.isKeepAlive else { return false }
        guard case .busy(let body, _, _) = state else { return false }
        // What comes behind these is no HTTP to the parser, which reads no more of it.
        guard head.method != .CONNECT, !head.headers.contains(name: "upgrade") else { return false }
        return !body.wasNotAskedFor
    }

    /// The response is written but for its end.
    func finish(goesOn: Bool, _ context: ChannelHandlerContext) {
        guard case .busy(_, _, let isReceived) = state else { return }
        guard goesOn else { return endAndClose(context) }
        guard isReceived else {
            // The answer is out; its end follows when the request has ended, as the pipeline wants it.
            state = .discarding(byteCount: 0)
            context.flush()
            return read(context)
        }
        end(context)
        read(context)
    }

    /// The request has been received and answered.
    private func end(_ context: ChannelHandlerContext) {
        guard !isLast else { return endAndClose(context) }
        state = .idle
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        endIfIdle(context)
    }

    private func endAndClose(_ context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in
            bound.value.0.close(bound.value.1)
        }
    }

    func close(_ context: ChannelHandlerContext) {
        if case .closed = state { return }
        if case .busy(let body, _, false) = state { body.fail(Self.incomplete) }
        state = .closed
        context.close(promise: nil)
    }

    private static let incomplete = S3Error(
        .incompleteBody, "The connection ended before the number of bytes announced by Content-Length came.")

    // MARK: Ends

    func channelInactive(context: ChannelHandlerContext) {
        if case .busy(let body, _, false) = state { body.fail(Self.incomplete) }
        state = .closed
        idleEnd?.cancel()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        // A client that is silent while it is its turn, in the middle of a request or between two.
        if event is IdleStateHandler.IdleStateEvent {
            switch state {
            case .busy(_, _, true), .closed: break
            case .busy(_, _, false), .idle, .discarding: close(context)
            }
            return
        }
        if let event = event as? ChannelEvent, event == .inputClosed {
            if case .busy(_, _, true) = state { return }
            return close(context)
        }
        if event is ListenerStops { return endIfIdle(context) }
        if let event = event as? TLSUserEvent, case .handshakeCompleted = event { noteTLSVersion(context) }
        context.fireUserInboundEventTriggered(event)
    }

    private func noteTLSVersion(_ context: ChannelHandlerContext) {
        switch try? context.pipeline.syncOperations.nioSSL_tlsVersion() {  // no handler: no version
        case .tlsv12: tlsVersion = "TLSv1.2"
        case .tlsv13: tlsVersion = "TLSv1.3"
        default: tlsVersion = nil
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { close(context) }
}
