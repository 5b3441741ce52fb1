import HoldfastServer
import Model
import NIOCore
import Testing

/// Moments of a virtual clock.
private func moment(_ milliseconds: Double) -> NIODeadline {
    .uptimeNanoseconds(1_000_000_000 + UInt64(milliseconds * 1e6))
}

private func milliseconds(_ count: Double) -> TimeAmount { .nanoseconds(Int64(count * 1e6)) }

@Suite struct AdaptiveLimitTests {
    private static let bounds = AdaptiveLimit.Bounds(
        minimum: 4, initial: 32, maximum: 256, comfort: .milliseconds(5))

    /// A server that works at `capacity` requests at once, each for `service` milliseconds, and is always asked for as much
    /// as its limit lets in.
    private static func run(
        _ limit: inout AdaptiveLimit, from start: Double, seconds: Double, capacity: Int, service: Double
    ) -> Double {
        var now = start
        while now < start + seconds * 1000 {
            let latency = service * max(1, Double(limit.value) / Double(capacity))
            limit.observe(milliseconds(latency), inFlight: limit.value, at: moment(now))
            now += 1
        }
        return now
    }

    @Test func itGrowsWhileMoreAtOnceTakeNoLonger() {
        var limit = AdaptiveLimit(Self.bounds)
        _ = Self.run(&limit, from: 0, seconds: 60, capacity: 10_000, service: 1)
        #expect(limit.value == 256)
    }

    @Test func itComesDownWhenRequestsTakeLongerThanUsualAndUpAgainWhenThatIsOver() {
        var limit = AdaptiveLimit(Self.bounds)
        var now = Self.run(&limit, from: 0, seconds: 60, capacity: 200, service: 10)
        let before = limit.value
        #expect(before > 150)
        // A disk has become slow: a tenth is worked at at once.
        now = Self.run(&limit, from: now, seconds: 5, capacity: 20, service: 10)
        let during = limit.value
        #expect(during < before / 2, "\(before) to \(during)")
        #expect(during >= 20, "as many as can be worked at are let in: \(during)")
        now = Self.run(&limit, from: now, seconds: 60, capacity: 200, service: 10)
        #expect(limit.value > before * 3 / 4)
    }

    @Test func latenciesThatAreGoodAreNothingToActOn() {
        var limit = AdaptiveLimit(Self.bounds)
        // From alone on the machine to fifty at once: ten times as long, and still quick.
        var now = 0.0
        for latency in [0.2, 2.0] {
            for _ in 0..<5000 {
                limit.observe(milliseconds(latency), inFlight: limit.value, at: moment(now))
                now += 1
            }
        }
        #expect(limit.value > 32)
    }

    @Test func aLimitThatIsNotUsedStaysAsItIs() {
        var limit = AdaptiveLimit(Self.bounds)
        for number in 0..<10_000 {
            let latency = number < 5000 ? 1.0 : 500
            limit.observe(milliseconds(latency), inFlight: 1, at: moment(Double(number)))
        }
        #expect(limit.value == 32)
    }

    @Test func itNeverLeavesItsBoundsAndAFixedOneNeverMoves() {
        var limit = AdaptiveLimit(Self.bounds)
        var fixed = AdaptiveLimit(Self.bounds, isAdaptive: false)
        var now = 0.0
        for number in 0..<50_000 {
            // Ever slower, by a third each time.
            let latency = 10 * Double(1 << (number / 5000))
            limit.observe(milliseconds(latency), inFlight: limit.value, at: moment(now))
            fixed.observe(milliseconds(latency), inFlight: 256, at: moment(now))
            now += 1
            #expect((4...256).contains(limit.value))
        }
        #expect(limit.value < 32)
        #expect(fixed.value == 256)
    }
}

@Suite struct AdmissionGateTests {
    private typealias Gates = AdmissionGates<Int>

    private static func gates(
        limit: Int = 2, deadline: TimeAmount = .milliseconds(100), byteLimit: Int = 1000
    ) -> Gates {
        let bounds = AdaptiveLimit.Bounds(
            minimum: limit, initial: limit, maximum: limit, comfort: .milliseconds(5))
        return Gates(
            RequestClass.allCases.map { _ in
                AdmissionGate(AdaptiveLimit(bounds, isAdaptive: false), .init(deadline: deadline))
            }, byteLimit: byteLimit)
    }

    private static func place(_ answer: Gates.Answer) -> AdmissionPlace? {
        if case .admitted(let place) = answer { place } else { nil }
    }

    private static func reason(_ answer: Gates.Answer) -> RefusalReason? {
        if case .refused(let reason) = answer { reason } else { nil }
    }

    /// Asks for one request after the other, numbered from `first`.
    private static func ask(
        _ gates: inout Gates, _ numbers: Range<Int>, _ kind: RequestClass = .read, bytes: Int = 0,
        at now: NIODeadline
    ) -> [Gates.Answer] {
        numbers.map { number in gates.ask(kind, byteCount: bytes, at: now) { number } }
    }

    private static func finish(_ gates: inout Gates, _ place: AdmissionPlace, at now: NIODeadline)
        -> [Gates.Outcome]
    {
        var place = place
        return gates.finishWork(&place, keeps: 0, latency: nil, at: now)
    }

    @Test func asManyAsTheLimitGetInTheNextWaitAndTheRestAreRefused() throws {
        var gates = Self.gates()
        let answers = Self.ask(&gates, 0..<12, at: moment(0))
        #expect(answers.prefix(2).allSatisfy { Self.place($0) != nil })
        // Four times the limit may wait.
        #expect(answers.dropFirst(10).compactMap(Self.reason) == [.queue, .queue])
        #expect(gates.standings[RequestClass.read.rawValue].queued == 8)
        // Another class has places of its own.
        #expect(Self.place(Self.ask(&gates, 20..<21, .list, at: moment(0))[0]) != nil)
        let first = try #require(Self.place(answers[0]))
        let outcomes = Self.finish(&gates, first, at: moment(1))
        #expect(outcomes.map(\.waiter) == [2], "who came first is let in first")
        #expect(Self.place(outcomes[0].answer) != nil)
        #expect(gates.standings[0].inFlight == 2 && gates.standings[0].counts.admitted == 3)
        #expect(gates.standings[0].counts.waitSeconds.count == 1)
    }

    @Test func whoWaitedTooLongIsToldSoWithoutAnybodyElsesEnd() {
        var gates = Self.gates(limit: 1)
        _ = Self.ask(&gates, 0..<2, at: moment(0))
        _ = Self.ask(&gates, 2..<3, at: moment(50))
        #expect(gates.settle(at: moment(100)).isEmpty)
        let late = gates.settle(at: moment(101))
        #expect(late.map(\.waiter) == [1] && late.compactMap { Self.reason($0.answer) } == [.deadline])
        #expect(gates.settle(at: moment(151)).map(\.waiter) == [2])
        #expect(!gates.hasWaiting)
    }

    @Test func withoutAQueueWhoFindsNoPlaceIsRefusedAtOnce() {
        var gates = Self.gates(limit: 1, deadline: .zero)
        #expect(Self.ask(&gates, 0..<3, at: moment(0)).compactMap(Self.reason) == [.queue, .queue])
    }

    @Test func aQueueThatDoesNotDrainServesTheNewestAndLetsNobodyWaitLong() throws {
        var gates = Self.gates(limit: 10)
        var busy = Self.ask(&gates, 0..<10, at: moment(0)).compactMap(Self.place)
        // One request ends each 5 ms, and two come: the queue of 40 fills up.
        var served: [(number: Int, waited: Double)] = []
        var came: [Int: Double] = [:]
        var next = 10
        var now = 0.0
        func isOverloaded() -> Bool { gates.standings[0].isOverloaded }
        while now < 1000 {
            now += 5
            for _ in 0..<2 {
                came[next] = now
                _ = Self.ask(&gates, next..<next + 1, at: moment(now))
                next += 1
            }
            let outcomes = Self.finish(&gates, busy.removeFirst(), at: moment(now))
            for outcome in outcomes {
                guard let place = Self.place(outcome.answer) else { continue }
                busy.append(place)
                served.append((outcome.waiter, now - (came[outcome.waiter] ?? 0)))
            }
        }
        #expect(isOverloaded())
        let late = served.suffix(50)
        #expect(late.allSatisfy { $0.waited <= 10 }, "\(late)")
        // The server is as busy as ever.
        #expect(busy.count == 10 && served.count > 190)
        // When nobody comes any more it is over.
        for place in busy { _ = Self.finish(&gates, place, at: moment(now + 50)) }
        #expect(!isOverloaded() && !gates.hasWaiting)
        let fresh = Self.ask(&gates, next..<next + 1, at: moment(now + 60))
        #expect(Self.place(fresh[0]) != nil)
    }

    @Test func aBurstThatDrainsIsServedInOrderAndWhole() throws {
        var gates = Self.gates(limit: 10)
        var busy = Self.ask(&gates, 0..<50, at: moment(0)).compactMap(Self.place)
        var order: [Int] = []
        var now = 0.0
        while !busy.isEmpty {
            now += 1
            for outcome in Self.finish(&gates, busy.removeFirst(), at: moment(now)) {
                order.append(outcome.waiter)
                busy.append(try #require(Self.place(outcome.answer)))
            }
        }
        #expect(order == Array(10..<50))
    }

    @Test func bodiesTakeNoMoreMemoryThanTheyMayAndWaitForIt() throws {
        var gates = Self.gates(limit: 100, byteLimit: 1000)
        let first = try #require(Self.place(Self.ask(&gates, 0..<1, bytes: 600, at: moment(0))[0]))
        #expect(Self.place(Self.ask(&gates, 1..<2, bytes: 600, at: moment(0))[0]) == nil)
        #expect(gates.bytesHeld == 600)
        // What needs none gets in where nobody waits in front of it.
        #expect(Self.place(Self.ask(&gates, 2..<3, .write, bytes: 0, at: moment(0))[0]) != nil)
        var streaming = first
        // It is only sent from now on, from less memory, and is no work any more.
        let outcomes = gates.finishWork(&streaming, keeps: 300, latency: nil, at: moment(1))
        #expect(outcomes.map(\.waiter) == [1] && gates.bytesHeld == 900)
        #expect(gates.standings[0].inFlight == 1)
        #expect(Self.ask(&gates, 3..<4, bytes: 200, at: moment(1)).compactMap(Self.place).isEmpty)
        #expect(gates.settle(at: moment(102)).compactMap { Self.reason($0.answer) } == [.memory])
        _ = Self.finish(&gates, streaming, at: moment(103))
        #expect(gates.bytesHeld == 600 && gates.standings[0].inFlight == 1)
    }

    @Test func anAnswerThatIsLargerThanWhatWasSetAsideCountsAsWhatItIs() throws {
        var gates = Self.gates(limit: 100, byteLimit: 1000)
        var places = try Self.ask(&gates, 0..<2, .list, bytes: 100, at: moment(0)).map {
            try #require(Self.place($0))
        }
        for index in places.indices {
            _ = gates.finishWork(&places[index], keeps: 800, latency: nil, at: moment(1))
        }
        #expect(gates.bytesHeld == 1600 && gates.standings[RequestClass.list.rawValue].inFlight == 0)
        #expect(Self.place(Self.ask(&gates, 2..<3, bytes: 1, at: moment(1))[0]) == nil)
        #expect(Self.place(Self.ask(&gates, 3..<4, .write, bytes: 0, at: moment(1))[0]) != nil)
        // Both are taken: who waited gets in.
        let outcomes = places.map { Self.finish(&gates, $0, at: moment(2)) }
        #expect(outcomes.map { $0.map(\.waiter) } == [[2], []] && gates.bytesHeld == 1)
    }

    @Test func whatNeedsMoreThanAllThereIsGetsInAlone() throws {
        var gates = Self.gates(byteLimit: 1000)
        let whole = try #require(Self.place(Self.ask(&gates, 0..<1, bytes: 5000, at: moment(0))[0]))
        #expect(gates.bytesHeld == 1000)
        _ = Self.finish(&gates, whole, at: moment(1))
        #expect(gates.bytesHeld == 0)
    }

    @Test func whoIsGoneIsNotLetIn() throws {
        var gates = Self.gates(limit: 1)
        let answers = Self.ask(&gates, 0..<3, at: moment(0))
        guard case .waits(let id) = answers[1] else { throw Unexpected() }
        let cancelled = (0..<2).map { _ in gates.cancel(.read, id: id) }
        #expect(cancelled == [1, nil])
        let outcomes = Self.finish(&gates, try #require(Self.place(answers[0])), at: moment(1))
        #expect(outcomes.map(\.waiter) == [2])
    }

    @Test func aRequestThatWaitsForItsClientLeavesItsPlaceToOthers() throws {
        var gates = Self.gates(limit: 1)
        let slow = try #require(Self.place(Self.ask(&gates, 0..<1, .write, at: moment(0))[0]))
        #expect(Self.place(Self.ask(&gates, 1..<2, .write, at: moment(0))[0]) == nil)
        let outcomes = gates.pause(.write, at: moment(1))
        #expect(outcomes.map(\.waiter) == [1])
        // It goes on when its bytes come, beside the other.
        gates.resume(.write)
        #expect(gates.standings[RequestClass.write.rawValue].inFlight == 2)
        #expect(Self.finish(&gates, slow, at: moment(2)).isEmpty)
        #expect(gates.standings[RequestClass.write.rawValue].inFlight == 1)
    }

    private struct Unexpected: Error {}
}
