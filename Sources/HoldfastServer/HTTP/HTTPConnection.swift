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

    enum State {
        case idle
        /// A request is worked at.
        case busy(IncomingBody, isStarted: Bool, isReceived: Bool)
        /// It is answered, and the rest of its body is dropped.
        case discarding(byteCount: Int)
        /// The last answer is out and the server's side closed; what the client still sends is dropped until it closes its own.
        case lingering(byteCount: Int)
        case closed
    }

    let listener: ListenerContext
    var state = State.idle
    private(set) var head: HTTPRequestHead?
    private(set) var isReading = false
    private var tlsVersion: String?
    /// The answer under way said that it is the last one.
    private var isLast = false
    /// The client has closed its side: HTTPConnection+HalfClose.swift.
    var isInputEnded = false
    /// Set while the connection is idle and its listener stops.
    private var idleEnd: Scheduled<Void>?
    /// See ``ReadEnds``.
    var readsEndWithRequest = true
    /// In admission's queue: HTTPConnection+Admission.swift.
    var waitingTurn: WaitingTurn?
    /// Nothing is read for a while: the client was refused.
    var isHeld = false
    var holdsNext = false
    /// How the client is doing: HTTPConnection+Patience.swift.
    var watch = ConnectionWatch()

    /// How long a connection of a listener that stops may be silent that is new: a handshake and a first request come first.
    /// See ``Drain/silence`` for the others.
    private static let silenceAtFirst = TimeAmount.seconds(2)
    /// How often is looked whether a client has taken its answer, whose connection is to be handed over, or closed.
    private static let unsentInterval = TimeAmount.milliseconds(10)

    /// - Parameter isKept: another listener had it before, and its client may be silent for as long as one that was answered.
    init(_ listener: ListenerContext, isKept: Bool) {
        self.listener = listener
        if isKept { watch.wasUsed() }
    }

    func channelActive(context: ChannelHandlerContext) {
        context.fireChannelActive()
        beginWatch(context)
        endIfIdle(context)
        read(context)
    }

    /// Hands an idle connection of a listener that stops over to the next one, or closes it, unless a request comes in time.
    private func endIfIdle(_ context: ChannelHandlerContext) {
        guard case .idle = state, idleEnd == nil, listener.isStopping.load(ordering: .acquiring) else {
            return
        }
        if let handover = listener.handover.withLock({ $0 }) {
            // A read may be under way that brings more.
            handOver(handover, after: .zero, context)
        } else {
            closeAfterSilence(context)
        }
    }

    private func handOver(
        _ handover: ConnectionHandover, after delay: TimeAmount, _ context: ChannelHandlerContext
    ) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        idleEnd = context.eventLoop.scheduleTask(in: delay) {
            let (connection, context) = bound.value
            guard connection.unsentByteCount(context) == 0 else {
                return connection.handOver(handover, after: Self.unsentInterval, context)
            }
            // What was read of a request is in this process alone, and the request is answered here when the rest comes.
            let isWhole = connection.readsEndWithRequest && !connection.watch.hasPartialHead
            guard isWhole, handover.take(context.channel) else {
                return connection.closeAfterSilence(context)
            }
            connection.close(context)
        }
    }

    private func closeAfterSilence(_ context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let silence = TimeAmount.nanoseconds(listener.silence.load(ordering: .relaxed))
        idleEnd = context.eventLoop.scheduleTask(in: watch.isUnused ? Self.silenceAtFirst : silence) {
            let (connection, context) = bound.value
            guard connection.unsentByteCount(context) == 0 else {
                return connection.awaitTaking(context)
            }
            connection.close(context)
        }
    }

    /// What waits for the client would go with the connection: it is silent from when it has taken that. The drain's deadline
    /// ends the wait.
    private func awaitTaking(_ context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        idleEnd = context.eventLoop.scheduleTask(in: Self.unsentInterval) {
            let (connection, context) = bound.value
            guard connection.unsentByteCount(context) == 0 else {
                return connection.awaitTaking(context)
            }
            connection.closeAfterSilence(context)
        }
    }

    func read(_ context: ChannelHandlerContext) {
        guard !isReading, !isHeld else { return }
        isReading = true
        context.read()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        watch.sawPart = true
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
        isLast = false
        watch.beginsRequest()
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
        watch.received += buffer.readableBytes
        switch state {
        case .busy(let body, _, _):
            listener.moved.add(buffer.readableBytes)
            body.push(buffer)
        case .discarding(let count):
            guard count + buffer.readableBytes <= Self.discardLimit else { return close(context) }
            state = .discarding(byteCount: count + buffer.readableBytes)
        case .lingering(let count):
            guard count + buffer.readableBytes <= Self.discardLimit else { return close(context) }
            state = .lingering(byteCount: count + buffer.readableBytes)
        case .idle, .closed: break
        }
    }

    private func endOfRequest(_ context: ChannelHandlerContext) {
        switch state {
        case .busy(let body, let isStarted, _):
            body.end()
            state = .busy(body, isStarted: isStarted, isReceived: true)
        case .discarding: endRequest(context)
        case .idle, .lingering, .closed: break
        }
    }

    /// A request is over, and another may come.
    private func becomeIdle(_ context: ChannelHandlerContext) {
        state = .idle
        watch.endsRequest()
        if holdsNext { hold(context) }
    }

    /// A read has brought what it could: a request is begun here and not at its head, so that a small body is
    /// there when its task asks for it.
    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        if case .idle = state { watch.endsRead() }
        watch.sawPart = false
        askIfBegun(context)
        readOn(context)
        context.fireChannelReadComplete()
    }

    /// Whoever was refused has to wait with what was sent behind it, too: else a thousand requests in one piece would be refused
    /// one within the other. And who has yet to take an answer gets no other one: else a client that takes none would fill
    /// the memory for all of them.
    func askIfBegun(_ context: ChannelHandlerContext) {
        guard !isHeld, context.channel.isWritable,
            case .busy(let body, isStarted: false, let isReceived) = state
        else { return }
        state = .busy(body, isStarted: true, isReceived: isReceived)
        askForAdmission(body, context)
    }

    /// Reads, if what comes next is wanted now.
    func readOn(_ context: ChannelHandlerContext) {
        switch state {
        case .busy(let body, let isStarted, let isReceived):
            guard isStarted, !isReceived, waitingTurn == nil, body.wantsMore() else { return }
            read(context)
        case .idle, .discarding, .lingering: read(context)
        case .closed: break
        }
    }

    /// Hands a request that was let in to a worker. It was counted among the listener's requests.
    func start(_ body: IncomingBody, _ permit: AdmissionPermit?, _ context: ChannelHandlerContext) {
        guard let head else { preconditionFailure("a request begins with its head") }
        body.isWorkedAt(under: permit)
        let writer = ResponseWriter(
            channel: context.channel, connection: NIOLoopBound(self, eventLoop: context.eventLoop),
            context: NIOLoopBound(context, eventLoop: context.eventLoop), tlsVersion: tlsVersion)
        let listener = listener
        Task(executorPreference: listener.workers) {
            await listener.answer(head, body, writer, permit)
            listener.requests.wrappingSubtract(1, ordering: .relaxed)
        }
    }

    // MARK: Answering, on the event loop

    /// - Parameter promise: kept when the connection holds nothing of it any more.
    func write(
        _ part: HTTPServerResponsePart, _ context: ChannelHandlerContext,
        promise: EventLoopPromise<Void>? = nil
    ) {
        // NIO answers for us where a connection ends in the middle of a request.
        if case .closed = state {
            promise?.fail(ChannelError.ioOnClosedChannel)
            return
        }
        if case .body(.byteBuffer(let bytes)) = part { watch.sent += bytes.readableBytes }
        context.write(wrapOutboundOut(part), promise: promise)
    }

    /// Whether the answer that begins is the last one on the connection, although it could go on: the listener stops.
    func isLastAnswer() -> Bool {
        isLast = listener.isStopping.load(ordering: .acquiring) && !isHandedOver
        return isLast
    }

    /// Whether the next one goes on with the connection behind this answer. Not where more than this request may have been read.
    private var isHandedOver: Bool {
        readsEndWithRequest && listener.handover.withLock { $0 != nil }
    }

    /// - Returns: what ends when the connection has taken the bytes.
    func send(_ piece: ByteBuffer, _ context: ChannelHandlerContext) -> EventLoopFuture<Void> {
        watch.sent += piece.readableBytes
        return context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(piece))))
    }

    /// Whether the connection can take another request behind this one's answer.
    func canGoOn() -> Bool {
        guard let head, head.isKeepAlive, !isInputEnded else { return false }
        guard case .busy(let body, _, _) = state else { return false }
        // What comes behind these is no HTTP to the parser, which reads no more of it.
        guard head.method != .CONNECT, !head.headers.contains(name: "upgrade") else { return false }
        return !body.wasNotAskedFor && !watch.isGivenUp
    }

    /// The response is written but for its end.
    func finish(goesOn: Bool, _ context: ChannelHandlerContext) {
        guard case .busy(_, _, let isReceived) = state else { return }
        guard goesOn else { return endAndClose(isReceived: isReceived, context) }
        guard isReceived else {
            // The answer is out; its end follows when the request has ended, as the pipeline wants it.
            state = .discarding(byteCount: 0)
            context.flush()
            return read(context)
        }
        endRequest(context)
        read(context)
    }

    /// The request has been received and answered.
    private func endRequest(_ context: ChannelHandlerContext) {
        guard !isLast, !isInputEnded else { return endAndClose(isReceived: true, context) }
        becomeIdle(context)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        endIfIdle(context)
    }

    private func endAndClose(isReceived: Bool, _ context: ChannelHandlerContext) {
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.writeAndFlush(wrapOutboundOut(.end(nil))).whenComplete { _ in
            let (connection, context) = bound.value
            // Closed while bytes of the client are on their way, it would be reset, maybe before the answer is read.
            if isReceived { connection.close(context) } else { connection.linger(context) }
        }
    }

    func close(_ context: ChannelHandlerContext) {
        if case .closed = state { return }
        end()
        context.close(promise: nil)
    }

    private func end() {
        if case .busy(let body, _, false) = state { body.fail(Self.incomplete) }
        state = .closed
        idleEnd?.cancel()
        endWaiting()
        watch.end()
    }

    private static let incomplete = S3Error(
        .incompleteBody, "The connection ended before the number of bytes announced by Content-Length came.")

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            askIfBegun(context)
            readOn(context)
        }
        context.fireChannelWritabilityChanged()
    }

    // MARK: Ends

    func channelInactive(context: ChannelHandlerContext) {
        end()
        context.fireChannelInactive()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if let event = event as? ChannelEvent, event == .inputClosed {
            return endOfInput(context)
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
