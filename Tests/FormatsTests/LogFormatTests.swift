import EventLog
import Foundation
import Model
import Synchronization
import TestSupport
import Testing
import Volumes

/// A sealed segment, the same without its payloads, and an active one.
@Suite struct LogFormatTests {
    private static let segmentByteCount = 16 * 1024
    private static let sealed = GoldenFile(name: "log/00000000000000000001.log")
    private static let dropped = GoldenFile(name: "log/00000000000000000001-payloads-dropped.log")
    private static let active = GoldenFile(name: "log/active.log")

    private func mirrors(_ disk: SimulatedFileSystem) -> [LogMirror] {
        (1...3).map { index in
            LogMirror(
                fileSystem: disk, directory: "/\(index)/log", quarantine: "/\(index)/quarantine",
                index: index,
                lane: InlineLane())
        }
    }

    private func open(_ disk: SimulatedFileSystem) throws -> EventLog {
        let reading = Mutex<UInt64>(1_767_225_600_000_000)  // 2026-01-01T00:00:00Z
        let (log, recovery) = try EventLog.open(
            storeID: EveryEvent.storeID, mirrors: mirrors(disk),
            settings: LogSettings(segmentByteCount: Self.segmentByteCount)
        ) {
            reading.withLock {
                $0 += 1
                return Timestamp(microseconds: $0 - 1)
            }
        }
        #expect(recovery.notes.isEmpty)
        return log
    }

    /// Every kind of event, over and over, until a segment is sealed, and once more behind it.
    private func write() throws -> (SimulatedFileSystem, EventLog) {
        let disk = SimulatedFileSystem()
        for index in 1...3 {
            try disk.createDirectories("/\(index)/log")
            try disk.createDirectories("/\(index)/quarantine")
        }
        try EventLog.create(
            storeID: EveryEvent.storeID, mirrors: mirrors(disk),
            settings: LogSettings(segmentByteCount: Self.segmentByteCount))
        let log = try open(disk)
        log.beginEpoch(1)
        func everyKind() throws {
            for (record, payload) in EveryEvent.all { _ = try log.stage(record, payload: payload) }
            #expect(log.flush().stable == [1, 2, 3])
        }
        while log.activeFirst == SequenceNumber(1) { try everyKind() }
        try everyKind()
        return (disk, log)
    }

    private func path(_ first: SequenceNumber) -> String { "/1/log/" + Segment.name(first) }

    @Test func whatIsWrittenIsTheSameToTheByte() throws {
        let (disk, log) = try write()
        try Self.active.expect(try disk.contents(of: path(log.activeFirst)))
        try Self.sealed.expect(try disk.contents(of: path(SequenceNumber(1))))
        try log.dropPayloads(of: (1..<log.activeFirst.rawValue).map { SequenceNumber($0) }, mirror: 1)
        try Self.dropped.expect(try disk.contents(of: path(SequenceNumber(1))))
    }

    @Test(.disabled(if: GoldenFile.isBeingMade)) func whatWasWrittenIsReadToTheSameEvents() throws {
        let (sealed, dropped, active) = (
            try Self.sealed.bytes(), try Self.dropped.bytes(), try Self.active.bytes()
        )
        let first = try Segment.Header(active).first
        let disk = SimulatedFileSystem()
        for index in 1...3 {
            try disk.place(
                index == 2 ? dropped : sealed, at: "/\(index)/log/" + Segment.name(SequenceNumber(1)))
            try disk.place(active, at: "/\(index)/log/" + Segment.name(first))
            try disk.createDirectories("/\(index)/quarantine")
        }
        let log = try open(disk)
        let events = try log.events(from: SequenceNumber(1), limit: .max)
        let kinds = EveryEvent.all
        #expect(events.count % kinds.count == 0 && events.count > 2 * kinds.count)
        for (number, event) in events.enumerated() {
            let expected = kinds[number % kinds.count]
            #expect(event.sequence.rawValue == UInt64(number + 1))
            #expect(event.epoch == 1)
            #expect(event.time.microseconds == 1_767_225_600_000_000 + UInt64(number / kinds.count))
            #expect(event.record == expected.record)
            #expect(event.payloadLength == expected.payload.count)
            #expect(try log.payload(of: event.sequence) == expected.payload)
        }
        var position = LogPosition.start
        #expect(try log.compareMirrors(through: log.head.sequence, after: &position).isEmpty)
        #expect(position == log.head, "the chain is right from the first event to the last")
    }
}
