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

/// A segment as it is to be, in place of the one that is there: without some payloads, or with events that are damaged there.
struct SegmentAfresh {
    let header: Segment.Header
    private(set) var bytes: [UInt8]
    /// Where each of its events begins.
    private(set) var offsets: [UInt64] = []
    private(set) var carried: [CarriedPayload] = []
    /// The last of them.
    private(set) var last: LogPosition
    /// Where they end.
    private(set) var end = UInt64(Segment.headerByteCount)
    private(set) var isSealed = false
    /// Payloads that are dropped.
    private(set) var payloads: UInt64 = 0

    /// - Parameter byteCount: that it may come to, so that memory is asked for once.
    init(_ header: Segment.Header, byteCount: Int = 0) {
        self.header = header
        bytes = header.encoded()
        bytes.reserveCapacity(byteCount)
        last = LogPosition(sequence: SequenceNumber(header.first.rawValue - 1), chain: header.chain)
    }

    /// Appends the event that follows, as it is.
    /// - Parameter raw: its frame, and maybe more behind it.
    mutating func append(_ frame: Frame, _ raw: UnsafeRawBufferPointer) {
        begin(frame, CarriedPayload(frame, raw))
        bytes.append(contentsOf: raw.prefix(frame.byteCount))
        end = UInt64(bytes.count)
    }

    /// Appends the event that follows, without its payload.
    mutating func append(withoutPayload frame: Frame, _ raw: UnsafeRawBufferPointer) {
        begin(frame, .dropped)
        payloads += 1
        bytes += Frame.dropPayload(of: raw, frame)
        end = UInt64(bytes.count)
    }

    private mutating func begin(_ frame: Frame, _ payload: CarriedPayload) {
        precondition(!isSealed && frame.sequence == last.sequence.next, "a segment has its events in order")
        offsets.append(UInt64(bytes.count))
        carried.append(payload)
        last = LogPosition(sequence: frame.sequence, chain: frame.chain)
    }

    mutating func seal() {
        bytes += Segment.Seal.encode(first: header.first, offsets: offsets.map { UInt32($0 / 8) }, end: end)
        isSealed = true
    }

    /// The bytes that an event takes.
    fileprivate func range(of index: Int) -> Range<UInt64> {
        offsets[index]..<(index + 1 < offsets.count ? offsets[index + 1] : end)
    }
}

/// A segment that is to take another's place takes good bytes away with it, so that it was written is not enough. It is read
/// back from its file, whose pages are out of memory where the file system can do that: byte by byte it is what was
/// written, and by itself it is a whole segment, each event of which follows from the one before, up to the last one that was
/// written, and carries what it is to carry. At an endpoint this is the scratch file; what is put from
/// there goes with its digests, and the endpoint compares.
extension LogMirror {
    /// Writes a segment beside the one whose place it is to take, syncs it, and reads it back. ``takePlace(of:)`` gives it
    /// the name, for as long as the file is open.
    /// - Parameter pace: told of what was written and read; may wait, or end the work by throwing.
    /// - Throws: ``FileSystemError`` with the new file's path if it does not read as it was written.
    func writeBeside(_ afresh: SegmentAfresh, _ pace: (Int) throws -> Void = { _ in }) throws -> any File {
        let file = try writeBeside(afresh.bytes)
        do {
            try pace(afresh.bytes.count)
            try file.dropCache()
            try readBack(afresh, pace)
            return file
        } catch {
            file.close()
            throw error
        }
    }

    private func readBack(_ afresh: SegmentAfresh, _ pace: (Int) throws -> Void) throws {
        let (path, old) = (besidePath, path(afresh.header.first))
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
                    isSame(read, slice(whole, Int(range.lowerBound)..<Int(range.upperBound)))
                }
            }
            guard isWritten else { throw refusal("\(what) is another") }
            return bytes
        }
        let size = UInt64(afresh.bytes.count)
        guard try segment.file.size() == size else { throw refusal("it has another length") }
        guard afresh.isSealed ? segment.seal?.count == afresh.carried.count : segment.seal == nil else {
            throw refusal("its table is another")
        }
        _ = try read(0..<UInt64(Segment.headerByteCount), "its header")
        if afresh.isSealed { _ = try read(afresh.end..<size, "its table") }
        var position = LogPosition(
            sequence: SequenceNumber(afresh.header.first.rawValue - 1), chain: afresh.header.chain)
        for (index, carried) in afresh.carried.enumerated() {
            let event = position.sequence.next
            let bytes = try read(afresh.range(of: index), "event \(event)")
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
