import Model
import Notifications
import ObjectStore
import TestSupport
import Testing
import Volumes

@Suite struct SinkTests {
    private static let created = NotificationFilter(events: ["s3:ObjectCreated:*"])

    private func sink(
        _ stage: StartedStore, _ receiver: Receiver, _ filter: NotificationFilter = Self.created,
        clock: Clock = Clock()
    ) throws -> Sink {
        try Sink("test", receiver, filter, stage.store, region: "r", clock.surroundings())
    }

    private func drain(_ sink: Sink) async throws { while try await sink.step() {} }

    @Test func whatIsPutAfterASinkBeganIsToldInTheOrderOfTheLogWithoutAGap() async throws {
        let stage = try await StartedStore()
        try await stage.store.put(stage.bucket, "before", [1])
        let receiver = Receiver()
        let sink = try sink(stage, receiver)
        for number in 0..<250 { try await stage.store.put(stage.bucket, "k \(number)/ü", [1, 2]) }
        try await drain(sink)
        let records = try receiver.deliveries().flatMap { $0 }
        #expect(records.count == 250)
        #expect(records.first?.s3?.object?.key == "k+0/%C3%BC")
        #expect(records.first?.s3?.object?.size == 2)
        #expect(records.allSatisfy { $0.eventSource == "aws:s3" && $0.eventName == "ObjectCreated:Put" })
        #expect(try receiver.deliveries().allSatisfy { $0.count <= 100 })
        var previous: UInt64 = 0
        for record in records {
            #expect(record.holdfast.previous == previous)
            previous = record.holdfast.sequence
        }
        #expect(sink.standing.lag == 0)
        stage.store.close()
    }

    @Test func aSinkThatIsMadeAnewGoesOnFromWhereItWas() async throws {
        let stage = try await StartedStore()
        let receiver = Receiver()
        let first = try sink(stage, receiver)
        try await stage.store.put(stage.bucket, "a", [1])
        try await drain(first)
        try await stage.store.put(stage.bucket, "b", [1])
        let second = try sink(stage, receiver)
        try await drain(second)
        #expect(try receiver.keys() == ["a", "b"])
        stage.store.close()
    }

    @Test func aSinkThatFailsIsAskedLessAndLessAndMissesNothing() async throws {
        let stage = try await StartedStore()
        let receiver = Receiver()
        let clock = Clock()
        let sink = try sink(stage, receiver, clock: clock)
        try await stage.store.put(stage.bucket, "k", [1])
        receiver.answer([DeliveryOutcome](repeating: .failed("no answer"), count: 9))
        try await drain(sink)
        #expect(try receiver.keys() == ["k"])
        #expect(receiver.attempts == 10)
        // 0.1 + 0.2 + 0.4 + 0.8 while it is closed, then 1 + 2 + 4 + 8 + 16.
        #expect(abs(clock.now - 32.5) < 0.001)
        #expect(sink.standing.breaker == .closed)
        stage.store.close()
    }

    @Test func whatIsRefusedForGoodIsADeadLetterAndTheRestGoesOn() async throws {
        let stage = try await StartedStore()
        let receiver = Receiver()
        let sink = try sink(stage, receiver)
        try await stage.store.put(stage.bucket, "bad", [1])
        receiver.answer([DeliveryOutcome](repeating: .refused("it answered 400"), count: 3))
        try await drain(sink)
        try await stage.store.put(stage.bucket, "good", [1])
        try await drain(sink)
        #expect(try receiver.keys() == ["good"])
        #expect(sink.standing.deadLetters == 1)
        let path = stage.fixture.settings.stateDirectory + "/sinks/test.dead.jsonl"
        let file = try stage.disk.open(path, [], permissions: 0)
        let text = String(decoding: try file.bytes(Int(try file.size()), at: 0), as: UTF8.self)
        #expect(text.contains("it answered 400"))
        #expect(text.contains("bad"))
        stage.store.close()
    }

    @Test func aRecordThatIsRefusedByItselfTakesNoOtherWithIt() async throws {
        let stage = try await StartedStore()
        let receiver = Receiver()
        receiver.refuse("bad")
        let sink = try sink(stage, receiver)
        for key in ["a", "bad", "c", "d"] { try await stage.store.put(stage.bucket, key, [1]) }
        try await drain(sink)
        #expect(try receiver.keys() == ["a", "c", "d"])
        #expect(sink.standing.deadLetters == 1)
        #expect(sink.standing.delivered == 3)
        let records = try receiver.deliveries().flatMap { $0 }
        // The one that is missing is between them: the dead letter has it.
        #expect(records[1].holdfast.previous == records[0].holdfast.sequence + 1)
        stage.store.close()
    }

    @Test func tagsAndAccessControlListsAreToldOf() async throws {
        let stage = try await StartedStore()
        let receiver = Receiver()
        let sink = try sink(stage, receiver, NotificationFilter(events: ["s3:*"]))
        try await stage.store.put(stage.bucket, "k", [1])
        let version = try stage.store.version(stage.bucket, try ObjectKey("k"), .current)
        _ = try await stage.store.amend(version, .tagging, actor: tester) { $0.tags = ["a": "b"] }
        _ = try await stage.store.amend(version, .noTagging, actor: tester) { $0.tags = [:] }
        _ = try await stage.store.amend(version, .acl, actor: tester) {
            $0.accessControl.grants = [EventGrant()]
        }
        _ = try await stage.store.amend(version, .legalHold, actor: tester) { $0.legalHold = true }
        try await drain(sink)
        let records = try receiver.deliveries().flatMap { $0 }
        #expect(
            records.map(\.eventName) == [
                "ObjectCreated:Put", "ObjectTagging:Put", "ObjectTagging:Delete", "ObjectAcl:Put",
            ])
        #expect(records.allSatisfy { $0.s3?.object?.key == "k" })
        stage.store.close()
    }

    @Test func aReplayTellsAgainFromTheEventNamed() async throws {
        let stage = try await StartedStore()
        let receiver = Receiver()
        let sink = try sink(stage, receiver)
        let first = try await stage.store.put(stage.bucket, "a", [1]).commit.sequence
        try await stage.store.put(stage.bucket, "b", [1])
        try await drain(sink)
        try sink.replay(from: first.rawValue)
        try await drain(sink)
        #expect(try receiver.keys() == ["a", "b", "a", "b"])
        #expect(throws: SinkError.self) { try sink.replay(from: 1_000_000) }
        #expect(throws: SinkError.self) { try sink.replay(from: 0) }
        stage.store.close()
    }

    @Test func aPauseOutlivesTheProcess() async throws {
        let stage = try await StartedStore()
        let receiver = Receiver()
        try sink(stage, receiver).setPaused(true)
        #expect(try sink(stage, receiver).standing.isPaused)
        stage.store.close()
    }

    @Test(arguments: [
        (NotificationFilter(events: ["*"], buckets: ["other"]), []),
        (NotificationFilter(events: ["s3:ObjectCreated:Put"], prefix: "a/"), ["a/1.jpg", "a/2.txt"]),
        (NotificationFilter(events: ["s3:*"], prefix: "a/", suffix: ".jpg"), ["a/1.jpg", "a/1.jpg"]),
        (NotificationFilter(events: ["s3:ObjectRemoved:*"]), ["a/1.jpg"]),
        (NotificationFilter(events: []), []),
    ])
    func aFilterIsKept(_ filter: NotificationFilter, _ keys: [String]) async throws {
        let stage = try await StartedStore()
        let receiver = Receiver()
        let sink = try sink(stage, receiver, filter)
        for key in ["a/1.jpg", "a/2.txt", "b/3.jpg"] { try await stage.store.put(stage.bucket, key, [1]) }
        _ = try await stage.store.delete(
            stage.bucket, try ObjectKey("a/1.jpg"), .current, conditions: .none, actor: tester)
        try await drain(sink)
        #expect(try receiver.keys() == keys)
        stage.store.close()
    }

    /// Told percent-encoded: of the form with a combining mark, and of that with one letter.
    private static let decomposed = "Cafe%CC%81/e%CC%81"
    private static let composed = "Caf%C3%A9/%C3%A9"

    @Test(arguments: [
        (NotificationFilter(events: ["*"], prefix: "Cafe\u{301}/"), decomposed),
        (NotificationFilter(events: ["*"], prefix: "Caf\u{E9}/"), composed),
        (NotificationFilter(events: ["*"], prefix: "Cafe"), decomposed),
        (NotificationFilter(events: ["*"], suffix: "e\u{301}"), decomposed),
        (NotificationFilter(events: ["*"], suffix: "\u{E9}"), composed),
    ])
    func aFilterComparesBytes(_ filter: NotificationFilter, _ told: String) async throws {
        let stage = try await StartedStore()
        let receiver = Receiver()
        let sink = try sink(stage, receiver, filter)
        for key in ["Cafe\u{301}/e\u{301}", "Caf\u{E9}/\u{E9}"] {
            try await stage.store.put(stage.bucket, key, [1])
        }
        try await drain(sink)
        #expect(try receiver.keys() == [told])
        stage.store.close()
    }

    @Test func aBreakerOpensAfterFailuresAndLetsOneThrough() {
        var breaker = CircuitBreaker()
        for _ in 0..<4 { breaker.fail(at: 0, chance: 1) }
        #expect(breaker.state(at: 0) == .closed)
        breaker.fail(at: 10, chance: 1)
        #expect(breaker.state(at: 10.5) == .open)
        #expect(breaker.state(at: 11) == .halfOpen)
        breaker.fail(at: 11, chance: 1)
        #expect(breaker.state(at: 12.5) == .open)
        #expect(breaker.state(at: 13) == .halfOpen)
        breaker.succeed()
        #expect(breaker.state(at: 13) == .closed)
        for _ in 0..<40 { breaker.fail(at: 20, chance: 0) }
        #expect(
            breaker.next == 50, "never longer than a minute, and never less than half of what it might be")
    }
}
