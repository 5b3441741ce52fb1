import EventLog
import Model
import TestSupport
import Testing
import Volumes

/// Damage in the very last batch, which no other batch follows, where something else proves that it was acknowledged.
@Suite struct LastBatchTests {
    /// Events 1 to 4: epoch, a, b, c, the last two one batch.
    private func log(payload: [UInt8] = []) throws -> LogFixture {
        let fixture = try LogFixture.created()
        let (first, _) = try fixture.start()
        try first.append("a")
        try first.append("b", "c", payload: payload)
        return fixture
    }

    private func open(
        _ fixture: LogFixture, proven: UInt64, cutsAfter: UInt64? = nil
    ) throws -> (log: EventLog, recovery: LogRecovery) {
        var settings = fixture.settings
        settings.provenThrough = SequenceNumber(proven)
        settings.cutsAfter = cutsAfter.map { SequenceNumber($0) }
        return try EventLog.open(storeID: LogFixture.storeID, mirrors: fixture.mirrors(), settings: settings)
        {
            Timestamp(microseconds: 5_000_000)
        }
    }

    private func expectRefusal(_ fixture: LogFixture, at sequence: UInt64) throws {
        let before = try (1...3).map { try fixture.disk.contents(of: fixture.lastSegment($0)) }
        do {
            _ = try open(fixture, proven: 4)
            Issue.record("event 4 was acknowledged")
        } catch LogError.damaged(let found, let reason) {
            #expect(found == SequenceNumber(sequence))
            #expect(reason.contains("the catalog has applied event 4") && reason.contains("holdfast log cut"))
        }
        #expect(try (1...3).map { try fixture.disk.contents(of: fixture.lastSegment($0)) } == before)
    }

    @Test(arguments: [true, false])
    func whatTheCatalogHasAppliedIsNotTakenForATornWrite(_ header: Bool) throws {
        let fixture = try log()
        for index in 1...3 { try fixture.damage(SequenceNumber(4), volume: index, header: header) }
        try expectRefusal(fixture, at: 4)
        #expect(throws: LogError.self) { _ = try open(fixture, proven: 4, cutsAfter: 2) }
        let (cut, recovery) = try open(fixture, proven: 4, cutsAfter: 3)
        #expect(try cut.names() == ["epoch", "a", "b"])
        #expect(recovery.isCutByWord && recovery.cut.map(\.mirror) == [1, 2, 3])
        for index in 1...3 {
            let kept = try #require(try fixture.quarantine(index).first { !$0.hasSuffix(".json") })
            #expect(String(decoding: try fixture.disk.contents(of: kept), as: UTF8.self).contains("c"))
        }
    }

    @Test func eventsOfWhichNoMirrorHasATraceAreMissed() throws {
        let fixture = try log()
        for index in 1...3 {
            let path = try fixture.lastSegment(index)
            try fixture.disk.corruptSize(path, to: try fixture.offset(of: SequenceNumber(3), volume: index))
        }
        try expectRefusal(fixture, at: 3)
        let (cut, recovery) = try open(fixture, proven: 4, cutsAfter: 2)
        #expect(try cut.names() == ["epoch", "a"])
        #expect(recovery.isCutByWord && recovery.cut.isEmpty)
    }

    /// The bytes of an object are lost; that it was published is not.
    @Test func theLastEventStandsWhereOnlyItsPayloadIsDamaged() throws {
        let fixture = try log(payload: [UInt8](repeating: 9, count: 1000))
        for index in 1...3 {
            let offset = try fixture.offset(of: SequenceNumber(4), volume: index)
            try fixture.disk.corrupt(fixture.lastSegment(index), at: offset + 500 + UInt64(index))
        }
        let (log, recovery) = try open(fixture, proven: 4)
        #expect(try log.names() == ["epoch", "a", "b", "c"])
        #expect(recovery.cut.isEmpty && !recovery.isCutByWord)
        #expect(throws: LogError.self) { try log.payload(of: SequenceNumber(4)) }
    }

    @Test func withoutProofItIsCutAndWithProofThatTheLogReachesItOpens() throws {
        let fixture = try log()
        for index in 1...3 { try fixture.damage(SequenceNumber(4), volume: index) }
        let (log, recovery) = try open(fixture, proven: 3)
        #expect(try log.names() == ["epoch", "a", "b"])
        #expect(!recovery.isCutByWord)
    }
}
