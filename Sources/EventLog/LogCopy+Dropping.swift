import Digests
import Foundation
import Model
import Synchronization
import Volumes

/// Payloads that nobody needs any more, and which a copy has kept: a store's own log gives its space back in the same way
/// (``EventLog/dropPayloads(of:mirror:)``).
extension LogCopy {
    /// What was dropped.
    package struct Dropping: Sendable, Equatable {
        package var payloads: UInt64 = 0
        /// By which the files are smaller.
        package var bytes: UInt64 = 0
        /// Segments that stay as they are because their objects are locked, and that may have enough payloads to drop.
        package var locked = 0
        /// Segments that stay as they are because some event in them is damaged, or the segment itself.
        package var damaged = 0
        /// Segments that hold too little of what is not needed, as their headers say.
        package var spared: Set<Spared> = []

        package init() {}
    }

    /// A segment in which some events' payloads, which nobody needs, are too few to be worth writing it afresh: it is so
    /// until it is another file, or other events of it are needed.
    package struct Spared: Hashable, Sendable {
        package let first: SequenceNumber
        package let byteCount: UInt64
        /// Of the events' places in the segment, a digest.
        package let unneeded: UInt64

        package init(first: SequenceNumber, byteCount: UInt64, unneeded: UInt64) {
            (self.first, self.byteCount, self.unneeded) = (first, byteCount, unneeded)
        }

        init(_ first: SequenceNumber, _ byteCount: UInt64, _ places: [Int]) {
            let bytes = places.flatMap { place in
                withUnsafeBytes(of: UInt32(place).littleEndian) { Array($0) }
            }
            let digest = SHA256.hash(bytes).prefix(8).reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            self.init(first: first, byteCount: byteCount, unneeded: digest)
        }
    }

    /// Writes sealed segments afresh without the payloads that are not needed, where these are a certain part of one; all events
    /// stay, and so does the chain. The new file is complete and synced, and has been read back, before it takes the old
    /// one's name. One segment at a time is in memory.
    ///
    /// A segment in which an event is damaged waits until that is mended: it is not written afresh over its damage. Bytes alone
    /// that are damaged are copied as they are if they are needed, and stay damaged.
    /// - Parameters:
    ///   - last: what comes behind it is needed, whatever `isNeeded` says.
    ///   - share: 1 in so many bytes of a segment is to be given back, or more, for it to be written afresh.
    ///   - mirror: the copy, as a mirror.
    ///   - known: what an earlier call has spared: what is still so is not looked at again.
    ///   - pace: told of what was read and written; may wait, or end the work by throwing.
    /// - Throws: ``FileSystemError`` if a new file does not read as it was written: the old one stays.
    package func dropPayloads(
        through last: SequenceNumber, share: UInt64, as mirror: LogMirror, sparing known: Set<Spared> = [],
        isNeeded: (SequenceNumber) -> Bool, pace: (Int) throws -> Void
    ) throws -> Dropping {
        var dropping = Dropping()
        try mirror.clearUnfinished()
        let isKept = { (sequence: SequenceNumber) in sequence > last || isNeeded(sequence) }
        let firsts = state.withLock { $0.firsts }
        // The last one may be open, and is appended to.
        for (first, next) in zip(firsts, firsts.dropFirst()) where first <= last {
            let afresh: SegmentAfresh
            let places: [Int]
            let size: UInt64
            do {
                let segment = try sealed(first)
                guard let unneeded = unneeded(in: segment, share, isKept) else { continue }
                size = try segment.file.size()
                let look = Spared(first, size, unneeded)
                guard !known.contains(look) else {
                    dropping.spared.insert(look)
                    continue
                }
                // Asked before anything is read: of what is locked, each prune would read the headers again.
                guard try lockEnd(of: first) == nil else {
                    dropping.locked += 1
                    continue
                }
                guard try isWorthWriting(segment, share, unneeded, pace) else {
                    dropping.spared.insert(look)
                    continue
                }
                places = unneeded
                afresh = try writtenAfresh(segment, before: next, isKept, pace)
            } catch  where isDamage(error, of: first) {
                dropping.damaged += 1
                continue
            }
            guard try replace(first, with: afresh, as: mirror, pace) else {
                dropping.locked += 1
                continue
            }
            dropping.payloads += afresh.payloads
            dropping.bytes += size - min(size, UInt64(afresh.bytes.count))
            dropping.spared.insert(Spared(first, UInt64(afresh.bytes.count), places))
        }
        return dropping
    }

    /// Whether an event is there without the bytes that it carried, as its header says; `nil` if that is damaged, or its disk
    /// does not give it.
    package func isPayloadDropped(_ sequence: SequenceNumber) throws -> Bool? {
        try header(ifReadableOf: sequence)?.lacksPayload
    }

    /// The chain hash at an event, as its header says; `nil` if that is damaged, or its disk does not give it.
    package func chainHash(ifReadableAt sequence: SequenceNumber) throws -> ChainHash? {
        sequence > .zero ? try header(ifReadableOf: sequence)?.chain : .genesis
    }

    private func header(ifReadableOf sequence: SequenceNumber) throws -> Frame? {
        let first = state.withLock { $0.firsts.last { $0 <= sequence } } ?? sequence
        do {
            return try withFrame(sequence) { file, range in
                let header = try file.bytes(Frame.headerByteCount, at: range.lowerBound)
                let frame = try header.withUnsafeBytes { try Frame(header: $0) }
                return frame.sequence == sequence && frame.byteCount <= range.count ? frame : nil
            }
        } catch  where isDamage(error, of: first) {
            return nil
        }
    }

    /// The events whose bytes are dropped here and not in the log that the copy is of; and those of which it cannot be told,
    /// since they cannot be read here.
    /// - Parameter last: an event that both have.
    package func payloadsDropped(
        through last: SequenceNumber, andNotIn log: EventLog, pace: (Int) throws -> Void = { _ in }
    ) throws -> Set<SequenceNumber> {
        var dropped: Set<SequenceNumber> = []
        var next = SequenceNumber(1)
        while next <= last {
            // One that is damaged there may have had them: they are looked for.
            if try isPayloadDropped(next) ?? true, try !log.isPayloadDropped(next) { dropped.insert(next) }
            try pace(Frame.headerByteCount)
            next = next.next
        }
        return dropped
    }

    /// Those of a segment's events whose payloads are not needed, by their places in its table: frames are not read.
    /// - Returns: `nil` if they cannot be enough.
    private func unneeded(
        in segment: SegmentFile, _ share: UInt64, _ isKept: (SequenceNumber) -> Bool
    ) -> [Int]? {
        guard let seal = segment.seal else { return nil }
        let first = segment.header.first.rawValue
        let unneeded = segment.offsets.indices.filter { !isKept(SequenceNumber(first + UInt64($0))) }
        let most = unneeded.reduce(UInt64(0)) {
            let count = segment.range(of: $1).count
            return $0 + UInt64(count - min(count, Frame.headerByteCount))
        }
        return most > 0 && most * share >= seal.tableOffset ? unneeded : nil
    }

    /// Whether those events have enough.
    private func isWorthWriting(
        _ segment: SegmentFile, _ share: UInt64, _ unneeded: [Int], _ pace: (Int) throws -> Void
    ) throws -> Bool {
        guard let seal = segment.seal else { return false }
        var dead: UInt64 = 0
        for index in unneeded {
            let header = try segment.file.bytes(
                Frame.headerByteCount, at: segment.range(of: index).lowerBound)
            dead += UInt64(try header.withUnsafeBytes { try Frame(header: $0) }.storedPayloadByteCount)
            try pace(header.count)
        }
        return dead > 0 && dead * share >= seal.tableOffset
    }

    /// - Returns: whether it was replaced; not if it is locked.
    private func replace(
        _ first: SequenceNumber, with afresh: SegmentAfresh, as mirror: LogMirror,
        _ pace: (Int) throws -> Void
    ) throws -> Bool {
        // Whoever reads it next opens what has the name then.
        defer { state.withLock { $0.sealed[first] = nil } }
        do {
            let file = try mirror.writeBeside(afresh, pace)
            defer { file.close() }
            try mirror.takePlace(of: first)
            return true
        } catch let error as FileSystemError where error.isRetained {
            return false
        }
    }

    private func writtenAfresh(
        _ segment: SegmentFile, before next: SequenceNumber, _ isKept: (SequenceNumber) -> Bool,
        _ pace: (Int) throws -> Void
    ) throws -> SegmentAfresh {
        let header = segment.header
        let last = SequenceNumber(next.rawValue - 1)
        var afresh = SegmentAfresh(header, byteCount: Int(try segment.file.size()))
        try forEachFrame(from: header.first, through: last) { frame, raw in
            _ = try Frame.decodeEvent(raw, after: afresh.last)
            if frame.storedPayloadByteCount > 0, !isKept(frame.sequence) {
                afresh.append(withoutPayload: frame, raw)
            } else {
                afresh.append(frame, raw)
            }
            try pace(frame.byteCount)
        }
        guard afresh.last.sequence == last,
            try afresh.last.chain == Self.open(path(next), next, fileSystem).header.chain
        else { throw LogError.damaged(last, "\(path(header.first)): what follows does not follow from it") }
        afresh.seal()
        return afresh
    }

    /// Whether a segment could not be read because it is damaged, or its disk does not give it.
    private func isDamage(_ error: any Error, of first: SequenceNumber) -> Bool {
        switch error {
        case LogError.damaged, is FrameFlaw: true
        case let error as FileSystemError: error.code == EIO && error.path == path(first)
        default: false
        }
    }
}
