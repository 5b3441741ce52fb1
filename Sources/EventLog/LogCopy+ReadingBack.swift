import Foundation
import Model
import Volumes

/// How an event's payload stands in a segment.
enum CarriedPayload: UInt8 {
    /// Also of an event that never had one.
    case good
    case damaged
    case dropped

    init(_ frame: Frame, _ bytes: UnsafeRawBufferPointer) {
        self = frame.isPayloadDropped ? .dropped : frame.hasGoodPayload(bytes) ? .good : .damaged
    }
}

/// A segment as it is to be without some payloads.
struct SegmentAfresh {
    let header: Segment.Header
    var bytes: [UInt8]
    /// Of each of its events.
    var carried: [CarriedPayload] = []
    /// The last of them, as the old segment has it.
    var last: LogPosition
    /// That are dropped.
    var payloads: UInt64 = 0
    /// By which the file will be smaller.
    var saved: UInt64 = 0

    init(_ header: Segment.Header) {
        self.header = header
        bytes = header.encoded()
        last = LogPosition(sequence: SequenceNumber(header.first.rawValue - 1), chain: header.chain)
    }
}

/// A segment that is to take another's place takes good bytes away with it, so that it was written is not enough. It is read
/// back from its file, whose pages are out of memory where the file system can do that: byte by byte it is what was
/// written, and by itself it is a whole segment, each event of which follows from the one before, up to the one that the old
/// segment ends with, and carries what it is to carry. At an endpoint this is the scratch file; what is put from
/// there goes with its digests, and the endpoint compares.
extension LogCopy {
    /// - Parameters:
    ///   - path: of the new file, synced.
    ///   - pace: told of what was read.
    /// - Throws: ``FileSystemError`` with the new file's path, and what is wrong with it.
    func readBack(_ afresh: SegmentAfresh, at path: String, _ pace: (Int) throws -> Void) throws {
        let old = self.path(afresh.header.first)
        func refusal(_ reason: String) -> FileSystemError {
            FileSystemError(
                operation: "read", path: path, code: EIO,
                detail: "\(reason); it does not read as it was written, and \(old) stays as it is")
        }
        let segment: SegmentFile
        do throws(SegmentFlaw) { segment = try SegmentFile.open(path, fileSystem: fileSystem) } catch {
            throw refusal("\(error)")
        }
        defer { segment.file.close() }
        func read(_ range: Range<UInt64>, _ what: String) throws -> [UInt8] {
            let bytes = try segment.file.bytes(range.count, at: range.lowerBound)
            let isWritten = afresh.bytes.withUnsafeBytes { whole in
                bytes.withUnsafeBytes { read in
                    range.upperBound <= UInt64(whole.count)
                        && isSame(read, slice(whole, Int(range.lowerBound)..<Int(range.upperBound)))
                }
            }
            guard isWritten else { throw refusal("\(what) is another") }
            return bytes
        }
        guard let seal = segment.seal, seal.count == afresh.carried.count,
            try segment.file.size() == UInt64(afresh.bytes.count)
        else { throw refusal("its table is another") }
        _ = try read(0..<UInt64(Segment.headerByteCount), "its header")
        _ = try read(seal.tableOffset..<UInt64(afresh.bytes.count), "its table")
        var position = LogPosition(
            sequence: SequenceNumber(afresh.header.first.rawValue - 1), chain: afresh.header.chain)
        for (index, carried) in afresh.carried.enumerated() {
            let event = position.sequence.next
            let bytes = try read(segment.range(of: index), "event \(event)")
            try bytes.withUnsafeBytes { raw in
                let frame: Frame
                do throws(FrameFlaw) { frame = try Frame.decodeEvent(raw, after: position) } catch {
                    throw refusal("event \(event): \(error)")
                }
                guard frame.byteCount == raw.count, CarriedPayload(frame, raw) == carried else {
                    throw refusal("event \(event) has other bytes with it")
                }
                position = LogPosition(sequence: frame.sequence, chain: frame.chain)
            }
            try pace(bytes.count)
        }
        guard position == afresh.last else { throw refusal("event \(position.sequence) is another") }
    }
}
