import Model
import Notifications
import ObjectStore
import TestSupport
import Testing
import Volumes

/// A delivery that the other side fails again and again.
@Suite struct FailedDeliveryTests {
    private static let filter = NotificationFilter(events: ["s3:ObjectCreated:*"])
    private static let answer = DeliveryOutcome.failed("it answered 500", isAnswer: true)
    private static let silence = DeliveryOutcome.failed("no answer")
    private static let day = 24.0 * 3600
    /// Seconds between two attempts, about: more than a breaker asks for.
    private static let nap = 600.0
    private let receiver = Receiver()
    private let clock = Clock()

    private func sink(_ stage: StartedStore) throws -> Sink {
        try Sink(
            "test", receiver, Self.filter, stage.store, region: "r", clock.surroundings(nap: Self.nap))
    }

    private func drain(_ sink: Sink) async throws { while try await sink.step() {} }

    private func deadLetters(_ stage: StartedStore) throws -> String {
        let path = stage.fixture.settings.stateDirectory + "/sinks/test.dead.jsonl"
        return String(decoding: try stage.disk.contents(of: path), as: UTF8.self)
    }

    private static func many(_ outcome: DeliveryOutcome, _ count: Int) -> [DeliveryOutcome] {
        [DeliveryOutcome](repeating: outcome, count: count)
    }

    @Test func whatIsAnsweredWithAFailureForADayIsADeadLetterAndTheRestGoesOn() async throws {
        let stage = try await StartedStore()
        let sink = try sink(stage)
        try await stage.store.put(stage.bucket, "bad", [1])
        // The first is where the day begins.
        let count = Int(Self.day / Self.nap) + 1
        receiver.answer(Self.many(Self.answer, count))
        try await drain(sink)
        #expect(receiver.attempts == count && clock.now == Self.day)
        #expect(sink.standing.deadLetters == 1)
        let letters = try deadLetters(stage)
        #expect(letters.contains("it answered 500, again and again for 24 hours") && letters.contains("bad"))
        try await stage.store.put(stage.bucket, "good", [1])
        try await drain(sink)
        #expect(try receiver.keys() == ["good"])
        stage.store.close()
    }

    @Test func anOutageHoweverLongMakesNoDeadLetter() async throws {
        let stage = try await StartedStore()
        let sink = try sink(stage)
        try await stage.store.put(stage.bucket, "k", [1])
        receiver.answer(Self.many(Self.silence, 1000))
        try await drain(sink)
        #expect(clock.now > 6 * Self.day)
        #expect(try receiver.keys() == ["k"])
        #expect(sink.standing.deadLetters == 0)
        stage.store.close()
    }

    @Test func timeInWhichNobodyAnswersDoesNotCount() async throws {
        let stage = try await StartedStore()
        let sink = try sink(stage)
        try await stage.store.put(stage.bucket, "k", [1])
        // Twice 70 answers in a row: less than a day of answers, and a week between them.
        receiver.answer(
            Self.many(Self.answer, 70) + Self.many(Self.silence, 1000) + Self.many(Self.answer, 70))
        try await drain(sink)
        #expect(try receiver.keys() == ["k"])
        #expect(sink.standing.deadLetters == 0)
        stage.store.close()
    }

    @Test func aRecordThatFailsByItselfForADayTakesNoOtherWithIt() async throws {
        let stage = try await StartedStore()
        receiver.answer(Self.answer, for: "bad")
        let sink = try sink(stage)
        for key in ["a", "bad", "c"] { try await stage.store.put(stage.bucket, key, [1]) }
        try await drain(sink)
        #expect(try receiver.keys() == ["a", "c"])
        #expect(sink.standing.deadLetters == 1 && sink.standing.delivered == 2)
        // All of them for a day, then each by itself, the one that fails three times.
        #expect(receiver.attempts == Int(Self.day / Self.nap) + 1 + 2 + 3)
        #expect(try deadLetters(stage).contains("bad"))
        stage.store.close()
    }

    @Test(arguments: [
        (204, DeliveryOutcome.delivered), (400, .refused("it answered 400")),
        (429, .failed("it answered 429")), (500, .failed("it answered 500", isAnswer: true)),
        (501, .failed("it answered 501", isAnswer: true)),
        // A gateway, whose server is away, and a server that says that it is.
        (502, .failed("it answered 502")), (503, .failed("it answered 503")),
        (504, .failed("it answered 504")),
    ])
    func aWebhooksStatusSaysWhetherItIsAboutTheDelivery(_ status: Int, _ outcome: DeliveryOutcome) {
        #expect(Webhook.outcome(status: status) == outcome)
    }
}
