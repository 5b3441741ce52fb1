import NIOCore

/// How long a server waits for a client whose turn it is.
///
/// It is looked at from time to time (``Limits/interval``) and told what has moved since, so that requests pay no clock for
/// it; what is too slow is closed at the latest one interval after its time.
///
/// A body, or an answer, has a reserve of time, the grace. While the client has the turn it shrinks as time goes by, and each
/// byte that moves gives back what a byte may take at the minimum rate, up to the whole grace again: so nobody pays for
/// a stall with what was sent quickly before, and a client that sends a byte a minute does not last.
///
/// Source: what is asked for is what Apache's mod_reqtimeout asks (`header=20-40,MinRate=500 body=20,MinRate=500`).
package struct ClientPatience: Sendable {
    package struct Limits: Sendable, Equatable {
        package var idle: TimeAmount
        package var header: TimeAmount
        package var grace: TimeAmount
        /// Bytes a second.
        package var minimumRate: Int

        package init(idle: TimeAmount, header: TimeAmount, grace: TimeAmount, minimumRate: Int) {
            precondition(minimumRate > 0, "a rate is above zero")
            self.idle = idle
            self.header = header
            self.grace = grace
            self.minimumRate = minimumRate
        }

        /// How often connections are looked at.
        package var interval: TimeAmount {
            max(.milliseconds(20), min(.seconds(5), .nanoseconds(min(idle, header, grace).nanoseconds / 4)))
        }
    }

    /// Who is to do something next.
    package enum Turn: Sendable, Equatable {
        /// The client may begin a request, or not.
        case idle
        /// It has begun the head of one, or was to begin its first.
        case header
        /// Its body is waited for.
        case body
        /// It is to take what was sent.
        case response
        case server
    }

    private let limits: Limits
    private var turn: Turn
    private var turnSince: NIODeadline
    private var movedLast: NIODeadline
    private var looked: NIODeadline
    /// In nanoseconds.
    private var reserve: Double

    package init(_ limits: Limits, at now: NIODeadline) {
        self.limits = limits
        turn = .header
        turnSince = now
        movedLast = now
        looked = now
        reserve = Double(limits.grace.nanoseconds)
    }

    /// Looks at the connection.
    /// - Parameters:
    ///   - turn: whose it is.
    ///   - isNew: since the last look a request has begun, or ended: this is another turn than it was then, though it may be
    ///     of the same kind.
    ///   - moved: bytes that came, or went, since the last look.
    /// - Returns: what the client is too slow with; `nil` if it is not.
    package mutating func look(
        _ turn: Turn, isNew: Bool, moved: Int, at now: NIODeadline
    ) -> SlowClient? {
        if turn == .server, !isNew {
            // A body that the server has no room for goes on afterwards with the reserve that it had.
            restore(moved)
            movedLast = now
            looked = now
            return nil
        }
        if isNew || turn != self.turn {
            self.turn = turn
            turnSince = looked
            movedLast = now
            reserve = Double(limits.grace.nanoseconds)
            // How much of the time since the last look was the client's is not known: none is counted.
            looked = now
            return nil
        }
        let elapsed = Double((now - looked).nanoseconds)
        looked = now
        if moved > 0 { movedLast = now }
        switch turn {
        case .server: return nil
        case .idle: return now - movedLast >= limits.idle ? .idle : nil
        case .header: return now - turnSince >= limits.header ? .header : nil
        case .body, .response:
            reserve -= elapsed
            restore(moved)
            guard reserve < 0 || now - movedLast >= limits.idle else { return nil }
            return turn == .body ? .body : .response
        }
    }

    private mutating func restore(_ moved: Int) {
        let earned = Double(moved) / Double(limits.minimumRate) * 1e9
        reserve = min(reserve + earned, Double(limits.grace.nanoseconds))
    }
}

/// What a client was too slow with.
package enum SlowClient: Int, CaseIterable, Sendable {
    case idle, header, body, response

    /// As metrics have it.
    package var word: String {
        switch self {
        case .idle: "idle"
        case .header: "header"
        case .body: "body"
        case .response: "response"
        }
    }
}
