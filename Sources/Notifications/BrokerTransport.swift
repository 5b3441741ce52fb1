import Volumes

/// Carries notifications to a broker, each record as a message of its own, on a thread of its own.
///
/// A delivery goes out in runs. No two messages of a run have one key, and the broker has confirmed a whole run before the
/// next begins: so whatever it refuses or loses in between, and whatever is therefore sent again, the messages of a key are
/// first taken in the order of the log. What was confirmed of a delivery that failed is not sent again with it, so that a
/// queue with room for some goes on by some. A connection on which something failed is closed, so that nothing late on it is
/// taken for an answer to what came after.
package final class BrokerTransport: SinkTransport {
    /// Messages that are under way at once.
    static let runCount = 64
    /// Seconds without a delivery after which a connection is made anew: routers forget connections that are quiet, and
    /// the clients that block answer no heart-beats in between.
    private static let idleSeconds = 30
    /// The key of what concerns no bucket.
    static let placeless = "holdfast"

    private let broker: any Broker
    private let deadlineSeconds: Int
    private let lane: ThreadLane
    private let clock: @Sendable () -> ContinuousClock.Instant
    private let held = Held()

    /// `@unchecked Sendable`: only work on the lane, which has one thread, touches it.
    private final class Held: @unchecked Sendable {
        var connection: (any BrokerConnection)?
        var used: ContinuousClock.Instant?
        /// Of what is sent again: ids of messages that the broker has.
        var confirmed: Set<String> = []

        func drop() {
            connection?.close()
            connection = nil
        }
    }

    /// - Parameter clock: by which a connection has been quiet.
    package init(
        name: String, _ broker: any Broker, deadlineSeconds: Int,
        clock: @escaping @Sendable () -> ContinuousClock.Instant = { .now }
    ) {
        self.broker = broker
        self.deadlineSeconds = deadlineSeconds
        self.clock = clock
        // A sink delivers one thing at a time; closing is the other that may be asked.
        lane = ThreadLane(LaneShape("sink-\(name)", capacity: 2))
    }

    package var kind: String { broker.kind }
    package var target: String { broker.target }
    package var takesRecordsSingly: Bool { true }

    package func deliver(_ delivery: Delivery) async -> DeliveryOutcome {
        let attempt = BrokerAttempt(seconds: deadlineSeconds)
        return await withTaskCancellationHandler {
            do {
                return try await lane.run { [self] in publish(delivery, attempt) }
            } catch {
                return .failed("the sink is closed")
            }
        } onCancel: {
            attempt.cancel()
        }
    }

    package func close() async {
        do {
            try await lane.run { [held] in held.drop() }
        } catch {
            // The lane has ended: it was closed before.
        }
        lane.finish()
    }

    private func publish(_ delivery: Delivery, _ attempt: BrokerAttempt) -> DeliveryOutcome {
        if let used = held.used, clock() - used > .seconds(Self.idleSeconds) { held.drop() }
        do throws(BrokerFailure) {
            let connection = try connection(attempt)
            let ids = Set(delivery.records.map(delivery.id(of:)))
            held.confirmed.formIntersection(ids)
            for run in Self.runs(delivery) {
                let left = run.filter { !held.confirmed.contains($0.id) }
                if !left.isEmpty { try connection.publish(left, attempt, confirmed: &held.confirmed) }
            }
            held.confirmed = []
            held.used = clock()
            return .delivered
        } catch {
            held.drop()
            return error.isRefusal ? .refused(error.reason) : .failed(error.reason, isAnswer: error.isAnswer)
        }
    }

    private func connection(_ attempt: BrokerAttempt) throws(BrokerFailure) -> any BrokerConnection {
        if let connection = held.connection { return connection }
        let made = try broker.connect(attempt)
        held.connection = made
        return made
    }

    /// The messages of a delivery, in order, no key twice in one run.
    static func runs(_ delivery: Delivery) -> [[BrokerMessage]] {
        var runs: [[BrokerMessage]] = []
        var run: [BrokerMessage] = []
        var keys: Set<String> = []
        for record in delivery.records {
            let key = record.place ?? placeless
            if run.count == runCount || !keys.insert(key).inserted {
                runs.append(run)
                run = []
                keys = [key]
            }
            run.append(
                BrokerMessage(
                    key: key, id: delivery.id(of: record), type: record.name,
                    body: Delivery.document(CollectionOfOne(record))))
        }
        return runs + [run]
    }
}
