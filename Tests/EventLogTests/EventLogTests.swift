import EventLog
import Foundation
import Model
import Synchronization
import TestSupport
import Testing
import Volumes

@Suite struct EventLogTests {
    @Test func eventsAreNumberedChainedAndReadBack() throws {
        let fixture = try LogFixture.created()
        let (log, _) = try fixture.open()
        log.beginEpoch(4)
        let first = try log.stage(.named("a"), payload: [1])
        let second = try log.stage(.named("b"), payload: [])
        #expect(first.sequence == SequenceNumber(1) && second.sequence == SequenceNumber(2))
        #expect(log.head == .start, "nothing has happened before the flush")
        #expect(try log.all().isEmpty)
        let outcome = log.flush()
        #expect(outcome.stable == [1, 2, 3] && outcome.failed.isEmpty)
        #expect(log.head == LogPosition(sequence: second.sequence, chain: second.chain))
        let events = try log.all()
        #expect(events.map(\.record.name) == ["a", "b"])
        #expect(events.map(\.epoch) == [4, 4])
        #expect(events.map(\.payloadLength) == [1, 0])
        #expect(try log.payload(of: first.sequence) == [1])
        #expect(log.payloadIfCached(of: first.sequence) == [1])
        #expect(try log.isProved())
    }

    @Test func whatIsDiscardedNeverWas() throws {
        let (log, _) = try LogFixture.created().open()
        _ = try log.stage(.named("no"), payload: [])
        log.discard()
        try log.append("yes")
        #expect(try log.names() == ["yes"])
        #expect(log.head.sequence == SequenceNumber(1))
    }

    @Test func aClockSetBackDoesNotTurnTimeBack() throws {
        let fixture = try LogFixture.created()
        let reading = Mutex<UInt64>(1000)
        let (log, _) = try EventLog.open(
            storeID: LogFixture.storeID, mirrors: fixture.mirrors(), settings: fixture.settings
        ) { Timestamp(microseconds: reading.withLock { $0 }) }
        try log.append("a")
        reading.withLock { $0 = 500 }
        try log.append("b")
        #expect(try log.all().map(\.time.microseconds) == [1000, 1001])
    }

    @Test func aBatchIsOneWriteAndOneSyncOnEachMirror() throws {
        let fixture = try LogFixture.created()
        let (log, _) = try fixture.open()
        try log.append("before")
        let before = fixture.disk.operationCount
        try log.append("a", "b", "c")
        #expect(fixture.disk.operationCount - before == 3 * 2)
    }

    @Test func segmentsAreSealedAndReadOnAcross() throws {
        let fixture = try LogFixture.created()
        let (log, _) = try fixture.open()
        try log.fill(segments: 5)
        #expect(try fixture.segments(1).count == 6)
        for path in try fixture.segments(2).dropLast() {
            #expect(try SegmentFile.open(path, fileSystem: fixture.disk).seal != nil, "\(path)")
        }
        let all = try log.all()
        #expect(all.map(\.sequence.rawValue) == Array(1...log.head.sequence.rawValue))
        #expect(try log.isProved())
        for first in all {
            let found = try log.events(from: first.sequence, limit: 7)
            #expect(found.first?.chain == first.chain)
            #expect(found.count == min(7, all.count - Int(first.sequence.rawValue) + 1))
        }
        #expect(try log.events(from: log.head.sequence.next, limit: 5).isEmpty)
        for index in 1...3 {
            #expect(
                try fixture.disk.contents(of: fixture.lastSegment(index))
                    == fixture.disk.contents(of: fixture.lastSegment(1)))
        }
    }

    @Test func aBatchMayFillSeveralSegments() throws {
        let fixture = try LogFixture.created()
        let (log, _) = try fixture.open()
        for number in 1...40 {
            _ = try log.stage(.named("event-\(number)"), payload: [UInt8](repeating: 1, count: 1000))
        }
        #expect(log.flush().stable == [1, 2, 3])
        #expect(try fixture.segments(1).count > 5)
        #expect(try log.names() == (1...40).map { "event-\($0)" })
    }

    @Test func anEventLargerThanASegmentHasOneOfItsOwn() throws {
        let fixture = try LogFixture.created()
        let (log, _) = try fixture.open()
        try log.append("small")
        try log.append("large", payload: [UInt8](repeating: 1, count: 3 * LogFixture.segmentByteCount))
        try log.append("after")
        #expect(try log.names() == ["small", "large", "after"])
        let (again, recovery) = try fixture.open()
        #expect(recovery.lagging.isEmpty)
        #expect(again.head == log.head)
        #expect(try again.payload(of: SequenceNumber(2)).count == 3 * LogFixture.segmentByteCount)
    }

    @Test func anEventThatIsTooLargeIsRefusedAndTheLogGoesOn() throws {
        let (log, _) = try LogFixture.created().open()
        #expect(throws: LogError.self) {
            try log.stage(.named(String(repeating: "x", count: Limits.eventByteCount)), payload: [])
        }
        try log.append("next")
        #expect(try log.names() == ["next"])
    }

    @Test(arguments: [SimulatedOperation.write, .sync])
    func aMirrorThatFailsIsReportedAndTheOthersGoOn(_ operation: SimulatedOperation) throws {
        let fixture = try LogFixture.created()
        let (log, _) = try fixture.open()
        fixture.disk.inject(Fault(.fail(EIO), on: [operation]) { $0.hasPrefix("/volume-2/log/0") })
        let outcome = try log.append("a")
        #expect(outcome.stable == [1, 3])
        let error = try #require(outcome.failed[2] as? FileSystemError)
        #expect(error.code == EIO && error.path.hasPrefix("/volume-2/"))
        #expect(log.inService == [1, 3])
        #expect(try log.append("b").stable == [1, 3])
        #expect(try log.names() == ["a", "b"])
    }

    @Test func aFlushWithoutItsQuorumDidNotHappenAndBreaksTheLog() throws {
        let fixture = try LogFixture.created()
        let (log, _) = try fixture.open()
        try log.append("a")
        fixture.disk.inject(Fault(.fail(EIO), on: [.write], times: nil) { !$0.hasPrefix("/volume-1") })
        let outcome = try log.append("b")
        #expect(outcome.stable == [1] && Set(outcome.failed.keys) == [2, 3])
        #expect(try log.names() == ["a"])
        #expect(throws: LogError.self) { try log.stage(.named("c"), payload: []) }
    }

    @Test func aMirrorThatStallsIsLateAndTheOthersGoOn() throws {
        var fixture = try LogFixture.created()
        fixture.deadline = .milliseconds(50)
        let lane = ThreadLane(LaneShape("stalled", capacity: 64))
        fixture.lane = { $0 == 3 ? lane as any Lane : InlineLane() }
        let (log, _) = try fixture.open()
        let stall = Stall()
        fixture.disk.inject(Fault(.stall(stall), on: [.sync]) { $0.hasPrefix("/volume-3") })
        let outcome = try log.append("a")
        #expect(outcome.stable == [1, 2])
        #expect("\(try #require(outcome.failed[3]))".contains("no answer"))
        #expect(try log.append("b").stable == [1, 2])
        stall.release()
        lane.finish()
        #expect(try log.names() == ["a", "b"])
    }

    @Test func aMirrorWhoseQueueIsFullIsOutOfService() throws {
        struct Refusing: Lane {
            func submit(_ work: @escaping @Sendable () -> Void) -> Bool { false }
            var depth: Int { 0 }
            func finish() {}
        }
        var fixture = try LogFixture.created()
        fixture.lane = { $0 == 1 ? Refusing() as any Lane : InlineLane() }
        let (log, _) = try fixture.open()
        let outcome = try log.append("a")
        #expect(outcome.stable == [2, 3])
        #expect(outcome.failed[1] is LaneRefused)
    }

    @Test func aDiskThatFailsWhileASegmentIsMadeReadyIsReportedByTheNextFlush() throws {
        let fixture = try LogFixture.created()
        let (log, _) = try fixture.open()
        fixture.disk.inject(Fault(.fail(EIO), on: [.sync]) { $0 == "/volume-2/log/next" })
        let first = try log.append("a", payload: [UInt8](repeating: 0, count: 2000))
        #expect(first.stable == [1, 2, 3], "the events themselves are stable")
        let second = try log.append("b")
        #expect(second.stable == [1, 3])
        #expect((second.failed[2] as? FileSystemError)?.path == "/volume-2/log/next")
    }

    @Test func aDiskThatIsFullWhileASegmentIsMadeReadyIsAskedAgainWhenItIsNeeded() throws {
        let fixture = try LogFixture.created()
        let (log, _) = try fixture.open()
        fixture.disk.inject(Fault(.fail(ENOSPC), on: [.allocate]) { $0 == "/volume-2/log/next" })
        try log.fill(segments: 2)
        #expect(log.inService == [1, 2, 3])
        #expect(try log.isProved())
        fixture.disk.inject(Fault(.fail(ENOSPC), on: [.allocate], times: nil) { $0 == "/volume-2/log/next" })
        try log.fill(segments: 2)
        #expect(log.inService == [1, 3])
    }

    @Test func aDamagedFrameIsReadFromAnotherMirror() throws {
        let fixture = try LogFixture.created()
        let (log, _) = try fixture.open()
        try log.append("a", "b", "c", payload: [1, 2, 3])
        try log.fill(segments: 1)
        try log.append("last", payload: [9])
        let names = try log.names()
        try fixture.damage(SequenceNumber(1), volume: 1)
        try fixture.damage(SequenceNumber(2), volume: 2)
        try fixture.damage(SequenceNumber(3), volume: 3)
        try fixture.damage(log.head.sequence, volume: 1)
        try fixture.damage(log.head.sequence, volume: 2)
        #expect(try log.names() == names)
        #expect(try log.payload(of: log.head.sequence) == [9])
        try fixture.damage(log.head.sequence, volume: 3)
        #expect(throws: LogError.self) { try log.payload(of: log.head.sequence) }
        #expect(throws: LogError.self) { try log.all() }
    }

    @Test func whatStandsBeforeAnEventThatNoMirrorHasGoodIsRead() throws {
        let fixture = try LogFixture.created()
        let (log, _) = try fixture.open()
        try log.append("a", "b", "c", "d")
        for volume in 1...3 { try fixture.damage(SequenceNumber(3), volume: volume) }
        #expect(throws: LogError.self) { try log.events(from: SequenceNumber(1), limit: 4) }
        let (events, damage) = try log.eventsBeforeDamage(from: SequenceNumber(1), limit: 4)
        #expect(events.map(\.sequence) == [SequenceNumber(1), SequenceNumber(2)])
        #expect(damage?.sequence == SequenceNumber(3))
        #expect(try log.eventsBeforeDamage(from: SequenceNumber(1), limit: 2).damage == nil)
        #expect(try log.eventsBeforeDamage(from: SequenceNumber(3), limit: 2).events.isEmpty)
        #expect(try log.eventsBeforeDamage(from: SequenceNumber(4), limit: 9).events.count == 1)
    }

    @Test func whoWaitsIsWokenByTheNextEvent() async throws {
        let (log, _) = try LogFixture.created().open()
        try log.append("a")
        await log.waitForEvents(after: .zero)
        async let woken: Void = log.waitForEvents(after: SequenceNumber(1))
        try log.append("b")
        await woken
        #expect(log.head.sequence == SequenceNumber(2))
    }

    @Test func whoWaitsIsWokenByTheEndOfTheLogAndByCancellation() async throws {
        let (log, _) = try LogFixture.created().open()
        let cancelled = Task { await log.waitForEvents(after: SequenceNumber(5)) }
        cancelled.cancel()
        await cancelled.value
        async let woken: Void = log.waitForEvents(after: SequenceNumber(5))
        log.close()
        await woken
        await log.waitForEvents(after: SequenceNumber(5))
        #expect(throws: LogError.self) { try log.stage(.named("late"), payload: []) }
    }
}
