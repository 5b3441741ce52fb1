import EventLog
import Foundation
import Model
import TestSupport
import Testing
import Volumes

@Suite struct CatchUpTests {
    /// A log of which volume 3 missed the last part.
    private func lagging(segments: Int) throws -> (LogFixture, EventLog) {
        let fixture = try LogFixture.created()
        try fixture.start().log.append("shared")
        let (log, _) = try fixture.open([1, 2])
        if segments == 0 {
            try log.append("missed")
        } else {
            try log.fill(segments: segments, prefix: "missed")
        }
        return (fixture, log)
    }

    private func isSameOnDisk(_ fixture: LogFixture, _ index: Int) throws -> Bool {
        func files(_ volume: Int) throws -> [String: [UInt8]] {
            let paths = try fixture.segments(volume)
            return try Dictionary(
                uniqueKeysWithValues: paths.map { (String($0.suffix(24)), try fixture.disk.contents(of: $0)) }
            )
        }
        return try files(index) == files(1)
    }

    @Test(arguments: [0, 1, 4])
    func aMirrorIsBroughtUpToTheHeadEventByEvent(_ segments: Int) throws {
        let (fixture, log) = try lagging(segments: segments)
        let mirror = fixture.mirror(3)
        var brought: [String] = []
        let report = try log.catchUp(mirror) { brought += $0.map(\.record.name) }
        #expect(brought == Array(try log.names().dropFirst(2)))
        #expect(report.events == UInt64(brought.count))
        #expect(report.bytes > 0)
        try log.putInService(mirror)
        #expect(try log.append("together").stable == [1, 2, 3])
        #expect(try log.isProved() && isSameOnDisk(fixture, 3))
        #expect(try fixture.open([1, 3]).recovery.lagging.isEmpty)
    }

    @Test func whatIsAppendedMeanwhileIsAddedByASecondCall() throws {
        let (fixture, log) = try lagging(segments: 2)
        let mirror = fixture.mirror(3)
        _ = try log.catchUp(mirror) { _ in }
        try log.append("meanwhile")
        #expect(throws: LogError.self) { try log.putInService(mirror) }
        var brought: [String] = []
        #expect(try log.catchUp(mirror) { brought += $0.map(\.record.name) }.events == 1)
        #expect(brought == ["meanwhile"])
        #expect(try log.catchUp(mirror) { _ in }.events == 0)
        try log.putInService(mirror)
        #expect(try log.isProved())
    }

    @Test func segmentsThatBeginMeanwhileAreAddedToo() throws {
        let (fixture, log) = try lagging(segments: 1)
        let mirror = fixture.mirror(3)
        _ = try log.catchUp(mirror) { _ in }
        try log.fill(segments: 3, prefix: "meanwhile")
        _ = try log.catchUp(mirror) { _ in }
        try log.putInService(mirror)
        #expect(try log.append("together").stable == [1, 2, 3])
        #expect(try log.isProved() && isSameOnDisk(fixture, 3))
    }

    @Test func anEmptyMirrorGetsTheWholeLog() throws {
        let (fixture, log) = try lagging(segments: 2)
        let disk = fixture.disk
        for path in try disk.files(below: "/volume-3/log") { try disk.lose(path) }
        let mirror = fixture.mirror(3)
        #expect(try log.catchUp(mirror) { _ in }.events == log.head.sequence.rawValue)
        try log.putInService(mirror)
        #expect(try log.isProved() && isSameOnDisk(fixture, 3))
    }

    @Test func whatAnEventBringsComesBeforeTheEvent() throws {
        let (fixture, log) = try lagging(segments: 0)
        struct NoBlob: Error {}
        #expect(throws: NoBlob.self) { try log.catchUp(fixture.mirror(3)) { _ in throw NoBlob() } }
        let (found, recovery) = try fixture.open([1, 3])
        #expect(recovery.lagging == [3])
        #expect(try found.names() == log.names())
    }

    @Test func aForeignSegmentGoesToQuarantine() throws {
        let (fixture, log) = try lagging(segments: 2)
        let header = Segment.Header(storeID: LogFixture.storeID, first: SequenceNumber(777), chain: .genesis)
        try fixture.disk.place(header.encoded(), at: "/volume-3/log/" + Segment.name(SequenceNumber(777)))
        let mirror = fixture.mirror(3)
        _ = try log.catchUp(mirror) { _ in }
        try log.putInService(mirror)
        #expect(try log.isProved() && isSameOnDisk(fixture, 3))
        let kept = "/volume-3/quarantine/log-777"
        #expect(try fixture.disk.contents(of: kept) == header.encoded())
        #expect(
            String(decoding: try fixture.disk.contents(of: kept + ".json"), as: UTF8.self)
                .contains("events that are no part of the log"))
    }

    @Test func aSegmentThatCannotBeReadGoesToQuarantineBeforeItIsWrittenAfresh() throws {
        let (fixture, log) = try lagging(segments: 1)
        let path = try fixture.lastSegment(3)
        try fixture.disk.corrupt(path, at: 3)
        let damaged = try fixture.disk.contents(of: path)
        let mirror = fixture.mirror(3)
        _ = try log.catchUp(mirror) { _ in }
        try log.putInService(mirror)
        #expect(try log.isProved() && isSameOnDisk(fixture, 3))
        #expect(try fixture.disk.contents(of: "/volume-3/quarantine/log-1") == damaged)
    }

    @Test func aMirrorThatTheMachineDiesInIsCaughtUpTheNextTime() throws {
        let (fixture, log) = try lagging(segments: 2)
        let names = try log.names()
        var points = 0
        for point in 1... {
            let disk = fixture.disk.clone()
            let dying = LogFixture(disk)
            let (source, _) = try dying.open([1, 2])
            disk.crash(atOperation: point)
            let isDone = (try? source.catchUp(dying.mirror(3)) { _ in }) != nil
            let again = LogFixture(disk.recovered(seed: UInt64(point)))
            let (found, _) = try again.start()
            #expect(try found.names() == names + ["epoch"], "crash at \(point)")
            #expect(try found.isProved() && found.inService == [1, 2, 3], "crash at \(point)")
            points += 1
            if isDone { break }
        }
        #expect(points > 10)
    }
}
