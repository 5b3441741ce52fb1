import EventLog
import Foundation
import Model
import TestSupport
import Testing
import Volumes

/// A copy of the log in a repository whose store has gone back since.
@Suite struct LogCopyTests {
    private static let directory = "/copy/log"

    /// A log of several segments, and a copy of all of it.
    private func copied() throws -> (fixture: LogFixture, log: EventLog, backup: SimulatedFileSystem) {
        let fixture = try LogFixture.created()
        let log = try fixture.start().log
        try log.fill(segments: 4)
        try log.append("last")
        let backup = SimulatedFileSystem()
        try backup.createDirectories(Self.directory)
        try backup.createDirectories("/copy/quarantine")
        try copy(backup).extend(from: log, through: log.head.sequence) { _, _ in }
        return (fixture, log, backup)
    }

    private func copy(_ backup: SimulatedFileSystem) throws -> LogCopy {
        try LogCopy(storeID: LogFixture.storeID, fileSystem: backup, directory: Self.directory)
    }

    private func mirror(_ backup: SimulatedFileSystem) -> LogMirror {
        LogMirror(
            fileSystem: backup, directory: Self.directory, quarantine: "/copy/quarantine", index: 0,
            lane: InlineLane())
    }

    private func segments(_ backup: SimulatedFileSystem) throws -> [String] {
        try backup.files(below: Self.directory)
    }

    /// The log as it was at an event, which goes on otherwise.
    private func restored(_ copy: LogCopy, through last: SequenceNumber, segments: Int) async throws
        -> EventLog
    {
        let fixture = LogFixture()
        for index in 1...3 { try fixture.makeDirectories(index) }
        try await copy.write(to: fixture.mirrors(), through: last)
        let log = try fixture.start().log
        try log.fill(segments: segments, prefix: "other")
        return log
    }

    private func expectCopy(of log: EventLog, _ backup: SimulatedFileSystem) throws {
        let copy = try copy(backup)
        #expect(copy.head == log.head)
        let names = try copy.events(from: SequenceNumber(1), limit: Int(copy.head.sequence.rawValue))
            .map(\.record.name)
        #expect(try names == log.names())
    }

    /// First events of segments and those before them, the first one and the last one among the rest.
    @Test(arguments: [0, 2]) func aCopyThatIsCutGoesOnWithALogThatWentAnotherWay(segments: Int) async throws {
        let (_, log, backup) = try copied()
        let firsts = try self.segments(backup).compactMap { Segment.first(of: String($0.suffix(24))) }
        try #require(firsts.count == 5)
        let head = log.head.sequence
        let places = firsts.dropFirst().flatMap { [SequenceNumber($0.rawValue - 1), $0, $0.next] }
        for last in [SequenceNumber(1)] + places where last < head {
            let disk = backup.clone()
            let copy = try copy(disk)
            let other = try await restored(copy, through: last, segments: segments)
            #expect(try !copy.isFollowed(by: other))
            #expect(throws: LogError.self) {
                try copy.extend(from: other, through: other.head.sequence) { _, _ in }
            }
            #expect(try copy.lastCommon(with: other, from: .zero) == last)
            try copy.cut(after: last, reason: "another branch", as: mirror(disk))
            #expect(copy.head.sequence == last)
            #expect(try self.copy(disk).head == copy.head, "so it is opened again")
            try copy.extend(from: other, through: other.head.sequence) { _, _ in }
            try expectCopy(of: other, disk)
            #expect(try !disk.files(below: "/copy/quarantine").isEmpty, "nothing is removed")
        }
    }

    @Test func whatIsSetAsideIsInQuarantineByteForByte() throws {
        let (_, _, backup) = try copied()
        let before = try segments(backup)
        let contents = try before.map { try backup.contents(of: $0) }
        let second = try #require(Segment.first(of: String(before[1].suffix(24))))
        try copy(backup).cut(after: second, reason: "another branch", as: mirror(backup))
        for (path, content) in zip(before, contents).dropFirst() {
            let first = try #require(Segment.first(of: String(path.suffix(24))))
            #expect(try backup.contents(of: "/copy/quarantine/log-\(first)") == content)
            let note = try backup.contents(of: "/copy/quarantine/log-\(first).json")
            #expect(String(decoding: note, as: UTF8.self).contains("another branch"))
        }
        #expect(try segments(backup) == Array(before.prefix(2)))
        #expect(try backup.contents(of: before[0]) == contents[0])
    }

    /// As where it is locked, and each try would leave another copy that is locked too.
    @Test func whatCannotBeCutYetIsSetAsideOnce() throws {
        let (_, _, backup) = try copied()
        let paths = try segments(backup)
        let names = try paths.map { try #require(Segment.first(of: String($0.suffix(24)))) }.map {
            "log-\($0)"
        }
        let last = try #require(Segment.first(of: String(paths[3].suffix(24))))
        func kept() throws -> [String] {
            try backup.files(below: "/copy/quarantine").filter { !$0.hasSuffix(".json") }.sorted()
        }
        let fault = backup.inject(
            Fault(.fail(EPERM), on: [.remove, .truncate], times: nil) { $0.hasPrefix("/copy/log/") })
        for _ in 0..<3 {
            #expect(throws: FileSystemError.self) {
                try copy(backup).cut(after: last, reason: "another branch", as: mirror(backup))
            }
            #expect(try kept() == ["/copy/quarantine/\(names[4])"])
        }
        // What is there and is other bytes keeps nothing of it.
        try backup.corrupt("/copy/quarantine/\(names[4])", at: 9)
        backup.removeFault(fault)
        try copy(backup).cut(after: last, reason: "another branch", as: mirror(backup))
        #expect(
            try kept()
                == [names[3], names[4], names[4] + "+"].map { "/copy/quarantine/\($0)" }.sorted())
        #expect(try copy(backup).head.sequence == last)
    }

    @Test func aCutThatIsCutOffLeavesACopyAndIsFinishedByAnother() async throws {
        let (_, log, backup) = try copied()
        let last = SequenceNumber(3)
        let other = try await restored(try copy(backup), through: last, segments: 1)
        var point = 1
        while true {
            let disk = backup.clone()
            disk.crash(atOperation: point)
            do {
                try copy(disk).cut(after: last, reason: "another branch", as: mirror(disk))
                break
            } catch {
                let survivor = disk.recovered(seed: UInt64(point))
                let copy = try copy(survivor)
                #expect(copy.head.sequence >= last && copy.head.sequence <= log.head.sequence, "\(point)")
                #expect(try copy.lastCommon(with: other, from: last) == last, "\(point)")
                try copy.cut(after: last, reason: "another branch", as: mirror(survivor))
                try copy.extend(from: other, through: other.head.sequence) { _, _ in }
                try expectCopy(of: other, survivor)
            }
            point += 1
        }
        #expect(point > 10)
    }

    private func copy(_ backup: SimulatedFileSystem, provenThrough last: SequenceNumber) throws -> LogCopy {
        try LogCopy(
            storeID: LogFixture.storeID, fileSystem: backup, directory: Self.directory,
            proof: LogCopy.Proof(quarantine: "/copy/quarantine") { last })
    }

    /// Damage there looks like a torn write.
    @Test func aDamagedEndThatWasGoodOnceIsInQuarantineBeforeItIsCutOff() throws {
        let (_, log, backup) = try copied()
        let path = try #require(try segments(backup).last)
        let first = try #require(Segment.first(of: String(path.suffix(24))))
        let kept = "/copy/quarantine/log-\(first)"
        try backup.corrupt(path, at: UInt64(Segment.headerByteCount + Frame.headerByteCount))
        let damaged = try backup.contents(of: path)
        let head = log.head.sequence
        var point = 1
        while true {
            let disk = backup.clone()
            disk.crash(atOperation: point)
            do {
                try copy(disk, provenThrough: head).extend(from: log, through: head) { _, _ in }
                break
            } catch {
                let survivor = disk.recovered(seed: UInt64(point))
                if try survivor.contents(of: path) != damaged {
                    #expect(try survivor.contents(of: kept) == damaged, "\(point)")
                }
                try copy(survivor, provenThrough: head).extend(from: log, through: head) { _, _ in }
                #expect(try survivor.contents(of: kept) == damaged, "\(point)")
                try expectCopy(of: log, survivor)
            }
            point += 1
        }
        #expect(point > 5)
        try copy(backup, provenThrough: SequenceNumber(first.rawValue - 1))
            .extend(from: log, through: head) { _, _ in }
        #expect(try backup.files(below: "/copy/quarantine").isEmpty, "what is no more than torn is nothing")
        try expectCopy(of: log, backup)
    }

    /// It was sealed, and the next one was not there yet: the store was made anew of just that.
    @Test func aLastSegmentThatWasSealedIsGoneOnInIfTheLogDoes() async throws {
        let (_, _, backup) = try copied()
        let path = try segments(backup)[1]
        let first = try #require(Segment.first(of: String(path.suffix(24))))
        try copy(backup).cut(after: first.next, reason: "another branch", as: mirror(backup))
        let frames = try backup.contents(of: path)
        let second = try frames.withUnsafeBytes { bytes in
            let header = UnsafeRawBufferPointer(rebasing: bytes[Segment.headerByteCount...])
            return Segment.headerByteCount + (try Frame(header: header)).byteCount
        }
        let seal = Segment.Seal.encode(
            first: first, offsets: [UInt32(Segment.headerByteCount / 8), UInt32(second / 8)],
            end: UInt64(frames.count))
        try backup.replaceFile(path, with: frames + seal)
        let copy = try copy(backup)
        #expect(copy.head.sequence == first.next)
        let other = try await restored(copy, through: first.next, segments: 1)
        #expect(try copy.isFollowed(by: other))
        try copy.extend(from: other, through: other.head.sequence) { _, _ in }
        #expect(try backup.contents(of: path).starts(with: frames))
        try expectCopy(of: other, backup)
    }

    @Test func aLogThatHasPartedMendsNothing() async throws {
        let (_, _, backup) = try copied()
        let copy = try copy(backup)
        let other = try await restored(copy, through: SequenceNumber(3), segments: 6)
        let paths = try segments(backup)
        let first = try #require(Segment.first(of: String(paths[1].suffix(24))))
        try backup.corrupt(paths[1], at: UInt64(Segment.headerByteCount + Frame.headerByteCount))
        let contents = try paths.map { try backup.contents(of: $0) }
        #expect(try copy.mend([first], from: other, as: mirror(backup)).isEmpty)
        #expect(try paths.map { try backup.contents(of: $0) } == contents)
        #expect(try backup.files(below: "/copy/quarantine").isEmpty)
    }

    @Test func ofAnEventThatTheDiskDoesNotGiveItIsNotKnownWhetherItsBytesWereDropped() throws {
        let (_, log, backup) = try copied()
        let path = try segments(backup)[0]
        let content = try backup.contents(of: path)
        let sick = SequenceNumber(3)
        var offset = Segment.headerByteCount
        try content.withUnsafeBytes { bytes in
            for _ in 1..<sick.rawValue {
                offset += try Frame(header: UnsafeRawBufferPointer(rebasing: bytes[offset...])).byteCount
            }
        }
        try backup.makeUnreadable(path, UInt64(offset)..<UInt64(offset + 1))
        let copy = try copy(backup)
        #expect(try copy.isPayloadDropped(sick) == nil)
        #expect(try copy.isPayloadDropped(SequenceNumber(2)) == false)
        #expect(try copy.payloadsDropped(through: copy.head.sequence, andNotIn: log) == [sick])
        #expect(try copy.mend([sick], from: log, as: mirror(backup)) == [sick])
        #expect(try copy.isPayloadDropped(sick) == false)
        #expect(try backup.contents(of: path) == content)
        try expectCopy(of: log, backup)
    }

    /// A sealed segment, and the one that is appended to.
    @Test(arguments: [1, 4]) func aMendedSegmentThatDoesNotReadAsItWasWrittenTakesNoPlace(index: Int) throws {
        let (_, log, backup) = try copied()
        let path = try segments(backup)[index]
        let first = try #require(Segment.first(of: String(path.suffix(24))))
        let good = try backup.contents(of: path)
        let payload = Data([UInt8](repeating: 7, count: 300))
        let place = try #require(Data(good).range(of: payload)).lowerBound
        try backup.corrupt(path, at: UInt64(place) + 9)
        let damaged = try backup.contents(of: path)
        for offset in [50, Segment.headerByteCount + 20, place + 9, good.count - 1] {
            backup.inject(
                Fault(.flippedWrite(at: offset), on: [.write]) { $0 == Self.directory + "/copy" })
            #expect(throws: FileSystemError.self, "a flip at \(offset) was not seen") {
                try copy(backup).mend([first], from: log, as: mirror(backup))
            }
            #expect(try backup.contents(of: path) == damaged, "\(offset)")
            #expect(try backup.files(below: "/copy/quarantine").isEmpty, "what stays is not set aside")
        }
        #expect(try copy(backup).mend([first], from: log, as: mirror(backup)) == [first])
        #expect(try backup.contents(of: path) == good)
        #expect(try backup.contents(of: "/copy/quarantine/log-\(first)") == damaged)
        try expectCopy(of: log, backup)
    }

    // MARK: Dropping payloads

    private func drop(
        _ disk: SimulatedFileSystem, needing needed: Set<SequenceNumber> = [],
        share: UInt64 = 8, sparing known: Set<LogCopy.Spared> = [], pace: (Int) throws -> Void = { _ in }
    ) throws -> LogCopy.Dropping {
        let copy = try copy(disk)
        return try copy.dropPayloads(
            through: copy.head.sequence, share: share, as: mirror(disk), sparing: known,
            isNeeded: needed.contains, pace: pace)
    }

    /// Bits that flip between what was written and what the device gives: in the header, in frames, in a payload that stays,
    /// in the padding, in the table and in the footer.
    @Test func aSegmentThatDoesNotReadAsItWasWrittenTakesNoPlace() throws {
        let (_, log, backup) = try copied()
        let path = try #require(try segments(backup).first)
        let beside = Self.directory + "/copy"
        let needed: Set<SequenceNumber> = [SequenceNumber(3)]
        let old = try backup.contents(of: path)
        let pruned = backup.clone()
        #expect(try drop(pruned, needing: needed).payloads > 3)
        let new = try pruned.contents(of: path)
        #expect(new.count < old.count)
        #expect(try copy(pruned).payload(of: SequenceNumber(3)).count == 300)
        let offsets =
            [0, 50, 2000] + stride(from: Segment.headerByteCount, to: new.count, by: 37) + [new.count - 1]
        for offset in offsets {
            let disk = backup.clone()
            var isStruck = false
            do {
                _ = try drop(disk, needing: needed) { _ in
                    guard !isStruck, try disk.status(of: beside) != nil else { return }
                    isStruck = true
                    try disk.corrupt(beside, at: UInt64(offset))
                }
                Issue.record("a flip at \(offset) was not seen")
            } catch let error as FileSystemError {
                #expect(error.path == beside && "\(error)".contains(path), "\(error)")
            }
            #expect(try disk.contents(of: path) == old, "\(offset)")
            // The next one finishes it, and leaves nothing beside.
            #expect(try drop(disk, needing: needed).payloads > 3)
            #expect(try disk.contents(of: path) == new && disk.status(of: beside) == nil, "\(offset)")
            try expectCopy(of: log, disk)
        }
    }

    @Test func aSegmentThatTheDeviceDoesNotGiveBackTakesNoPlace() throws {
        let (_, log, backup) = try copied()
        let path = try #require(try segments(backup).first)
        let old = try backup.contents(of: path)
        let fault = backup.inject(
            Fault(.fail(EIO), on: [.read], times: nil) { $0 == Self.directory + "/copy" })
        #expect(throws: FileSystemError.self) { try drop(backup) }
        #expect(try backup.contents(of: path) == old)
        backup.removeFault(fault)
        #expect(try drop(backup).payloads > 3)
        try expectCopy(of: log, backup)
    }

    /// Bytes that are needed, and were damaged before, keep nothing from being given back.
    @Test func whatWasDamagedBeforeIsCopiedAsItIs() throws {
        let (_, log, backup) = try copied()
        let path = try #require(try segments(backup).first)
        let payload = [UInt8](repeating: 7, count: 300)
        let place = try #require(Data(try backup.contents(of: path)).range(of: Data(payload)))
        try backup.corrupt(path, at: UInt64(place.lowerBound) + 9)
        let damaged = try copy(backup).withBadPayload(
            Set((1...log.head.sequence.rawValue).map { SequenceNumber($0) }))
        #expect(damaged.count == 1)
        #expect(try drop(backup, needing: damaged).payloads > 3)
        let event = try #require(damaged.first)
        #expect(try copy(backup).isPayloadDropped(event) == false)
        #expect(throws: LogError.self) { try copy(backup).payload(of: event) }
        try expectCopy(of: log, backup)
    }

    @Test func aSegmentThatHasNothingLeftToDropIsNotReadAgainUntilOtherEventsAreNeeded() throws {
        let (_, log, backup) = try copied()
        /// Bytes of the log that were read and written, and what came of it.
        func look(
            needing needed: Set<SequenceNumber>, _ known: Set<LogCopy.Spared>
        ) throws -> (bytes: Int, dropping: LogCopy.Dropping) {
            var bytes = 0
            let dropping = try drop(backup, needing: needed, share: 100, sparing: known) { bytes += $0 }
            return (bytes, dropping)
        }
        let needed = Set((2...4).map { SequenceNumber($0) })
        let first = try look(needing: needed, [])
        #expect(first.dropping.payloads > 3 && first.dropping.spared.count >= 3)
        let unknown = try look(needing: needed, [])
        #expect(unknown.bytes > 0 && unknown.dropping.payloads == 0)
        let known = try look(needing: needed, first.dropping.spared.union(unknown.dropping.spared))
        #expect(known.bytes == 0 && known.dropping.payloads == 0)
        #expect(known.dropping.spared == unknown.dropping.spared)
        // What was needed in the first segment is not any more.
        let next = try look(needing: [], known.dropping.spared)
        #expect(next.bytes > 0 && next.dropping.payloads == 3)
        #expect(try look(needing: [], next.dropping.spared).bytes == 0)
        try expectCopy(of: log, backup)
    }
}
