import Notifications
import Synchronization
import Testing

/// Takes messages as a test says, and keeps those it took.
private final class ScriptedBroker: Broker {
    struct State {
        var runs: [[BrokerMessage]] = []
        var connections = 0
        var closed = 0
        /// What it throws next, one by one; `nil` for nothing.
        var failures: [BrokerFailure?] = []
        /// How many of the messages it takes all the same when it fails.
        var takes = 0
        var hangs = false
    }

    let state = Mutex(State())

    var kind: String { "test" }
    var target: String { "nowhere" }
    var runs: [[String]] { state.withLock { $0.runs.map { $0.map(\.key) } } }

    func connect(_ attempt: BrokerAttempt) throws(BrokerFailure) -> any BrokerConnection {
        state.withLock { $0.connections += 1 }
        return Connection(broker: self)
    }

    struct Connection: BrokerConnection {
        let broker: ScriptedBroker

        func publish(
            _ messages: [BrokerMessage], _ attempt: BrokerAttempt, confirmed: inout Set<String>
        ) throws(BrokerFailure) {
            while broker.state.withLock({ $0.hangs }) { _ = try attempt.wait() }
            let failure = broker.state.withLock { state -> BrokerFailure? in
                let failure = state.failures.isEmpty ? nil : state.failures.removeFirst()
                let taken = failure == nil ? messages : Array(messages.prefix(state.takes))
                if !taken.isEmpty { state.runs.append(taken) }
                confirmed.formUnion(taken.map(\.id))
                return failure
            }
            if let failure { throw failure }
        }

        func close() { broker.state.withLock { $0.closed += 1 } }
    }
}

@Suite final class BrokerTransportTests: Sendable {
    private let broker = ScriptedBroker()

    private func delivery(_ places: [String?]) -> Delivery {
        var delivery = Delivery(
            places.enumerated().map { number, place in
                Delivery.Record(
                    sequence: UInt64(number + 1), index: 0, name: "s3:ObjectCreated:Put", place: place,
                    json: Array("{\"n\":\(number)}".utf8))
            })
        delivery.origin = "store"
        return delivery
    }

    private let now = Mutex(ContinuousClock.now)

    private func transport(seconds: Int = 5) -> BrokerTransport {
        BrokerTransport(name: "test", broker, deadlineSeconds: seconds) { [self] in now.withLock { $0 } }
    }

    @Test func noKeyIsTwiceInARunSoThatEachKeyStaysInOrder() async {
        let transport = transport()
        let outcome = await transport.deliver(delivery(["b/a", "b/c", "b/a", "b/a", "b/d", nil, nil]))
        #expect(outcome == .delivered)
        #expect(broker.runs == [["b/a", "b/c"], ["b/a"], ["b/a", "b/d", "holdfast"], ["holdfast"]])
        await transport.close()
    }

    @Test func whatABrokerTookOfADeliveryThatFailedIsNotSentAgainWithIt() async {
        let transport = transport()
        let full = BrokerFailure("full")
        broker.state.withLock { $0.failures = [nil, full, full] }
        broker.state.withLock { $0.takes = 1 }
        let all = delivery(["b/a", "b/c", "b/a", "b/c", "b/d", "b/e"])
        #expect(await transport.deliver(all) == .failed("full"))
        #expect(await transport.deliver(all) == .failed("full"))
        #expect(await transport.deliver(all) == .delivered)
        #expect(broker.runs == [["b/a", "b/c"], ["b/a"], ["b/c"], ["b/d", "b/e"]])
        // Once it is delivered it is another matter: then it was asked for again.
        #expect(await transport.deliver(all) == .delivered)
        #expect(broker.runs.flatMap { $0 }.count == 12)
        await transport.close()
    }

    @Test func aRunIsBounded() async {
        let transport = transport()
        _ = await transport.deliver(delivery((0..<150).map { "b/\($0)" }))
        #expect(broker.runs.map(\.count) == [64, 64, 22])
        await transport.close()
    }

    @Test func aMessageIsADocumentOfOneRecordWithAnIdOfItsOwn() async throws {
        let transport = transport()
        var twice = delivery(["b/a", "b/c"])
        _ = await transport.deliver(twice)
        twice.replay = 2
        _ = await transport.deliver(twice)
        let messages = broker.state.withLock { $0.runs.flatMap { $0 } }
        #expect(String(decoding: messages[1].body, as: UTF8.self) == #"{"Records":[{"n":1}]}"#)
        #expect(messages.map(\.id) == ["store-1-0", "store-2-0", "store-1-0-r2", "store-2-0-r2"])
        #expect(String(decoding: twice.body, as: UTF8.self) == #"{"Records":[{"n":0},{"n":1}]}"#)
        await transport.close()
    }

    @Test func aConnectionIsKeptUntilSomethingFailsOnIt() async {
        let transport = transport()
        for _ in 0..<3 { _ = await transport.deliver(delivery(["b/a"])) }
        #expect(broker.state.withLock { $0.connections } == 1)
        broker.state.withLock {
            $0.failures = [BrokerFailure("gone"), BrokerFailure("too large", isRefusal: true)]
        }
        #expect(await transport.deliver(delivery(["b/a"])) == .failed("gone"))
        #expect(await transport.deliver(delivery(["b/a"])) == .refused("too large"))
        #expect(await transport.deliver(delivery(["b/a"])) == .delivered)
        #expect(broker.state.withLock { $0.connections } == 3)
        #expect(broker.state.withLock { $0.closed } == 2)
        await transport.close()
        #expect(broker.state.withLock { $0.closed } == 3)
    }

    @Test func aBrokersWordAboutAMessageIsToldApartFromItsSilence() async {
        let transport = transport()
        broker.state.withLock {
            $0.failures = [BrokerFailure("not this one", isAnswer: true), BrokerFailure("gone")]
        }
        #expect(await transport.deliver(delivery(["b/a"])) == .failed("not this one", isAnswer: true))
        #expect(await transport.deliver(delivery(["b/a"])) == .failed("gone"))
        await transport.close()
    }

    @Test func aConnectionThatWasQuietForLongIsMadeAnew() async {
        let transport = transport()
        _ = await transport.deliver(delivery(["b/a"]))
        now.withLock { $0 += .seconds(29) }
        _ = await transport.deliver(delivery(["b/a"]))
        #expect(broker.state.withLock { $0.connections } == 1)
        now.withLock { $0 += .seconds(31) }
        _ = await transport.deliver(delivery(["b/a"]))
        #expect(broker.state.withLock { $0.connections } == 2)
        #expect(broker.state.withLock { $0.closed } == 1)
        await transport.close()
    }

    @Test func whatIsNotConfirmedBeforeTheDeadlineHasFailed() async {
        broker.state.withLock { $0.hangs = true }
        let transport = transport(seconds: 1)
        #expect(await transport.deliver(delivery(["b/a"])) == .failed("it confirmed nothing within 1 s"))
        await transport.close()
    }

    @Test func anAttemptThatNobodyWaitsForEnds() async {
        broker.state.withLock { $0.hangs = true }
        let transport = transport(seconds: 600)
        let waiting = Task { await transport.deliver(delivery(["b/a"])) }
        waiting.cancel()
        #expect(await waiting.value == .failed("the attempt was given up"))
        await transport.close()
    }

    @Test func nothingIsDeliveredOnceItIsClosed() async {
        let transport = transport()
        await transport.close()
        #expect(await transport.deliver(delivery(["b/a"])) == .failed("the sink is closed"))
    }

    @Test func eachHostIsAskedUntilOneAnswers() throws {
        let settings = BrokerSettings(
            hosts: [.init(name: "a", port: 1), .init(name: "::1", port: 2), .init(name: "c", port: 3)])
        let found = try settings.first { host throws(BrokerFailure) -> String in
            guard host.name == "c" else { throw BrokerFailure("no") }
            return host.name
        }
        #expect(found == "c")
        #expect(throws: BrokerFailure("a:1: no; [::1]:2: no; c:3: no")) {
            try settings.first { _ throws(BrokerFailure) -> Int in throw BrokerFailure("no") }
        }
    }
}
