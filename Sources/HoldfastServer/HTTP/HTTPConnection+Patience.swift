import NIOCore
import NIOHTTP1
import S3

/// What a connection notes of its client, for the looks that are taken at it from time to time.
struct ConnectionWatch {
    /// Bytes of bodies that came, and that were handed over to be sent.
    var received = 0
    var sent = 0
    /// The read that goes on has brought a part of a request.
    var sawPart = false
    private(set) var hasPartialHead = false
    /// The client was too slow with its body: the connection ends with the answer.
    private(set) var isGivenUp = false
    fileprivate var patience: ClientPatience?
    fileprivate var timer: RepeatedTask?
    /// Heads that came.
    private(set) var heads = 0
    /// Beginnings and ends of requests, and how many there were at the last look.
    private var turns = 0
    private var lookedTurns = 0
    private var lookedReceived = 0
    private var lookedTaken = 0

    mutating func beginsRequest() {
        turns += 1
        heads += 1
        hasPartialHead = false
    }

    mutating func endsRequest() { turns += 1 }

    /// Of a connection that another listener had.
    mutating func wasUsed() { turns += 1 }

    /// A read has ended between two requests: bytes that are no part of one are the beginning of a head.
    mutating func endsRead() { if !sawPart { hasPartialHead = true } }

    mutating func giveUp() { isGivenUp = true }

    /// No request was ever begun.
    var isUnused: Bool { turns == 0 }

    mutating func end() {
        timer?.cancel()
        timer = nil
    }

    /// - Parameter unsent: bytes that the client has not taken yet.
    fileprivate mutating func look(_ turn: ClientPatience.Turn, unsent: Int) -> SlowClient? {
        let taken = max(lookedTaken, sent - unsent)
        let moved = turn == .response ? taken - lookedTaken : received - lookedReceived
        let isNew = turns != lookedTurns
        (lookedTurns, lookedReceived, lookedTaken) = (turns, received, taken)
        return patience?.look(turn, isNew: isNew, moved: moved, at: .now())
    }
}

extension HTTPConnection {
    /// How long a connection whose last answer is out waits for its client to close.
    private static let lingerTime = TimeAmount.seconds(2)
    private static let tooSlow = S3Error(
        .requestTimeout,
        "Your socket connection to the server was not read from or written to within the timeout period.")

    func beginWatch(_ context: ChannelHandlerContext) {
        let limits = listener.patience
        watch.patience = ClientPatience(limits, at: .now())
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        watch.timer = context.eventLoop.scheduleRepeatedTask(
            initialDelay: limits.interval, delay: limits.interval
        ) { _ in bound.value.0.look(bound.value.1) }
    }

    private func look(_ context: ChannelHandlerContext) {
        let unsent = unsentByteCount(context)
        let turn = turn(unsent: unsent)
        guard let slow = watch.look(turn, unsent: unsent) else { return }
        listener.counts.close(slow)
        switch slow {
        case .idle, .response: close(context)
        case .header:
            // Who never sent anything is owed no answer.
            guard watch.hasPartialHead else { return close(context) }
            answerSlowHead(context)
        case .body:
            guard case .busy(let body, _, false) = state else { return close(context) }
            watch.giveUp()
            body.fail(Self.tooSlow)
        }
    }

    private func turn(unsent: Int) -> ClientPatience.Turn {
        switch state {
        case .idle:
            if unsent > 0 {
                // The answer was written in one piece, and the client is still to take it.
                .response
            } else {
                isHeld ? .server : watch.hasPartialHead || watch.isUnused ? .header : .idle
            }
        case .busy(_, _, let isReceived):
            if unsent > 0 {
                .response
            } else {
                !isReceived && isReading && !watch.isGivenUp ? .body : .server
            }
        case .discarding: .body
        case .lingering, .closed: .server
        }
    }

    /// Bytes that wait for the client to take them.
    func unsentByteCount(_ context: ChannelHandlerContext) -> Int {
        do { return try context.channel.syncOptions?.getOption(.bufferedWritableBytes) ?? 0 } catch {
            // The channel is closed: nothing waits any more.
            return 0
        }
    }

    /// No request is there that an answer could go with, so it goes out below the HTTP handlers.
    private func answerSlowHead(_ context: ChannelHandlerContext) {
        do {
            let encoder = try context.pipeline.syncOperations.context(handlerType: HTTPResponseEncoder.self)
            encoder.writeAndFlush(NIOAny(Refusal.ofSlowHead), promise: nil)
        } catch {
            // The pipeline is gone, and the connection with it.
            return close(context)
        }
        linger(context)
    }

    /// Closes the server's side, and the rest when the client has closed its own, or after a moment.
    func linger(_ context: ChannelHandlerContext) {
        if case .closed = state { return }
        state = .lingering(byteCount: 0)
        context.close(mode: .output, promise: nil)
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: Self.lingerTime) { bound.value.0.close(bound.value.1) }
        isHeld = false
        read(context)
    }
}
