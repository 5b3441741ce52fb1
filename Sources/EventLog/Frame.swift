import Digests
import Foundation
import Model
import SwiftProtobuf

/// One event in the log: header, body (the protobuf record), payload, padding to eight bytes.
/// `Documentation/formats.md` has every byte.
///
/// The chain hash covers everything but the flags, so that a payload can be dropped later without breaking
/// the chain; the body has the payload's SHA-256.
package struct Frame: Sendable {
    package static let headerByteCount = 88
    package static let magic: UInt32 = 0x5645_4648  // "HFEV"
    package static let version: UInt16 = 1
    package static let payloadDropped: UInt16 = 1

    package let sequence: SequenceNumber
    package let epoch: UInt64
    package let time: Timestamp
    package let chain: ChainHash
    package let bodyByteCount: Int
    /// As appended, also when the payload was dropped since.
    package let payloadByteCount: Int
    package let payloadChecksum: UInt32
    package let bodyChecksum: UInt32
    package let isPayloadDropped: Bool

    /// Whether there were bytes with the event that were dropped since.
    package var lacksPayload: Bool { isPayloadDropped && payloadByteCount > 0 }

    var storedPayloadByteCount: Int { isPayloadDropped ? 0 : payloadByteCount }

    /// Bytes of the frame in its segment.
    package var byteCount: Int {
        (Self.headerByteCount + bodyByteCount + storedPayloadByteCount + 7) & ~7
    }

    static func byteCount(body: Int, payload: Int) -> Int { (headerByteCount + body + payload + 7) & ~7 }

    // MARK: Encoding

    /// Appends the frame to `batch` and returns its chain hash.
    package static func append(
        to batch: inout [UInt8], sequence: SequenceNumber, epoch: UInt64, time: Timestamp,
        after previous: ChainHash, body: [UInt8], payload: [UInt8]
    ) -> ChainHash {
        let start = batch.count
        batch.append(contentsOf: repeatElement(0, count: headerByteCount))
        batch.store(magic, at: start)
        batch.store(version, at: start + 4)
        batch.store(sequence.rawValue, at: start + 8)
        batch.store(epoch, at: start + 16)
        batch.store(time.microseconds, at: start + 24)
        batch.store(UInt32(body.count), at: start + 32)
        batch.store(UInt32(payload.count), at: start + 36)
        batch.store(CRC32C.checksum(payload), at: start + 40)
        batch.store(CRC32C.checksum(body), at: start + 44)
        let chain = batch.withUnsafeBytes { bytes in
            body.withUnsafeBytes { body in
                chainHash(after: previous, header: slice(bytes, start..<start + 48), body: body)
            }
        }
        for (offset, byte) in chain.bytes.enumerated() { batch[start + 48 + offset] = byte }
        let checksum = batch.withUnsafeBytes { CRC32C.checksum(slice($0, start..<start + 84)) }
        batch.store(checksum, at: start + 84)
        batch.append(contentsOf: body)
        batch.append(contentsOf: payload)
        batch.append(contentsOf: repeatElement(0, count: (8 - (batch.count - start) % 8) % 8))
        return chain
    }

    /// SHA-256 over the chain hash before, the header without its flags, and the body.
    static func chainHash(
        after previous: ChainHash, header: UnsafeRawBufferPointer, body: UnsafeRawBufferPointer
    ) -> ChainHash {
        previous.bytes.withUnsafeBytes { previous in
            ChainHash(SHA256.hash(of: previous, slice(header, 0..<6), slice(header, 8..<48), body))
        }
    }

    /// The same event without its payload.
    package static func dropPayload(of frame: UnsafeRawBufferPointer, _ header: Frame) -> [UInt8] {
        var bytes = Array(frame.prefix(headerByteCount + header.bodyByteCount))
        bytes.store(payloadDropped, at: 6)
        let checksum = bytes.withUnsafeBytes { CRC32C.checksum(slice($0, 0..<84)) }
        bytes.store(checksum, at: 84)
        bytes.append(contentsOf: repeatElement(0, count: (8 - bytes.count % 8) % 8))
        return bytes
    }

    // MARK: Decoding

    /// The header that `bytes` begins with, its checksum verified.
    package init(header bytes: UnsafeRawBufferPointer) throws(FrameFlaw) {
        guard bytes.count >= Self.headerByteCount else { throw .cutOff }
        guard load(bytes, 0) as UInt32 == Self.magic else { throw .noFrame }
        guard load(bytes, 84) as UInt32 == CRC32C.checksum(slice(bytes, 0..<84)) else {
            throw .headerChecksum
        }
        let version: UInt16 = load(bytes, 4)
        guard version == Self.version else { throw .unknownVersion(version) }
        let flags: UInt16 = load(bytes, 6)
        guard flags & ~Self.payloadDropped == 0 else { throw .unknownFlags(flags) }
        sequence = SequenceNumber(load(bytes, 8))
        epoch = load(bytes, 16)
        time = Timestamp(microseconds: load(bytes, 24))
        bodyByteCount = Int(load(bytes, 32) as UInt32)
        payloadByteCount = Int(load(bytes, 36) as UInt32)
        payloadChecksum = load(bytes, 40)
        bodyChecksum = load(bytes, 44)
        chain = ChainHash(Array(bytes[48..<80]))
        isPayloadDropped = flags & Self.payloadDropped != 0
        guard bodyByteCount <= Limits.eventByteCount, payloadByteCount <= Limits.inlineByteCount else {
            throw .tooLarge
        }
    }

    /// A whole frame at the beginning of `bytes`: header, body and payload verified against their checksums,
    /// the chain against `previous`.
    package static func decode(
        _ bytes: UnsafeRawBufferPointer, after previous: LogPosition?
    ) throws(FrameFlaw) -> Frame {
        let frame = try decodeEvent(bytes, after: previous)
        guard frame.hasGoodPayload(bytes) else { throw .payloadChecksum }
        return frame
    }

    /// As ``decode(_:after:)``, but the payload may be damaged: the event is good, and so is its place in the chain,
    /// which covers the payload only by the SHA-256 in the body.
    package static func decodeEvent(
        _ bytes: UnsafeRawBufferPointer, after previous: LogPosition?
    ) throws(FrameFlaw) -> Frame {
        let frame = try Frame(header: bytes)
        guard bytes.count >= frame.byteCount else { throw .cutOff }
        let body = slice(bytes, headerByteCount..<headerByteCount + frame.bodyByteCount)
        guard CRC32C.checksum(body) == frame.bodyChecksum else { throw .bodyChecksum }
        if let previous {
            guard frame.sequence == previous.sequence.next else {
                throw .wrongSequence(expected: previous.sequence.next, found: frame.sequence)
            }
            guard chainHash(after: previous.chain, header: bytes, body: body) == frame.chain else {
                throw .brokenChain
            }
        }
        return frame
    }

    /// Whether the payload is the one that was appended, or was dropped.
    package func hasGoodPayload(_ bytes: UnsafeRawBufferPointer) -> Bool {
        isPayloadDropped || CRC32C.checksum(slice(bytes, payloadRange)) == payloadChecksum
    }

    package var payloadRange: Range<Int> {
        let start = Self.headerByteCount + bodyByteCount
        return start..<start + storedPayloadByteCount
    }

    /// The event of a frame that was decoded.
    package func event(_ bytes: UnsafeRawBufferPointer) throws(FrameFlaw) -> LoggedEvent {
        let body = slice(bytes, Self.headerByteCount..<Self.headerByteCount + bodyByteCount)
        let record: EventRecord
        do { record = try EventRecord(serializedBytes: Array(body)) } catch { throw .badRecord("\(error)") }
        return LoggedEvent(
            sequence: sequence, epoch: epoch, time: time, chain: chain, record: record,
            payloadLength: payloadByteCount)
    }
}

/// What is wrong with a frame.
package enum FrameFlaw: Error, Hashable, Sendable, CustomStringConvertible {
    case noFrame
    case cutOff
    case headerChecksum
    case unknownVersion(UInt16)
    case unknownFlags(UInt16)
    case tooLarge
    case bodyChecksum
    case payloadChecksum
    case wrongSequence(expected: SequenceNumber, found: SequenceNumber)
    case brokenChain
    case badRecord(String)

    package var description: String {
        switch self {
        case .noFrame: "no frame begins here"
        case .cutOff: "the frame is cut off"
        case .headerChecksum: "the header does not match its checksum"
        case .unknownVersion(let version):
            "the frame has format \(version); this Holdfast knows format \(Frame.version)"
        case .unknownFlags(let flags): "the frame has flags \(flags), which this Holdfast does not know"
        case .tooLarge: "the frame is larger than a frame can be"
        case .bodyChecksum: "the event does not match its checksum"
        case .payloadChecksum: "the payload does not match its checksum"
        case .wrongSequence(let expected, let found): "it is event \(found) where event \(expected) belongs"
        case .brokenChain: "the chain hash does not follow from the event before"
        case .badRecord(let reason): "the event cannot be read: \(reason)"
        }
    }
}
