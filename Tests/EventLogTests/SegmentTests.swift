import Digests
import EventLog
import Model
import TestSupport
import Testing

/// CRC32C, for tests that make a changed structure consistent again.
func checksum(of bytes: some Sequence<UInt8>) -> UInt32 { CRC32C.checksum(Array(bytes)) }

@Suite struct SegmentTests {
    private let header = Segment.Header(
        storeID: LogFixture.storeID, first: SequenceNumber(12),
        chain: ChainHash([UInt8](repeating: 5, count: 32)))

    private func flaw(_ bytes: [UInt8]) -> SegmentFlaw? {
        do throws(SegmentFlaw) {
            _ = try Segment.Header(bytes)
            return nil
        } catch { return error }
    }

    private func sealFlaw(_ bytes: [UInt8], fileSize: UInt64) -> SegmentFlaw? {
        do throws(SegmentFlaw) {
            _ = try Segment.Seal(bytes, fileSize: fileSize)
            return nil
        } catch { return error }
    }

    @Test func aNameSaysTheFirstEventAndNothingElseIsASegment() {
        #expect(Segment.name(SequenceNumber(12)) == "00000000000000000012.log")
        #expect(Segment.first(of: "00000000000000000012.log") == SequenceNumber(12))
        #expect(Segment.first(of: Segment.name(SequenceNumber(.max))) == SequenceNumber(.max))
        for name in ["next", "copy", "12.log", "00000000000000000000.log", "0000000000000000001x.log"] {
            #expect(Segment.first(of: name) == nil, "\(name)")
        }
    }

    @Test func aHeaderIsReadAsItWasWrittenAndEveryChangedByteIsFound() throws {
        let bytes = header.encoded()
        #expect(bytes.count == Segment.headerByteCount)
        #expect(try Segment.Header(bytes) == header)
        for index in 0..<76 {
            var damaged = bytes
            damaged[index] ^= 1
            #expect(flaw(damaged) != nil, "byte \(index)")
        }
    }

    @Test func anUnknownFormatIsRefusedByNumber() {
        var bytes = header.encoded()
        bytes[8] = 3
        let sum = checksum(of: bytes[0..<72])
        for index in 0..<4 { bytes[72 + index] = UInt8(truncatingIfNeeded: sum >> UInt32(8 * index)) }
        #expect(flaw(bytes) == .unknownFormat(3))
        #expect("\(SegmentFlaw.unknownFormat(3))".contains("format 3; this Holdfast knows format 1"))
    }

    @Test func aSealSaysWhereEveryFrameIsAndEveryChangedByteIsFound() throws {
        let bytes = Segment.Seal.encode(first: SequenceNumber(12), offsets: [512, 530], end: 4400)
        let size = UInt64(4400 + bytes.count)
        let footer = Array(bytes.suffix(Segment.footerByteCount))
        let seal = try Segment.Seal(footer, fileSize: size)
        #expect(seal.first == SequenceNumber(12) && seal.count == 2 && seal.tableOffset == 4400)
        for index in footer.indices {
            var damaged = footer
            damaged[index] ^= 1
            #expect(sealFlaw(damaged, fileSize: size) != nil, "byte \(index)")
        }
        guard case .badFooter = sealFlaw(footer, fileSize: size + 8) else {
            Issue.record("a footer that is not at its place is damaged")
            return
        }
    }

    @Test func aSealedSegmentsTableIsChecked() throws {
        let fixture = try LogFixture.created()
        let (log, _) = try fixture.start()
        try log.fill(segments: 1)
        let path = try #require(try fixture.segments(1).first)
        let segment = try SegmentFile.open(path, fileSystem: fixture.disk)
        let seal = try #require(segment.seal)
        #expect(seal.first == SequenceNumber(1) && seal.count == Int(log.activeFirst.rawValue) - 1)
        #expect(segment.range(of: 0).lowerBound == UInt64(Segment.headerByteCount))
        #expect(segment.range(of: seal.count - 1).upperBound == seal.tableOffset)
        try fixture.disk.corrupt(path, at: seal.tableOffset + 1)
        #expect(throws: SegmentFlaw.badTable) { try SegmentFile.open(path, fileSystem: fixture.disk) }
        #expect(throws: SegmentFlaw.missing) { try SegmentFile.open(path + "x", fileSystem: fixture.disk) }
    }
}
