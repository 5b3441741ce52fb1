import EventLog
import Foundation
import Model
import Notifications
import ObjectStore
import TestSupport
import Testing
import Volumes

/// A sink and events that no volume has good any more, or for now.
@Suite struct UnreadableEventTests {
    private static let created = "s3:ObjectCreated:*"
    private let receiver = Receiver()
    private let clock = Clock()

    private func sink(_ stage: StartedStore, _ events: [String] = [Self.created]) throws -> Sink {
        try Sink(
            "test", receiver, NotificationFilter(events: events), stage.store, region: "r",
            clock.surroundings())
    }

    /// What cannot be read for five minutes is passed over, and not sooner.
    /// - Returns: what was said of events that cannot be read.
    @discardableResult
    private func drain(_ sink: Sink) async throws -> [String] {
        var news: [String] = []
        var waited = 0.0
        while true {
            do {
                guard try await sink.step({ news.append("\($0)") }) else { return news }
                waited = 0
            } catch LogError.damaged(let sequence, let reason) {
                guard waited < 300 else { throw LogError.damaged(sequence, reason) }
                clock.pass(150)
                waited += 150
            }
        }
    }

    private func put(_ stage: StartedStore, _ keys: String...) async throws -> [SequenceNumber] {
        var sequences: [SequenceNumber] = []
        for key in keys {
            sequences.append(try await stage.store.put(stage.bucket, key, [1]).commit.sequence)
        }
        return sequences
    }

    private func damage(_ stage: StartedStore, _ sequence: SequenceNumber) throws {
        for volume in 1...3 {
            let (path, range) = try LogDamage(disk: stage.disk, volume: volume).frame(sequence)
            try stage.disk.corrupt(path, at: UInt64(range.lowerBound + 90))
        }
    }

    @Test func whatComesBeforeAnEventThatCannotBeReadAndBehindItIsToldOf() async throws {
        let stage = try await StartedStore()
        let sink = try sink(stage)
        let sequences = try await put(stage, "a", "bad", "c")
        try damage(stage, sequences[1])
        let news = try await drain(sink)
        #expect(try receiver.keys() == ["a", "c"])
        #expect(news.count == 1)
        #expect(try #require(news.first).contains("event \(sequences[1]) cannot be read"))
        // No record has the number that this one follows on: somebody who looks sees that one is missing.
        let records = try receiver.deliveries().flatMap { $0 }
        #expect(records.map(\.holdfast.previous) == [0, sequences[1].rawValue])
        #expect(sink.standing.sequence == stage.store.head.sequence.rawValue)
        stage.store.close()
    }

    @Test func severalThatCannotBeReadArePassedOverTogether() async throws {
        let stage = try await StartedStore()
        let sink = try sink(stage)
        let sequences = try await put(stage, "bad1", "bad2", "c")
        try damage(stage, sequences[0])
        try damage(stage, sequences[1])
        let news = try await drain(sink)
        #expect(try receiver.keys() == ["c"])
        #expect(news.count == 1)
        #expect(
            try #require(news.first).contains("events \(sequences[0]) to \(sequences[1]) cannot be read"))
        stage.store.close()
    }

    @Test func theLastEventIsPassedOverOnceThereIsAnotherBehindIt() async throws {
        let stage = try await StartedStore()
        let sink = try sink(stage)
        let bad = try await put(stage, "bad")[0]
        try damage(stage, bad)
        await #expect(throws: LogError.self) { _ = try await self.drain(sink) }
        _ = try await put(stage, "b")
        #expect(try await drain(sink).count == 1)
        #expect(try receiver.keys() == ["b"])
        stage.store.close()
    }

    @Test func aSinkThatIsMadeAnewBehindOneGoesOn() async throws {
        let stage = try await StartedStore()
        let first = try sink(stage, ["s3:ObjectRemoved:*"])
        let bad = try await put(stage, "bad", "b")[0]
        try damage(stage, bad)
        // The one that is good comes later: the cursor stays at the one that is not.
        await #expect(throws: LogError.self) { _ = try await first.step() }
        clock.pass(300)
        _ = try await first.step()
        #expect(first.standing.sequence == bad.rawValue)
        #expect(try #require(first.standing.lastError).contains("event \(bad) cannot be read"))
        let second = try sink(stage)
        try await drain(second)
        #expect(try receiver.keys() == ["b"])
        #expect(try receiver.deliveries().flatMap { $0 }.map(\.holdfast.previous) == [bad.rawValue])
        stage.store.close()
    }

    @Test func whatNoDiskGivesForNowIsWaitedFor() async throws {
        let stage = try await StartedStore()
        let sink = try sink(stage)
        _ = try await put(stage, "a", "b")
        for volume in 1...3 { stage.strike(volume, .fail(EIO), on: [.read], below: "log") }
        await #expect(throws: LogError.self) { _ = try await self.drain(sink) }
        #expect(try receiver.keys() == [])
        stage.disk.removeFaults()
        #expect(try await drain(sink) == [])
        #expect(try receiver.keys() == ["a", "b"])
        stage.store.close()
    }

    @Test func whatComesBackWithinMinutesIsToldOf() async throws {
        let stage = try await StartedStore()
        let sink = try sink(stage)
        let away = try await put(stage, "away", "b")[0]
        try damage(stage, away)
        for seconds in [0.0, 100, 199] {
            clock.pass(seconds)
            await #expect(throws: LogError.self) { _ = try await sink.step() }
        }
        #expect(try receiver.keys() == [])
        try damage(stage, away)  // the same bit again
        #expect(try await drain(sink) == [])
        #expect(try receiver.keys() == ["away", "b"])
        stage.store.close()
    }

    @Test(arguments: [true, false])
    func aConfirmationOfAnUploadThatCannotBeReadTellsOfTheOthersAndStopsNobody(isAskedFor: Bool) async throws
    {
        let stage = try await StartedStore()
        let sink = try sink(stage, [Self.created] + (isAskedFor ? ["holdfast:Upload:Confirmed"] : []))
        let sequences = try await put(stage, "a", "bad", "c")
        try await drain(sink)
        try damage(stage, sequences[1])
        var change = EventUploadsConfirmed()
        change.fromSequence = sequences[0].rawValue
        change.throughSequence = sequences[2].rawValue
        change.count = 3
        change.volumes = [1, 2, 3]
        _ = try await stage.store.inspection.record(.uploadsConfirmed(change))
        _ = try await put(stage, "d")
        let news = try await drain(sink)
        #expect(news.count == 1)
        #expect(try #require(news.first).contains("event \(sequences[1]) cannot be read"))
        let confirmed = isAskedFor ? ["a", "c"] : []
        #expect(try receiver.keys() == ["a", "bad", "c"] + confirmed + ["d"])
        let records = try receiver.deliveries().flatMap { $0 }
        #expect(records.filter { $0.eventName == "Upload:Confirmed" }.count == confirmed.count)
        stage.store.close()
    }
}
