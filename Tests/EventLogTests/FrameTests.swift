import EventLog
import Model
import Testing

@Suite struct FrameTests {
    private let start = LogPosition(
        sequence: SequenceNumber(6), chain: ChainHash([UInt8](repeating: 9, count: 32)))
    private let body: [UInt8] = [10, 3, 1, 2, 3]

    private func frame(payload: [UInt8] = [4, 5]) -> [UInt8] {
        var bytes: [UInt8] = []
        _ = Frame.append(
            to: &bytes, sequence: SequenceNumber(7), epoch: 2, time: Timestamp(microseconds: 99),
            after: start.chain, body: body, payload: payload)
        return bytes
    }

    private func decode(_ bytes: [UInt8], after position: LogPosition?) throws(FrameFlaw) -> Frame {
        try bytes.withUnsafeBytes { bytes in
            Result { () throws(FrameFlaw) in try Frame.decode(bytes, after: position) }
        }.get()
    }

    private func flaw(_ bytes: [UInt8], after position: LogPosition? = nil) -> FrameFlaw? {
        do throws(FrameFlaw) {
            _ = try decode(bytes, after: position ?? start)
            return nil
        } catch { return error }
    }

    /// Changes a byte of the header and makes its checksum right again.
    private func edited(_ offset: Int, _ value: UInt8) -> [UInt8] {
        var bytes = frame()
        bytes[offset] = value
        let checksum = checksum(of: bytes[0..<84])
        for index in 0..<4 { bytes[84 + index] = UInt8(truncatingIfNeeded: checksum >> UInt32(8 * index)) }
        return bytes
    }

    @Test func aFrameIsReadAsItWasWritten() throws {
        let bytes = frame()
        let found = try decode(bytes, after: start)
        #expect(found.sequence == SequenceNumber(7))
        #expect(found.epoch == 2)
        #expect(found.time == Timestamp(microseconds: 99))
        #expect(found.bodyByteCount == body.count)
        #expect(found.payloadByteCount == 2)
        #expect(Array(bytes[found.payloadRange]) == [4, 5])
        #expect(bytes.count == found.byteCount && bytes.count % 8 == 0)
    }

    @Test func everyChangedByteIsFound() throws {
        let bytes = frame()
        for index in 0..<Frame.headerByteCount + body.count + 2 {
            var damaged = bytes
            damaged[index] ^= 0x10
            #expect(flaw(damaged) != nil, "byte \(index)")
        }
    }

    @Test func aFrameThatEndsEarlyIsCutOff() {
        let bytes = frame()
        for count in 0..<bytes.count {
            #expect(flaw(Array(bytes.prefix(count))) == .cutOff, "\(count) bytes")
        }
    }

    @Test func zerosAreNoFrame() { #expect(flaw([UInt8](repeating: 0, count: 4096)) == .noFrame) }

    @Test func anUnknownFormatIsRefusedByNumber() {
        #expect(flaw(edited(4, 2)) == .unknownVersion(2))
        #expect(flaw(edited(6, 4)) == .unknownFlags(4))
        #expect("\(FrameFlaw.unknownVersion(2))".contains("format 2; this Holdfast knows format 1"))
    }

    @Test func aSizeThatNoFrameHasIsNotReserved() {
        #expect(flaw(edited(35, 0xFF)) == .tooLarge)
        #expect(flaw(edited(39, 0xFF)) == .tooLarge)
    }

    @Test func anEventOutOfItsPlaceIsFound() {
        let other = LogPosition(sequence: SequenceNumber(7), chain: start.chain)
        #expect(
            flaw(frame(), after: other)
                == .wrongSequence(expected: SequenceNumber(8), found: SequenceNumber(7)))
        let fork = LogPosition(sequence: start.sequence, chain: .genesis)
        #expect(flaw(frame(), after: fork) == .brokenChain)
    }

    @Test func aChangedEventWithRightChecksumsBreaksTheChain() {
        // The time, with the header's checksum made right: only the chain tells.
        #expect(flaw(edited(24, 98)) == .brokenChain)
    }

    @Test func aDroppedPayloadLeavesTheChainAsItWas() throws {
        let bytes = frame(payload: [UInt8](repeating: 3, count: 1000))
        let whole = try decode(bytes, after: start)
        let smaller = bytes.withUnsafeBytes { Frame.dropPayload(of: $0, whole) }
        let found = try decode(smaller, after: start)
        #expect(found.isPayloadDropped)
        #expect(found.chain == whole.chain)
        #expect(found.payloadByteCount == 1000, "its size is remembered")
        #expect(found.payloadRange.isEmpty)
        #expect(smaller.count == found.byteCount && smaller.count < 104)
    }

    @Test func aBodyThatIsNoRecordIsSaidSo() throws {
        var bytes: [UInt8] = []
        _ = Frame.append(
            to: &bytes, sequence: SequenceNumber(1), epoch: 1, time: Timestamp(microseconds: 1),
            after: .genesis, body: [0xFF], payload: [])
        let frame = try decode(bytes, after: .start)
        let flaw = bytes.withUnsafeBytes { bytes -> FrameFlaw? in
            do throws(FrameFlaw) {
                _ = try frame.event(bytes)
                return nil
            } catch { return error }
        }
        guard case .badRecord = flaw else {
            Issue.record("a tag that is cut off is no record")
            return
        }
    }
}
