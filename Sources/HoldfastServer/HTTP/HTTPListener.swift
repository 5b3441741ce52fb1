import Foundation
import HTTPTypes
import Model
import NIOCore
import NIOHTTP1
import NIOPosix
import ObjectStore
import S3
import Synchronization

/// What answers the requests of a listener.
protocol HTTPResponder: Sendable {
    func respond(to request: ServiceRequest) async -> ServiceResponse
    /// The response in place of one whose body cannot be read.
    func failure(_ error: any Error, _ head: HTTPRequest, replacing response: ServiceResponse)
        -> ServiceResponse
    /// Told of each response when it has gone out.
    func answered(_ request: HTTPRequest, _ response: ServiceResponse, _ exchange: Exchange)
    /// Told of each request that admission turned away, on its event loop, which it does not keep waiting.
    /// - Parameter workers: threads for what takes time.
    func refused(_ request: RefusedRequest, _ workers: WorkerPool)
}

extension HTTPResponder {
    /// Most listeners refuse nobody.
    func refused(_ request: RefusedRequest, _ workers: WorkerPool) {}
}

/// What the connections of a listener share.
final class ListenerContext: Sendable {
    let responder: any HTTPResponder
    let workers: WorkerPool
    let buffers = ResponseBuffers()
    let room: ConnectionRoom
    /// `nil` for a listener without TLS.
    let tls: TLSCertificates?
    /// `nil` for a listener that refuses nobody.
    let admission: AdmissionControl?
    let patience: ClientPatience.Limits
    let counts = ConnectionCounts()
    let moved: MovedBytes
    let requests = Atomic<Int>(0)
    let isStopping = Atomic<Bool>(false)
    /// See ``Drain/silence``; in nanoseconds, set before it is stopping.
    let silence = Atomic<Int64>(0)
    let isAccepting = Atomic<Bool>(true)
    /// Set before it is stopping, if another process goes on with its connections.
    let handover = Mutex<ConnectionHandover?>(nil)
    private let date = ReadMostly<(second: UInt64, text: String)>((0, ""))

    init(
        responder: any HTTPResponder, workers: WorkerPool, connectionLimit: Int, tls: TLSCertificates? = nil,
        admission: AdmissionControl? = nil, patience: ClientPatience.Limits,
        moved: MovedBytes = MovedBytes()
    ) {
        self.responder = responder
        self.workers = workers
        room = ConnectionRoom(limit: connectionLimit)
        self.tls = tls
        self.admission = admission
        self.patience = patience
        self.moved = moved
    }

    /// - Parameter permit: given back when all is done; `nil` where nobody has to be let in.
    func answer(
        _ head: HTTPRequestHead, _ body: IncomingBody, _ writer: ResponseWriter, _ permit: AdmissionPermit?
    ) async {
        var exchange = Exchange(writer)
        guard let request = HTTPRequest(head, scheme: tls == nil ? "http" : "https") else {
            let headers: HTTPHeaders = ["Content-Length": "0", "Date": dateText()]
            let answer = HTTPResponseHead(version: .http1_1, status: .badRequest, headers: headers)
            // What is no request is from nobody.
            settle(permit, body, sender: nil, wasRefused: true, exchange)
            permit?.end()
            return writer.send(answer, nil, mayGoOn: false)
        }
        let channel = writer.channel
        var called = ServiceRequest(head: request, body: body, tlsVersion: writer.tlsVersion) {
            channel.remoteAddress?.ipAddress
        }
        called.target = permit?.target
        var response = await responder.respond(to: called)
        if response.access != nil || response.watch != nil { exchange.answers() }
        let since = permit.flatMap { workBegan($0, body, response) }
        defer {
            exchange.bytesReceived = body.receivedByteCount
            exchange.end()
            responder.answered(request, response, exchange)
        }
        guard case .object(let reader, let length) = response.body else {
            return send(response, writer, &exchange, body, permit, since: since)
        }
        var piece = buffers.take(Int(min(length, UInt64(ResponseBuffers.byteCount))))
        let step = response.watch?.begin(RequestWatch.Step.volumes)
        do {
            try await fill(&piece, from: reader)
        } catch {
            step?.fail(error)
            response = responder.failure(error, request, replacing: response)
            return send(response, writer, &exchange, body, permit, since: nil)
        }
        exchange.bytesSent = UInt64(piece.readableBytes)
        // Of a large body the rest is read while it is sent, at the client's pace: the step is its first piece.
        step?.end()
        if reader.remaining == 0 {
            settle(permit, body, response, exchange)
            permit?.finishWork(keeps: piece.capacity, since: since)
            return writer.send(self.head(of: response, bodyCount: nil), piece) { permit?.end() }
        }
        permit?.finishWork(keeps: RequestOutline.answerByteCount, since: since)
        await stream(response, &piece, reader, writer, &exchange)
        settle(permit, body, response, exchange)
        permit?.end()
    }

    private func settle(
        _ permit: AdmissionPermit?, _ body: IncomingBody, _ response: ServiceResponse, _ exchange: Exchange
    ) {
        settle(
            permit, body, sender: response.sender, wasRefused: response.errorCode != nil, exchange)
    }

    /// Counts a request for the rates of its key and its bucket. Of an answer at hand before it is sent, so that it counts
    /// when its client asks again.
    private func settle(
        _ permit: AdmissionPermit?, _ body: IncomingBody, sender: String?, wasRefused: Bool,
        _ exchange: Exchange
    ) {
        guard let permit else { return }
        let byteCount = body.receivedByteCount + exchange.bytesSent
        permit.settle(
            .init(
                byteCount: Int(byteCount), isForeign: permit.isForeign(to: sender), wasRefused: wasRefused))
    }

    /// Since when a request's answer was the server's to make; `nil` where how long that took says nothing.
    private func workBegan(
        _ permit: AdmissionPermit, _ body: IncomingBody, _ response: ServiceResponse
    ) -> NIODeadline? {
        guard response.status.code < 400, let received = body.ended else { return nil }
        return max(permit.since, received)
    }

    /// Sends a response that is at hand. The permit is given back when the connection has taken it.
    private func send(
        _ response: ServiceResponse, _ writer: ResponseWriter, _ exchange: inout Exchange,
        _ body: IncomingBody, _ permit: AdmissionPermit?, since: NIODeadline?
    ) {
        guard case .bytes(let bytes) = response.body else {
            settle(permit, body, response, exchange)
            permit?.end(since: since)
            return writer.send(head(of: response, bodyCount: 0), nil)
        }
        exchange.bytesSent = UInt64(bytes.count)
        settle(permit, body, response, exchange)
        permit?.finishWork(keeps: bytes.count, since: since)
        writer.send(head(of: response, bodyCount: bytes.count), ByteBuffer(bytes: bytes)) { permit?.end() }
    }

    private func fill(_ piece: inout ByteBuffer, from reader: ObjectReader) async throws {
        piece.clear()
        while reader.remaining > 0, piece.writableBytes > 0 {
            let target = WritableTail(piece)
            let count = try await reader.read(into: target.bytes)
            piece.moveWriterIndex(forwardBy: count)
        }
    }

    /// Sends a large body, one piece on its way while the next is read.
    private func stream(
        _ response: ServiceResponse, _ piece: inout ByteBuffer, _ reader: ObjectReader,
        _ writer: ResponseWriter, _ exchange: inout Exchange
    ) async {
        do {
            let goesOn = try await writer.send(head(of: response, bodyCount: nil), first: piece)
            var spare = buffers.take(ResponseBuffers.byteCount)
            while reader.remaining > 0 {
                try await fill(&spare, from: reader)
                try await writer.send(spare)
                exchange.bytesSent += UInt64(spare.readableBytes)
                moved.add(spare.readableBytes)
                swap(&spare, &piece)
            }
            buffers.give(spare)
            buffers.give(piece)
            writer.finish(goesOn: goesOn)
        } catch {
            // The client is gone, or no replica of a block is good: the status is out, so the connection ends.
            writer.abort()
        }
    }

    private func head(of response: ServiceResponse, bodyCount: Int?) -> HTTPResponseHead {
        var headers = HTTPHeaders()
        headers.reserveCapacity(response.headers.count + 3)
        for field in response.headers { headers.add(name: field.name.rawName, value: field.value) }
        headers.add(name: "Date", value: dateText())
        headers.add(name: "Server", value: "Holdfast")
        let mayHaveLength = response.status.code != 204 && response.status.code != 304
        if let bodyCount, mayHaveLength, response.headers[.contentLength] == nil {
            headers.add(name: "Content-Length", value: String(bodyCount))
        }
        return HTTPResponseHead(
            version: .http1_1, status: .init(statusCode: response.status.code), headers: headers)
    }

    func dateText() -> String {
        let now = Timestamp.now()
        let known = date.read { $0 }
        if known.second == now.seconds { return known.text }
        let text = HTTPDate.string(now)
        date.change { $0 = (now.seconds, text) }
        return text
    }
}

/// The room of a buffer that one task fills; the buffer has one owner, so its memory stays where it is.
private struct WritableTail: @unchecked Sendable {  // used by the task that owns the buffer
    let bytes: UnsafeMutableRawBufferPointer

    init(_ buffer: ByteBuffer) {
        bytes = buffer.withVeryUnsafeBytes { whole in
            let tail = UnsafeRawBufferPointer(rebasing: whole[buffer.writerIndex...])
            return UnsafeMutableRawBufferPointer(mutating: tail)
        }
    }
}

/// A socket that HTTP requests come in by.
final class HTTPListener: Sendable {
    private let context: ListenerContext
    private let channel: any Channel
    private let children: ChildChannels
    private let group: any EventLoopGroup
    private let socket: ListeningSocket

    private init(
        _ context: ListenerContext, _ channel: any Channel, _ children: ChildChannels,
        _ group: any EventLoopGroup, _ socket: ListeningSocket
    ) {
        self.group = group
        self.socket = socket
        self.context = context
        self.channel = channel
        self.children = children
    }

    var address: SocketAddress? { channel.localAddress }
    var connectionCount: Int { context.room.count }
    var counts: ConnectionCounts { context.counts }
    var requestsInFlight: Int { context.requests.load(ordering: .relaxed) }

    /// Accepts from a socket; closing the listener leaves the socket as it is.
    static func serve(
        _ socket: ListeningSocket, group: any EventLoopGroup, _ context: ListenerContext
    ) async throws -> HTTPListener {
        let children = ChildChannels()
        let bootstrap = ServerBootstrap(group: group)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelOption(.recvAllocator, value: receiveSizes)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(AcceptGate(context.room))
                }
            }
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try begin(channel, context, children, acceptor: channel.parent, isKept: false)
                }
            }
        return HTTPListener(context, try await socket.serve(bootstrap), children, group, socket)
    }

    private static let receiveSizes = AdaptiveRecvByteBufferAllocator(
        minimum: 4096, initial: 16 * 1024, maximum: 256 * 1024)

    /// Sets a connection up, on its event loop.
    /// - Parameters:
    ///   - acceptor: what accepts connections when there is room again.
    ///   - isKept: it was served by another listener before, and is by this one, however many there are.
    private static func begin(
        _ channel: any Channel, _ context: ListenerContext, _ children: ChildChannels,
        acceptor: (any Channel)?, isKept: Bool
    ) throws {
        let isServed = context.room.enter() || isKept
        channel.closeFuture.whenComplete { _ in
            if context.room.leave(), context.isAccepting.load(ordering: .relaxed) { acceptor?.read() }
            children.remove(channel)
        }
        children.add(channel)
        let pipeline = channel.pipeline.syncOperations
        try context.tls?.configure(pipeline)
        guard isServed else {
            context.counts.refuse()
            return try pipeline.addHandler(RefusedConnection())
        }
        let connection = HTTPConnection(context, isKept: isKept)
        if context.tls == nil {
            try pipeline.addHandler(ReadEnds(connection))
            // The end of what the client sends is told to the connection, and does not end it.
            try channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: true)
        }
        // Values of headers were validated when they became fields.
        try pipeline.configureHTTPServerPipeline(
            withErrorHandling: true, withOutboundHeaderValidation: false)
        try pipeline.addHandler(connection)
    }

    var isSecure: Bool { context.tls != nil }

    /// Goes on with connections that another listener of the socket has left between two requests. One whose client has gone
    /// meanwhile is closed, as it would be anywhere; and so are all if this listener has TLS, which the other had not.
    func adopt(_ descriptors: [Int32]) async {
        guard !isSecure else { return descriptors.forEach { close($0) } }
        let bootstrap = ClientBootstrap(group: group)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelOption(.autoRead, value: false)
            .channelOption(.recvAllocator, value: Self.receiveSizes)
            .channelInitializer { [context, children, channel] connection in
                connection.eventLoop.makeCompletedFuture {
                    try Self.begin(connection, context, children, acceptor: channel, isKept: true)
                }
            }
        let adopted = descriptors.map { bootstrap.withConnectedSocket($0) }
        for connection in adopted {
            await withCheckedContinuation { done in connection.whenComplete { _ in done.resume() } }
        }
    }

    /// Makes each answer the last one of its connection, then takes no more connections, lets what is under way end until
    /// the deadline, and closes.
    /// - Parameters:
    ///   - keepsSocket: whoever connects afterwards waits for the next one who accepts from it, and is refused
    ///     otherwise.
    ///   - handover: takes connections that are between two requests, or come to be; with it nobody needs the drain's delay.
    ///     `nil` if they are closed.
    func stop(_ drain: Drain, keepsSocket: Bool, _ handover: ConnectionHandover?) async throws {
        context.silence.store(TimeAmount(drain.silence).nanoseconds, ordering: .relaxed)
        context.handover.withLock { $0 = handover }
        context.isStopping.store(true, ordering: .releasing)
        for child in children.all { child.pipeline.fireUserInboundEventTriggered(ListenerStops()) }
        if handover == nil { await drain.wait(atMost: drain.delay) }
        try await stopAccepting()
        if !keepsSocket { socket.close() }
        await drain.wait(atMost: drain.deadline) { [context] in
            context.room.count == 0 && context.requests.load(ordering: .relaxed) == 0
        }
        for child in children.all { child.close(promise: nil) }
    }

    /// A channel that is closed between accepting a connection and handing it to its event loop drops it, so accepting
    /// ends first, and what was accepted has reached its loop when the channel goes. A second call does nothing.
    func stopAccepting() async throws {
        guard context.isAccepting.exchange(false, ordering: .relaxed) else { return }
        try await channel.setOption(.autoRead, value: false).get()
        for loop in group.makeIterator() { try await loop.submit {}.get() }
        try await channel.eventLoop.submit {}.get()
        try await channel.close().get()
    }
}

/// Told to the connections of a listener that stops.
struct ListenerStops: Sendable {}

/// The connections that are open.
private final class ChildChannels: Sendable {
    private let channels = Mutex<[ObjectIdentifier: any Channel]>([:])

    func add(_ channel: any Channel) { channels.withLock { $0[ObjectIdentifier(channel)] = channel } }
    func remove(_ channel: any Channel) {
        channels.withLock { _ = $0.removeValue(forKey: ObjectIdentifier(channel)) }
    }
    var all: [any Channel] { channels.withLock { Array($0.values) } }
}
