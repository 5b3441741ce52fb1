import EventLog
import Foundation
import Model
import Synchronization
import TestSupport
import Testing
import Volumes

@Suite struct PayloadDroppingTests {
    private func log() throws -> (LogFixture, EventLog) {
        let fixture = try LogFixture.created()
        let (log, _) = try fixture.start()
        try log.fill(segments: 3)
        return (fixture, log)
    }

    @Test func theChainIsAsValidAfterPayloadsAreDropped() throws {
        let (fixture, log) = try log()
        let before = try log.all()
        let dropped = [SequenceNumber(2), SequenceNumber(4)]
        let size = try fixture.disk.contents(of: fixture.segments(1)[0]).count
        for index in 1...3 { try log.dropPayloads(of: dropped, mirror: index) }
        #expect(try fixture.disk.contents(of: fixture.segments(1)[0]).count <= size - 2 * 296)
        #expect(try log.isProved())
        let after = try log.all()
        #expect(after.map(\.chain) == before.map(\.chain))
        #expect(after.map(\.record) == before.map(\.record))
        #expect(after.map(\.payloadLength) == before.map(\.payloadLength))
        for sequence in dropped { #expect(throws: LogError.self) { try log.payload(of: sequence) } }
        #expect(try log.payload(of: SequenceNumber(3)).count == 300)
        let (again, recovery) = try fixture.open()
        #expect(again.head == log.head && recovery.notes.isEmpty)
        #expect(try again.isProved())
    }

    /// The table of one file says nothing of the bytes of another.
    @Test func whoReadsASegmentWhileItIsWrittenAfreshFindsNothingWrong() throws {
        let fixture = try LogFixture.created()
        let (log, _) = try fixture.start()
        try log.fill(segments: 8)
        let head = log.head.sequence
        let outcome = Mutex<Result<Void, any Error>?>(nil)
        // A thread of its own: a task might wait for one until all other tests have ended.
        let dropping = Thread {
            let result = Result {
                for sequence in 2..<head.rawValue {
                    for mirror in 1...3 {
                        try log.dropPayloads(of: [SequenceNumber(sequence)], mirror: mirror)
                    }
                }
            }
            outcome.withLock { $0 = result }
        }
        dropping.start()
        var flaws: [EventLog.MirrorFlaw] = []
        while outcome.withLock({ $0 == nil }) {
            var position = LogPosition.start
            flaws += try log.compareMirrors(through: head, after: &position, pastCache: true)
            for mirror in 1...3 {
                var next = SequenceNumber(1)
                while next <= head, let scan = log.scanFrames(from: next, through: head, mirror: mirror) {
                    flaws += scan.bad
                    next = scan.through.next
                }
            }
        }
        try outcome.withLock { $0 }?.get()
        #expect(flaws.isEmpty, "\(flaws)")
    }

    @Test func aMirrorThatStillHasThePayloadIsNoDivergedOne() throws {
        let (_, log) = try log()
        try log.dropPayloads(of: [SequenceNumber(2)], mirror: 1)
        #expect(try log.isProved())
        try log.dropPayloads(of: [SequenceNumber(2)], mirror: 1)
        #expect(try log.isProved(), "twice is no harm")
    }

    /// Of the first payload, that of event 2, a byte is turned over on these mirrors.
    private func damage(_ fixture: LogFixture, _ log: EventLog, on mirrors: ClosedRange<Int>) throws {
        let payload = try log.payload(of: SequenceNumber(2))
        for index in mirrors {
            let path = try fixture.segments(index)[0]
            let bytes = try fixture.disk.contents(of: path)
            let place = try #require(Data(bytes).firstRange(of: Data(payload))).lowerBound
            let file = try fixture.disk.open(path, .write, permissions: 0)
            try file.write([bytes[place + 50] ^ 0xFF], at: UInt64(place + 50))
        }
    }

    @Test func damageIsMendedBeforeItsSegmentIsWrittenAfresh() throws {
        let (fixture, log) = try log()
        try damage(fixture, log, on: 2...2)
        let reported = Mutex<[SequenceNumber]>([])
        log.onDamagedFrame { sequence, mirror in
            if mirror == 2 { reported.withLock { $0.append(sequence) } }
        }
        let before = try fixture.disk.contents(of: fixture.segments(2)[0])
        #expect(throws: LogError.self) { try log.dropPayloads(of: [SequenceNumber(4)], mirror: 2) }
        #expect(reported.withLock { $0 }.contains(SequenceNumber(2)))
        #expect(try fixture.disk.contents(of: fixture.segments(2)[0]) == before)
        _ = try log.repair(SequenceNumber(2), mirror: 2)
        try log.dropPayloads(of: [SequenceNumber(4)], mirror: 2)
        #expect(try log.isProved())
    }

    @Test func whatNobodyCanMendIsKeptInQuarantineBeforeItsSegmentIsWrittenAfresh() throws {
        let (fixture, log) = try log()
        try damage(fixture, log, on: 1...3)
        let before = try fixture.disk.contents(of: fixture.segments(2)[0])
        try log.dropPayloads(of: [SequenceNumber(4)], mirror: 2)
        let kept = try fixture.disk.paths(below: "/volume-2/quarantine").filter {
            !$0.hasSuffix(".json") && !$0.hasSuffix("/")
        }
        #expect(kept.count == 1)
        #expect(try kept.map { try fixture.disk.contents(of: $0) } == [before])
    }

    /// Bits that flip on the way to the device: in the header and behind it, in frames, in the table and in the footer.
    @Test func aSegmentThatDoesNotReadAsItWasWrittenTakesNoPlace() throws {
        let (fixture, log) = try log()
        let dropped = [SequenceNumber(2)]
        try log.dropPayloads(of: dropped, mirror: 1)
        let new = try fixture.disk.contents(of: fixture.segments(1)[0])
        let path = try fixture.segments(2)[0]
        let old = try fixture.disk.contents(of: path)
        #expect(new.count < old.count)
        let frames = Segment.headerByteCount
        for offset in [0, 50, 2000, frames, frames + 90, frames + 1000, new.count - 70, new.count - 1] {
            fixture.disk.inject(
                Fault(.flippedWrite(at: offset), on: [.write]) { $0 == "/volume-2/log/copy" })
            #expect(throws: FileSystemError.self, "a flip at \(offset) was not seen") {
                try log.dropPayloads(of: dropped, mirror: 2)
            }
            #expect(try fixture.disk.contents(of: path) == old, "\(offset)")
        }
        try log.dropPayloads(of: dropped, mirror: 2)
        #expect(try fixture.disk.contents(of: path) == new)
        #expect(try log.isProved())
    }

    @Test func theActiveSegmentKeepsItsPayloads() throws {
        let (_, log) = try log()
        try log.append("active", payload: [5])
        #expect(log.sealedSegment(of: log.head.sequence) == nil)
        for index in 1...3 { try log.dropPayloads(of: [log.head.sequence], mirror: index) }
        #expect(try log.payload(of: log.head.sequence) == [5])
    }

    @Test func everySealedSegmentIsNamedByItsFirstAndLastEvent() throws {
        let (fixture, log) = try log()
        var next = SequenceNumber(1)
        for _ in 0..<3 {
            let segment = try #require(log.sealedSegment(of: next))
            #expect(segment.first == next)
            #expect(log.sealedSegment(of: segment.last)?.first == segment.first)
            next = segment.last.next
        }
        #expect(next == log.activeFirst)
        _ = fixture
    }

    @Test func aCrashWhilePayloadsAreDroppedLosesNoEvent() throws {
        let (fixture, log) = try log()
        let before = try log.all()
        var points = 0
        for point in 1... {
            let disk = fixture.disk.clone()
            let dying = LogFixture(disk)
            let (source, _) = try dying.open()
            disk.crash(atOperation: point)
            let isDone =
                (try? source.dropPayloads(of: [SequenceNumber(2), SequenceNumber(30)], mirror: 2)) != nil
            let (found, recovery) = try LogFixture(disk.recovered(seed: UInt64(point))).open()
            #expect(recovery.lagging.isEmpty, "crash at \(point)")
            #expect(try found.all().map(\.chain) == before.map(\.chain), "crash at \(point)")
            #expect(try found.isProved(), "crash at \(point)")
            points += 1
            if isDone { break }
        }
        #expect(points > 5)
    }
}
