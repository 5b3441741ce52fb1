import Synchronization

/// A broker that keeps messages until others fetch them, over a client that blocks the thread that asks.
///
/// Everything that is not one broker's protocol stands in ``BrokerTransport``.
package protocol Broker: Sendable {
    /// `kafka` …
    var kind: String { get }
    /// Where to, without secrets.
    var target: String { get }
    /// - Throws: ``BrokerFailure``, when no connection comes about while the attempt lasts.
    func connect(_ attempt: BrokerAttempt) throws(BrokerFailure) -> any BrokerConnection
}

/// A connection to a broker, which one thread uses. What failed on it is not asked again on it.
package protocol BrokerConnection {
    /// Sends messages in this order, and waits until the broker has confirmed that it keeps each of them.
    /// - Parameter confirmed: takes the ids of those that it did confirm, whatever becomes of the others.
    /// - Throws: ``BrokerFailure`` if it did not confirm one; others may have been taken all the same.
    func publish(
        _ messages: [BrokerMessage], _ attempt: BrokerAttempt, confirmed: inout Set<String>
    ) throws(BrokerFailure)
    /// Lets go of it; waits for nothing for long.
    func close()
}

package struct BrokerMessage: Sendable {
    /// What of one key is kept in order: `BUCKET/KEY`.
    package let key: String
    /// The same for each attempt to send it.
    package let id: String
    /// The event's name.
    package let type: String
    package let body: [UInt8]

    package init(key: String, id: String, type: String, body: [UInt8]) {
        self.key = key
        self.id = id
        self.type = type
        self.body = body
    }
}

/// Why a broker did not take something.
package struct BrokerFailure: Error, Equatable {
    package let reason: String
    /// It would not be taken another time either.
    package let isRefusal: Bool
    /// The broker's word about a message: see ``DeliveryOutcome/failed(_:isAnswer:)``.
    package let isAnswer: Bool

    package init(_ reason: String, isRefusal: Bool = false, isAnswer: Bool = false) {
        self.reason = reason
        self.isRefusal = isRefusal
        self.isAnswer = isAnswer
    }
}

/// How long one attempt at a broker may last: until its deadline, or until nobody waits for it any more.
package final class BrokerAttempt: Sendable {
    /// How long a call may block before it looks again, in milliseconds.
    private static let slice = 200
    /// How long making a connection may take, in milliseconds.
    private static let connecting = 5000

    private let end: ContinuousClock.Instant
    private let isCancelled = Atomic(false)
    private let seconds: Int

    package init(seconds: Int) {
        self.seconds = seconds
        end = .now + .seconds(seconds)
    }

    package func cancel() { isCancelled.store(true, ordering: .relaxed) }

    /// How long to block now, in milliseconds.
    /// - Throws: ``BrokerFailure`` when the attempt is over.
    package func wait() throws(BrokerFailure) -> Int { min(Self.slice, try left()) }

    /// How long a call may block that cannot look in between, in milliseconds.
    /// - Throws: ``BrokerFailure`` when the attempt is over.
    package func connectionWait() throws(BrokerFailure) -> Int { min(Self.connecting, try left()) }

    private func left() throws(BrokerFailure) -> Int {
        guard !isCancelled.load(ordering: .relaxed) else { throw BrokerFailure("the attempt was given up") }
        let (whole, atto) = (end - .now).components
        let left = Int(whole) * 1000 + Int(atto / 1_000_000_000_000_000)
        guard left > 0 else { throw BrokerFailure("it confirmed nothing within \(seconds) s") }
        return left
    }
}
