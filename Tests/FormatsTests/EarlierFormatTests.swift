import EventLog
import Foundation
import Model
import TestSupport
import Testing
import Volumes

/// What was written before events and blobs said anything of locks, access control and encryption is read as before.
/// Those fields were added to the same format, so a reader finds them at their defaults.
@Suite struct EarlierFormatTests {
    private static func file(_ name: String) throws -> [UInt8] {
        try GoldenFile(name: "before-locks/\(name)").bytes()
    }

    /// Whether everything that stands in the one stands in the other.
    private static func holds(_ whole: Any?, _ part: Any) -> Bool {
        switch (part, whole) {
        case (let part as [String: Any], let whole as [String: Any]):
            part.allSatisfy { holds(whole[$0.key], $0.value) }
        case (let part as [Any], let whole as [Any]):
            part.count == whole.count && zip(part, whole).allSatisfy { holds($0.1, $0.0) }
        case (let part as NSObject, let whole as NSObject): part == whole
        default: false
        }
    }

    @Test func aLogIsReadToTheEventsThatWereWritten() throws {
        let active = try Self.file("log/active.log")
        let disk = SimulatedFileSystem()
        for index in 1...3 {
            let dropped = index == 2 ? "-payloads-dropped" : ""
            try disk.place(
                try Self.file("log/00000000000000000001\(dropped).log"),
                at: "/\(index)/log/" + Segment.name(SequenceNumber(1)))
            try disk.place(active, at: "/\(index)/log/" + Segment.name(try Segment.Header(active).first))
            try disk.createDirectories("/\(index)/quarantine")
        }
        let mirrors = (1...3).map {
            LogMirror(
                fileSystem: disk, directory: "/\($0)/log", quarantine: "/\($0)/quarantine", index: $0,
                lane: InlineLane())
        }
        let (log, recovery) = try EventLog.open(
            storeID: EveryEvent.storeID, mirrors: mirrors, settings: LogSettings(segmentByteCount: 16 * 1024)
        ) { Timestamp(microseconds: 1_767_225_600_000_000) }
        #expect(recovery.notes.isEmpty)
        let events = try log.events(from: SequenceNumber(1), limit: .max)
        let kinds = Array(EveryEvent.all.prefix(18))  // those there were
        #expect(events.count % kinds.count == 0 && events.count > 2 * kinds.count)
        for (number, event) in events.enumerated() {
            let expected = kinds[number % kinds.count]
            let (read, written) = try (
                EveryEventTests.json(event.record), EveryEventTests.json(expected.record)
            )
            #expect(Self.holds(written, read), "event \(event.sequence)")
            #expect(read.keys.sorted() == written.keys.sorted())
            #expect(try log.payload(of: event.sequence) == expected.payload)
        }
        guard case .versionPublished(let version) = events[4].record.change else {
            Issue.record("event 5 is \(events[4].record)")
            return
        }
        #expect(!version.hasEncryption && !version.metadata.hasRetention && !version.metadata.legalHold)
        var position = LogPosition.start
        #expect(try log.compareMirrors(through: log.head.sequence, after: &position).isEmpty)
    }

    @Test(arguments: [
        ("blob-of-one-block", UInt64(1), 1003), ("blob-of-three-blocks", 2, 2 * Limits.blockSize + 5),
    ])
    func aBlobIsReadToTheBytesThatWereWritten(name: String, number: UInt64, length: Int) throws {
        let id = BlobID(high: 0x3FA9_0000_0000_0000, low: number)
        let disk = SimulatedFileSystem()
        try disk.place(try GoldenFile(name: "volume.json").bytes(), at: "/v/volume.json")
        let volume = try DirectoryVolume.open("/v", fileSystem: disk)
        try disk.place(try Self.file(name), at: "/v/" + volume.path(of: id))
        let expected = VolumeFormatTests.trailer(VolumeFormatTests.data(length), id)
        var descriptor = expected.descriptor
        descriptor.volume = 2
        let info = try volume.info(of: id, length: UInt64(length))
        #expect(Self.holds(try EveryEventTests.json(descriptor), try EveryEventTests.json(info.descriptor)))
        #expect(!info.descriptor.metadata.hasRetention)
        #expect(info.descriptor.metadata.contentType == EveryEvent.metadata.contentType)
        #expect(volume.verify(id, length: UInt64(length), sha256: expected.sha256, deep: true).isEmpty)
    }
}
