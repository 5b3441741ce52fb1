import Foundation
import Model
import Volumes

extension Recovery {
    /// Finds, for each tail, the frames it shares with the log: which of them are damaged, and where it
    /// leaves the log.
    static func compare(_ tails: [Tail], with walk: Walk) throws {
        guard let first = tails.first else { return }
        var position = LogPosition(
            sequence: SequenceNumber(first.header.first.rawValue - 1), chain: first.header.chain)
        for offset in walk.offsets.map({ UInt64($0) * 8 }) {
            var flaws: [(Tail, any Error)] = []
            var holders: [(Tail, Frame)] = []
            let found = tails.map { tail in
                Result { try tail.window.frame(at: offset, after: position, wholly: false) }
            }
            // Where ways part, the log's own frame is the one from which the next offset follows. One whose payload is
            // damaged counts where none is whole.
            let present = found.compactMap { try? $0.get() }
            let candidates = present.filter(\.isWhole) + present.filter { !$0.isWhole }
            let good = try candidates.first { candidate in
                try walk.contains(end: offset + UInt64(candidate.frame.byteCount))
                    && (offset + UInt64(candidate.frame.byteCount) != walk.end
                        || candidate.frame.chain == walk.position.chain)
                    && (candidates.allSatisfy { $0.frame.chain == candidate.frame.chain }
                        || leads(candidate.frame, at: offset, tails, to: walk))
            }
            guard let good else { preconditionFailure("the walk read this frame from some mirror") }
            for (tail, found) in zip(tails, found) {
                do {
                    let own = try found.get()
                    if own.frame.chain != good.frame.chain {
                        flaws.append((tail, FrameFlaw.brokenChain))
                    } else if !own.isWhole, good.isWhole {
                        flaws.append((tail, FrameFlaw.payloadChecksum))
                    } else {
                        holders.append((tail, own.frame))
                    }
                } catch { flaws.append((tail, error)) }
            }
            for (tail, frame) in holders {
                tail.damaged += tail.pending
                tail.pending = []
                tail.lastCommon = (offset + UInt64(frame.byteCount), frame.sequence)
            }
            for (tail, flaw) in flaws {
                tail.pending.append((offset, good.bytes, good.frame.sequence, "\(flaw)"))
            }
            position = LogPosition(sequence: good.frame.sequence, chain: good.frame.chain)
        }
    }

    private static func leads(
        _ frame: Frame, at offset: UInt64, _ tails: [Tail], to walk: Walk
    ) throws -> Bool {
        let start = Walk(
            position: LogPosition(sequence: frame.sequence, chain: frame.chain), proven: walk.proven,
            epoch: frame.epoch,
            time: frame.time, offsets: [], end: offset + UInt64(frame.byteCount))
        return try Recovery.walk(tails, from: start).position == walk.position
    }

    /// The bytes from `offset` to the last one that is not zero; `nil` if there is none.
    ///
    /// Read from the end, so that of what was zeroed ahead nothing is kept, and passed over in words: this is
    /// most of a segment, at every opening.
    static func rest(of file: any File, from offset: UInt64, size: UInt64) throws(FileSystemError) -> [UInt8]?
    {
        let buffer = AlignedBuffer(capacity: LogMirror.zeroChunk)
        var end = size
        while end > offset {
            let start = max(offset, end - min(end, UInt64(buffer.capacity)))
            let room = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[0..<Int(end - start)])
            let count = try file.read(into: room, at: start)
            let used = usedByteCount(UnsafeRawBufferPointer(rebasing: room[..<count]))
            if used > 0 { return try file.bytes(Int(start - offset) + used, at: offset) }
            end = start
        }
        return nil
    }

    /// Whether a frame begins anywhere in it, be it cut off or damaged behind its header: more than the torn
    /// end of a write. Frames begin at multiples of eight, as the bytes do here.
    static func holdsFrame(_ rest: [UInt8]) -> Bool {
        rest.withUnsafeBytes { bytes in
            stride(from: 0, through: bytes.count - Frame.headerByteCount, by: 8).contains { offset in
                load(bytes, offset) as UInt32 == Frame.magic
                    && (try? Frame(header: slice(bytes, offset..<bytes.count))) != nil
            }
        }
    }

    static func zero(_ file: any File, from start: UInt64, to end: UInt64) throws(FileSystemError) {
        var offset = start
        while offset < end {
            let count = min(UInt64(LogMirror.zeroChunk), end - offset)
            try file.write([UInt8](repeating: 0, count: Int(count)), at: offset)
            offset += count
        }
    }
}

extension Recovery.Walk {
    /// Whether a frame of the walk ends at `end`.
    func contains(end: UInt64) -> Bool {
        if end == self.end { return true }
        var low = 0
        var high = offsets.count
        while low < high {
            let middle = (low + high) / 2
            if UInt64(offsets[middle]) * 8 < end { low = middle + 1 } else { high = middle }
        }
        return low < offsets.count && UInt64(offsets[low]) * 8 == end
    }
}
