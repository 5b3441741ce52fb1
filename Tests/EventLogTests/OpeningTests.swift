import EventLog
import Foundation
import Model
import Synchronization
import TestSupport
import Testing
import Volumes

/// The rules of DESIGN, "How a store opens".
@Suite struct OpeningTests {
    /// A log with these events after the opening one, each flushed to every volume.
    private func log(_ names: [String]) throws -> LogFixture {
        let fixture = try LogFixture.created()
        let (log, _) = try fixture.start()
        for name in names { try log.append(name) }
        return fixture
    }

    private func refusal(_ fixture: LogFixture, _ indexes: [Int] = [1, 2, 3]) throws -> LogError? {
        do {
            _ = try fixture.open(indexes)
            return nil
        } catch let error as LogError { return error }
    }

    @Test func theLogIsAsItWasClosed() throws {
        let fixture = try LogFixture.created()
        let (log, _) = try fixture.start()
        try log.fill(segments: 3)
        let before = try fixture.disk.files(below: "/")
        let (again, recovery) = try fixture.open()
        #expect(again.head == log.head)
        #expect(again.lastEpoch == 1)
        #expect(again.inService == [1, 2, 3])
        #expect(recovery.notes.isEmpty && recovery.repaired.isEmpty && recovery.lagging.isEmpty)
        #expect(try again.names() == log.names())
        #expect(try again.isProved())
        #expect(try fixture.disk.files(below: "/") == before.filter { !$0.hasSuffix("/next") })
    }

    /// The only events of an epoch are on a volume that the next process does not have: it must not choose that
    /// epoch's number again, for the longer tail of one epoch wins.
    @Test func theTailOfAnEpochThatNobodyKnowsOfLosesAgainstTheNextOne() throws {
        let fixture = try log(["a"])
        let time = Mutex<UInt64>(1_000_000)
        func begin(_ indexes: [Int]) throws -> EventLog {
            let (log, _) = try EventLog.open(
                storeID: LogFixture.storeID, mirrors: fixture.mirrors(indexes), settings: fixture.settings
            ) { Timestamp(microseconds: time.withLock { $0 }) }
            time.withLock { $0 += 1000 }
            log.beginEpoch(log.nextEpoch)
            return log
        }
        let first = try begin([1, 2, 3])
        let faults = [1, 2].map { volume in
            fixture.disk.inject(Fault(.fail(EIO), on: [.write]) { $0.hasPrefix("/volume-\(volume)/") })
        }
        #expect(try first.append("lost", "lost", "lost").stable == [3])
        for fault in faults { fixture.disk.removeFault(fault) }
        #expect(try begin([1, 2]).append("kept").stable == [1, 2])
        let (found, _) = try fixture.open([2, 3])
        #expect(try found.names() == ["epoch", "a", "kept"])
        #expect(found.inService == [2])
    }

    /// Where the clock was set back the number is not the next one either, which another process may have chosen.
    @Test func anEpochIsGreaterThanEveryKnownOneWhateverTheClockSays() throws {
        let fixture = try log(["a"])
        var chosen: Set<UInt64> = []
        for _ in 0..<8 {
            let (log, _) = try EventLog.open(
                storeID: LogFixture.storeID, mirrors: fixture.mirrors(), settings: fixture.settings
            ) { Timestamp(microseconds: 0) }
            log.beginEpoch(1 << 50)
            #expect(log.nextEpoch > 1 << 50)
            chosen.insert(log.nextEpoch)
        }
        #expect(chosen.count > 1)
    }

    @Test(arguments: [[1, 2], [2, 3], [1, 3]])
    func theLongestChainOfAnyTwoIsTheLog(_ present: [Int]) throws {
        let fixture = try log(["a"])
        let (two, _) = try fixture.open([1, 2])
        try two.append("b")
        let (log, recovery) = try fixture.open(present)
        #expect(try log.names() == ["epoch", "a", "b"])
        #expect(recovery.lagging == present.filter { $0 == 3 })
    }

    @Test func aMirrorThatLagsBySegmentsIsNotInService() throws {
        let fixture = try log(["a"])
        let (two, _) = try fixture.open([1, 2])
        try two.fill(segments: 3)
        let (log, recovery) = try fixture.open()
        #expect(log.head == two.head)
        #expect(log.inService == [1, 2])
        #expect(recovery.lagging == [3])
        #expect(recovery.notes.contains { $0.hasPrefix("volume 3: its log does not reach") })
    }

    @Test func fewerThanTwoMirrorsAreRefused() throws {
        let fixture = try log(["a"])
        guard case .tooFewMirrors(let present) = try refusal(fixture, [2]) else {
            Issue.record("one mirror is no log")
            return
        }
        #expect(present == [2])
        for index in [1, 3] { try fixture.disk.lose(fixture.lastSegment(index)) }
        guard case .tooFewMirrors = try refusal(fixture) else {
            Issue.record("a directory without segments is no mirror")
            return
        }
    }

    @Test func aForeignStoresLogIsRefusedByName() throws {
        let fixture = try log(["a"])
        let other = StoreID(high: 7, low: 7)
        let header = Segment.Header(storeID: other, first: SequenceNumber(1), chain: .genesis)
        try fixture.disk.place(header.encoded(), at: fixture.lastSegment(2))
        let error = try refusal(fixture)
        guard case .foreignStore(2, other, LogFixture.storeID) = error else {
            Issue.record("refused otherwise: \(String(describing: error))")
            return
        }
        #expect("\(try #require(error))".contains("\(other)"))
    }

    @Test func aFrameOfAnUnknownFormatIsRefusedAndNotCut() throws {
        let fixture = try log(["a", "b"])
        for index in 1...3 {
            let path = try fixture.lastSegment(index)
            let offset = try fixture.offset(of: SequenceNumber(3), volume: index)
            var header = Array(try fixture.disk.contents(of: path)[Int(offset)..<Int(offset) + 84])
            header[4] = 9
            try fixture.disk.corrupt(path, at: offset, with: header + bytes(checksum(of: header)))
        }
        let before = try fixture.disk.contents(of: fixture.lastSegment(1))
        guard case .unknownFormat(let reason) = try refusal(fixture) else {
            Issue.record("events of a format to come are no torn write")
            return
        }
        #expect(reason.contains("volume 1: log/00000000000000000001.log") && reason.contains("format 9"))
        #expect(try fixture.disk.contents(of: fixture.lastSegment(1)) == before)
    }

    @Test func aSegmentOfAnUnknownFormatIsRefusedByName() throws {
        let fixture = try LogFixture.created()
        try fixture.start().log.fill(segments: 1)
        for index in 1...3 {
            let path = try fixture.lastSegment(index)
            var header = Array(try fixture.disk.contents(of: path).prefix(72))
            header[8] = 5
            try fixture.disk.corrupt(path, at: 0, with: header + bytes(checksum(of: header)))
        }
        guard case .unknownFormat(let reason) = try refusal(fixture) else {
            Issue.record("a segment of a format to come is not passed over")
            return
        }
        #expect(reason.contains("format 5; this Holdfast knows format 1"))
    }

    @Test(arguments: [false, true])
    func aDamagedFrameInTheMiddleIsTakenFromAMirror(_ header: Bool) throws {
        let fixture = try log(["a", "b", "c", "d"])
        // Three mirrors damaged in three places.
        for index in 1...3 {
            try fixture.damage(SequenceNumber(UInt64(index + 1)), volume: index, header: header)
        }
        let (log, recovery) = try fixture.open()
        #expect(try log.names() == ["epoch", "a", "b", "c", "d"])
        #expect(log.inService == [1, 2, 3])
        #expect(recovery.repaired.map(\.mirror).sorted() == [1, 2, 3])
        #expect(Set(recovery.repaired.map(\.sequence.rawValue)) == [2, 3, 4])
        #expect(try log.isProved())
        #expect(try fixture.open().recovery.repaired.isEmpty, "once is enough")
    }

    @Test func aDamagedLastFrameMakesAMirrorLag() throws {
        let fixture = try log(["a", "b"])
        try fixture.damage(SequenceNumber(3), volume: 2)
        let (log, recovery) = try fixture.open()
        #expect(try log.names() == ["epoch", "a", "b"])
        #expect(recovery.lagging == [2])
        #expect(recovery.notes.contains { $0.contains("volume 2") && $0.contains("event 3") })
    }

    @Test func aTornTailIsCut() throws {
        let fixture = try log(["a"])
        let end = try fixture.offset(of: SequenceNumber(2), volume: 1)
        let frame = Array(try fixture.disk.contents(of: fixture.lastSegment(1))[Int(end)..<Int(end) + 60])
        let (log, _) = try fixture.open()
        try log.append("b")
        let torn = try fixture.offset(of: SequenceNumber(3), volume: 1)
        for index in 1...3 {
            let path = try fixture.lastSegment(index)
            let zeros = [UInt8](repeating: 0, count: 1000)
            try fixture.disk.corrupt(path, at: torn, with: zeros)
            try fixture.disk.corrupt(path, at: torn, with: frame)
        }
        let (again, recovery) = try fixture.open()
        #expect(try again.names() == ["epoch", "a"])
        #expect(again.inService == [1, 2, 3])
        #expect(recovery.notes.count { $0.contains("a torn write after event 2 cut off") } == 3)
        #expect(try (1...3).allSatisfy { try fixture.quarantine($0).isEmpty })
        try again.append("c")
        #expect(try fixture.open().log.names() == ["epoch", "a", "c"])
    }

    @Test func aTailOfAnOlderEpochGoesToQuarantine() throws {
        let fixture = try log(["a"])
        // Volume 3 takes an event alone; the two others go on in a new epoch.
        let (first, _) = try fixture.open()
        fixture.disk.inject(Fault(.fail(EIO), on: [.write], times: 2) { !$0.hasPrefix("/volume-3") })
        #expect(try first.append("alone").stable == [3])
        let (second, _) = try fixture.start([1, 2])
        try second.append("b")
        let (log, recovery) = try fixture.start()
        #expect(try log.names() == ["epoch", "a", "epoch", "b", "epoch"])
        #expect(recovery.lagging == [3])
        #expect(try log.isProved() && log.inService == [1, 2, 3])
        let kept = try fixture.quarantine(3)
        let tail = try #require(kept.first { !$0.hasSuffix(".json") })
        #expect(String(decoding: try fixture.disk.contents(of: tail), as: UTF8.self).contains("alone"))
        let reason = try #require(kept.first { $0.hasSuffix(".json") })
        #expect(
            String(decoding: try fixture.disk.contents(of: reason), as: UTF8.self)
                .contains("events that are no part of the log"))
    }

    @Test func aTailThatOneMirrorHasAloneIsTheLogIfNoLaterEpochIs() throws {
        let fixture = try log(["a"])
        let (first, _) = try fixture.open()
        fixture.disk.inject(Fault(.fail(EIO), on: [.write], times: 2) { !$0.hasPrefix("/volume-3") })
        #expect(try first.append("alone").stable == [3])
        let (log, recovery) = try fixture.start()
        #expect(try log.names() == ["epoch", "a", "alone", "epoch"])
        #expect(recovery.lagging == [1, 2])
        #expect(try log.isProved())
    }

    @Test func ofForkedMirrorsTheHighestEpochIsTheLog() throws {
        let fixture = try log(["a"])
        // A long tail of epoch 1 on one volume, a short one of epoch 2 on the others.
        let (first, _) = try fixture.open()
        for name in ["x", "y", "z"] { _ = try first.stage(.named(name), payload: []) }
        fixture.disk.inject(Fault(.fail(EIO), on: [.write], times: 2) { !$0.hasPrefix("/volume-1") })
        #expect(first.flush().stable == [1])
        _ = try fixture.start([2, 3])
        let (log, _) = try fixture.start()
        #expect(try log.names() == ["epoch", "a", "epoch", "epoch"])
        #expect(try log.isProved())
        #expect(try fixture.quarantine(1).count == 2)
    }

    @Test func eventsBehindDamageThatNoMirrorCanMendAreKept() throws {
        let fixture = try log(["a", "b", "c"])
        for index in 1...3 { try fixture.damage(SequenceNumber(2), volume: index, header: true) }
        let (log, _) = try fixture.open()
        #expect(try log.names() == ["epoch"])
        for index in 1...3 {
            let kept = try #require(try fixture.quarantine(index).first { !$0.hasSuffix(".json") })
            #expect(String(decoding: try fixture.disk.contents(of: kept), as: UTF8.self).contains("c"))
        }
    }

    @Test func aSegmentWhoseHeaderIsDamagedOnOneMirrorIsReadFromTheOthers() throws {
        let fixture = try LogFixture.created()
        let (first, _) = try fixture.start()
        try first.fill(segments: 2)
        try fixture.disk.corrupt(fixture.lastSegment(2), at: 40)
        let (log, recovery) = try fixture.start()
        #expect(recovery.lagging == [2])
        #expect(log.head.sequence == first.head.sequence.next)
        #expect(try log.isProved() && log.inService == [1, 2, 3])
        #expect(try fixture.quarantine(2).contains { $0.contains("/log-") })
    }

    @Test(arguments: [[1, 2, 3], [1, 2]])
    func aLogWhoseLastSegmentNobodyCanReadIsRefusedAndNotCut(_ present: [Int]) throws {
        let fixture = try LogFixture.created()
        try fixture.start().log.fill(segments: 2)
        for index in 1...3 { try fixture.disk.corrupt(fixture.lastSegment(index), at: 40) }
        let before = try fixture.disk.contents(of: fixture.lastSegment(1))
        guard case .damaged(_, let reason) = try refusal(fixture, present) else {
            Issue.record("acknowledged events may stand there")
            return
        }
        #expect(reason.contains("volume 1: log/"))
        #expect(try fixture.disk.contents(of: fixture.lastSegment(1)) == before)
    }

    @Test func aMirrorThatCannotBeReadKeepsNobodyFromOpening() throws {
        let fixture = try log(["a"])
        fixture.disk.inject(Fault(.fail(EIO), on: [.list], times: nil) { $0 == "/volume-2/log" })
        let (log, recovery) = try fixture.open()
        #expect(log.inService == [1, 3])
        #expect(recovery.lagging == [2])
        #expect(recovery.notes.contains { $0.contains("/volume-2/log") })
    }

    @Test func aMirrorThatCannotBeSettledKeepsNobodyFromOpening() throws {
        let fixture = try log(["a"])
        fixture.disk.inject(Fault(.fail(EIO), on: [.sync], times: nil) { $0.hasPrefix("/volume-3/log") })
        let (log, recovery) = try fixture.open()
        #expect(log.inService == [1, 2])
        #expect(recovery.lagging == [3])
    }

    @Test func whatWasBeingMadeReadyIsRemoved() throws {
        let fixture = try log(["a"])
        try fixture.disk.place([1, 2, 3], at: "/volume-1/log/next")
        try fixture.disk.place([1, 2, 3], at: "/volume-1/log/copy")
        #expect(try fixture.open().log.names() == ["epoch", "a"])
        #expect(try fixture.disk.files(below: "/volume-1/log").count == 1)
    }

    @Test func aLogThatMissedItsQuorumIsOpenedAgainWhereItStands() async throws {
        let fixture = try log(["a"])
        let mirrors = fixture.mirrors()
        let (log, _) = try fixture.open(mirrors)
        fixture.disk.inject(Fault(.fail(EIO), on: [.write], times: 2) { !$0.hasPrefix("/volume-1") })
        // Taken here: the follower may run only once the log has been opened again.
        let seen = log.head.sequence
        async let follower: Void = log.waitForEvents(after: seen)
        #expect(try log.append("doubtful").stable == [1])
        #expect(log.brokenReason != nil)
        // A mirror that failed is never used again: each volume gets another.
        let again = fixture.mirrors()
        let recovery = try log.reopen(again)
        await follower
        #expect(try log.names() == ["epoch", "a", "doubtful"], "a mirror holds it: it is part of the log")
        #expect(recovery.lagging == [2, 3] && log.brokenReason == nil)
        for mirror in again.dropFirst() {
            _ = try log.catchUp(mirror) { _ in }
            try log.putInService(mirror)
        }
        #expect(try log.append("onwards").stable == [1, 2, 3])
        #expect(try log.isProved())
    }

    @Test func aLogIsNotOpenedAgainWithoutWhatAQuorumHad() throws {
        let fixture = try log(["a"])
        let (log, _) = try fixture.open([1, 2])
        try log.append("b")
        for index in [1, 2] { try fixture.damage(log.head.sequence, volume: index) }
        #expect(throws: LogError.self) { try log.reopen(fixture.mirrors()) }
    }

    @Test func aSegmentSealedButNotFollowedIsAppendedToAgain() throws {
        let fixture = try LogFixture.created()
        let (log, _) = try fixture.start()
        try log.fill(segments: 1)
        // The machine died between the seal and the next segment's name.
        let kept = log.activeFirst.rawValue - 1
        for index in 1...3 { try fixture.disk.lose(fixture.lastSegment(index)) }
        let (again, recovery) = try fixture.open()
        #expect(again.head.sequence.rawValue == kept)
        #expect(recovery.lagging.isEmpty)
        try again.append("after")
        #expect(try fixture.open().log.names().last == "after")
        #expect(try fixture.open().log.isProved())
    }

    private func bytes(_ value: UInt32) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian) { Array($0) }
    }
}
