import EventLog
import Foundation
import Model
import TestSupport
import Testing
import Volumes

@Suite struct MirrorRepairTests {
    private func log() throws -> (LogFixture, EventLog) {
        let fixture = try LogFixture.created()
        let (log, _) = try fixture.start()
        try log.fill(segments: 2)
        try log.append("last", payload: [1, 2, 3])
        return (fixture, log)
    }

    private func flaws(_ log: EventLog) throws -> [EventLog.MirrorFlaw] {
        var position = LogPosition.start
        return try log.compareMirrors(through: log.head.sequence, after: &position)
    }

    @Test func aDamagedFrameIsNamedByMirrorAndEvent() throws {
        let (fixture, log) = try log()
        try fixture.damage(SequenceNumber(2), volume: 3)
        let flaw = try #require(try flaws(log).first)
        #expect(try flaws(log).count == 1)
        #expect(flaw.mirror == 3 && flaw.sequence == SequenceNumber(2))
        #expect(flaw.path == "log/00000000000000000001.log")
        #expect(flaw.kind == .damaged && !flaw.isOfSegment)
        #expect(flaw.reason == "\(FrameFlaw.bodyChecksum)")
        let found = log.verifyFrames(from: SequenceNumber(1), through: log.head.sequence, mirror: 3)
        #expect(found.map(\.sequence) == [SequenceNumber(2)])
        #expect(log.verifyFrames(from: SequenceNumber(1), through: log.head.sequence, mirror: 1).isEmpty)
    }

    @Test func aFrameOfASealedSegmentIsMendedAndTheDamagedFileKept() throws {
        let (fixture, log) = try log()
        let path = try fixture.segment(of: SequenceNumber(2), volume: 3)
        let good = try fixture.disk.contents(of: path)
        try fixture.damage(SequenceNumber(2), volume: 3)
        let damaged = try fixture.disk.contents(of: path)
        let place = try log.repair(SequenceNumber(2), mirror: 3)
        #expect(try fixture.disk.contents(of: path) == good)
        #expect(try fixture.disk.contents(of: "/volume-3/\(place)") == damaged)
        #expect(try flaws(log).isEmpty)
    }

    @Test func aFrameOfTheActiveSegmentIsWrittenOver() throws {
        let (fixture, log) = try log()
        try fixture.damage(log.head.sequence, volume: 1)
        #expect(try flaws(log).map(\.mirror) == [1])
        let place = try log.repair(log.head.sequence, mirror: 1)
        #expect(try flaws(log).isEmpty)
        #expect(try fixture.quarantine(1).contains("/volume-1/\(place)"))
        #expect(try log.append("after").stable == [1, 2, 3])
        #expect(try log.isProved())
    }

    @Test func aLostSegmentIsWrittenAfresh() throws {
        let (fixture, log) = try log()
        let path = try #require(try fixture.segments(2).first)
        let good = try fixture.disk.contents(of: path)
        try fixture.disk.lose(path)
        let flaw = try #require(try flaws(log).first)
        #expect(flaw.isOfSegment && flaw.mirror == 2)
        #expect(try flaws(log).count == 1, "a segment is one flaw, not one for each event")
        _ = try log.repair(flaw.sequence, mirror: 2)
        #expect(try fixture.disk.contents(of: path) == good)
        #expect(try flaws(log).isEmpty)
    }

    @Test func aWholeFrameThatIsAnotherIsDiverged() throws {
        let (fixture, log) = try log()
        let path = try fixture.segment(of: SequenceNumber(1), volume: 2)
        let (one, two) = (
            try fixture.offset(of: SequenceNumber(2), volume: 2),
            try fixture.offset(of: SequenceNumber(3), volume: 2)
        )
        let frame = Array(try fixture.disk.contents(of: path)[Int(one)..<Int(two)])
        try fixture.disk.corrupt(path, at: two, with: frame)
        let flaw = try #require(try flaws(log).first)
        #expect(flaw.kind == .misplaced && flaw.sequence == SequenceNumber(3))
        #expect(flaw.reason.contains("event 2 stands in its place"))
        _ = try log.repair(SequenceNumber(3), mirror: 2)
        #expect(try flaws(log).isEmpty)
    }

    @Test func whatNoMirrorHasGoodIsNotMended() throws {
        let (fixture, log) = try log()
        for index in 1...3 { try fixture.damage(SequenceNumber(2), volume: index) }
        #expect(throws: LogError.self) { try flaws(log) }
        #expect(throws: LogError.self) { try log.repair(SequenceNumber(2), mirror: 1) }
    }
}
