import Foundation
import Model
import Volumes

extension EventLog {
    /// Re-reads committed frames from one mirror, payloads included, and checks each against its checksums and the chain.
    /// - Returns: the frames that are not the log's there; none if the mirror is not in service. A segment that cannot be
    ///   read as one is a single flaw.
    public func verifyFrames(
        from first: SequenceNumber, through last: SequenceNumber, mirror index: Int
    ) -> [MirrorFlaw] {
        guard let mirror = mirrors().first(where: { $0.index == index }) else { return [] }
        var bad: [MirrorFlaw] = []
        var next = first
        while next <= last, let span = span(from: next, limit: Int(last.rawValue - next.rawValue + 1)) {
            bad += verifyFrames(of: span, on: mirror)
            // A mirror that left service meanwhile is brought back whole: nothing it holds now counts.
            guard isInService(mirror) else { return [] }
            next = SequenceNumber(next.rawValue + UInt64(span.count))
        }
        return bad
    }

    private func verifyFrames(of span: Span, on mirror: LogMirror) -> [MirrorFlaw] {
        var bad: [MirrorFlaw] = []
        var number = 0
        while number < span.count {
            let sequence = SequenceNumber(span.firstSequence.rawValue + UInt64(number))
            do {
                let (ranges, bytes) = try place(of: span, on: mirror).read(from: number, count: span.count)
                bad += bytes.withUnsafeBytes { flaws(of: $0, ranges, from: sequence, span.segment, mirror) }
                number += ranges.count
            } catch {
                let flaw = Self.flaw(.failure(error), sequence, span.segment, mirror)
                bad.append(flaw)
                number = flaw.isOfSegment ? span.count : number + 1
            }
        }
        return bad
    }

    /// A frame of one mirror that is not what the log has there.
    public struct MirrorFlaw: Sendable {
        public let mirror: Int
        public let sequence: SequenceNumber
        /// The segment's file, relative to the volume.
        public let path: String
        public let reason: String
        public let kind: Kind
        /// The whole segment cannot be read, this event's frame among others.
        public var isOfSegment: Bool { kind == .segmentDamaged || kind == .segmentMissing }

        public enum Kind: Sendable {
            case damaged
            /// The frame is whole in itself, and another event's: frames were exchanged, or one is missing.
            case misplaced
            /// The frame is whole in itself, of this number, and other than on the other mirrors.
            case diverged
            case segmentDamaged
            case segmentMissing
        }
    }

    /// Compares the frames of all mirrors in service with the log as it is read, whose chain is checked on
    /// the way.
    /// - Parameters:
    ///   - position: where the comparison begins; afterwards, `last`.
    ///   - pastCache: whether the devices are asked, where the file system can, and not memory.
    /// - Throws: ``LogError/damaged(_:_:)`` if an event is good on no mirror, or does not follow from the one
    ///   before it.
    public func compareMirrors(
        through last: SequenceNumber, after position: inout LogPosition, pastCache: Bool = false
    ) throws -> [MirrorFlaw] {
        var flaws: [MirrorFlaw] = []
        var skipped: Set<String> = []
        var opened: Set<SequenceNumber> = []
        let mirrors = mirrors()
        let buffers = mirrors.map { _ in FrameBuffer() }
        var next = position.sequence.next
        while next <= last, let span = span(from: next, limit: Int(last.rawValue - next.rawValue + 1)) {
            if span.bounds == nil, opened.insert(span.segment.first).inserted {
                // By its name, as the next opening finds it: a file that readers have open may have none any more.
                for mirror in mirrors { mirror.forgetSealed(span.segment.first) }
            }
            var number = 0
            while number < span.count {
                let agreed = agreement(
                    of: span, from: number, Array(zip(mirrors, buffers)), &position, pastCache: pastCache)
                if agreed.isWhole {
                    number += agreed.count
                    continue
                }
                for _ in 0..<agreed.count {
                    flaws += try compare(
                        number, of: span, mirrors, &skipped, &position, pastCache: pastCache)
                    number += 1
                }
            }
            next = SequenceNumber(next.rawValue + UInt64(span.count))
        }
        return flaws
    }

    /// Reads as many frames as fit one read from every mirror at once. Where they are the same to the byte, as
    /// they nearly always are, one look at them is enough for all.
    /// - Returns: how many frames those are, and whether they are the same, good, and follow from `position`,
    ///   which then is the last of them.
    private func agreement(
        of span: Span, from number: Int, _ mirrors: [(mirror: LogMirror, buffer: FrameBuffer)],
        _ position: inout LogPosition, pastCache: Bool
    ) -> (count: Int, isWhole: Bool) {
        guard let first = mirrors.first,
            let (ranges, bytes) = try? read(span, from: number, on: first, pastCache: pastCache)
        else { return (1, false) }
        for mirror in mirrors.dropFirst() {
            // Whatever keeps a mirror from being the same is found out, and told, frame by frame.
            guard let own = try? read(span, from: number, on: mirror, pastCache: pastCache),
                own.ranges == ranges, isSame(own.bytes, bytes)
            else { return (ranges.count, false) }
        }
        var before = position
        let isGood = ranges.allSatisfy { range in
            let start = Int(range.lowerBound - ranges[0].lowerBound)
            guard start + range.count <= bytes.count,
                let frame = try? Frame.decode(slice(bytes, start..<start + range.count), after: before)
            else { return false }
            before = LogPosition(sequence: frame.sequence, chain: frame.chain)
            return true
        }
        if isGood { position = before }
        return (ranges.count, isGood)
    }

    /// - Returns: bytes that are good until the mirror's buffer is read into again.
    private func read(
        _ span: Span, from number: Int, on copy: (mirror: LogMirror, buffer: FrameBuffer), pastCache: Bool
    ) throws -> (ranges: [Range<UInt64>], bytes: UnsafeRawBufferPointer) {
        let place = try place(of: span, on: copy.mirror)
        let ranges = try place.run(from: number, count: span.count)
        let whole = ranges[0].lowerBound..<ranges[ranges.count - 1].upperBound
        guard pastCache else { return (ranges, try copy.buffer.read(whole, of: place.file)) }
        let path = copy.mirror.path(span.segment.first)
        return (ranges, try copy.buffer.readPastCache(whole, of: path, copy.mirror.fileSystem))
    }

    /// One frame, as the log has it, against every mirror.
    private func compare(
        _ number: Int, of span: Span, _ mirrors: [LogMirror], _ skipped: inout Set<String>,
        _ position: inout LogPosition, pastCache: Bool
    ) throws -> [MirrorFlaw] {
        let sequence = SequenceNumber(span.firstSequence.rawValue + UInt64(number))
        let bytes = try chainedFrame(number, of: span, after: position)
        let frame = try bytes.withUnsafeBytes { try Frame.decodeEvent($0, after: position) }
        position = LogPosition(sequence: frame.sequence, chain: frame.chain)
        guard let one = self.span(from: sequence, limit: 1) else { return [] }
        var flaws: [MirrorFlaw] = []
        for mirror in mirrors {
            let segment = "\(mirror.index)/\(span.segment.first)"
            guard !skipped.contains(segment),
                let flaw = mirror.steadily(
                    isGood: { $0 == nil }, { compare(mirror, one, frame, pastCache: pastCache) })
            else { continue }
            flaws.append(flaw)
            if flaw.isOfSegment { skipped.insert(segment) }
        }
        return flaws
    }

    private func compare(
        _ mirror: LogMirror, _ span: Span, _ frame: Frame, pastCache: Bool
    ) -> MirrorFlaw? {
        func flaw(_ kind: MirrorFlaw.Kind, _ reason: String) -> MirrorFlaw? {
            // A mirror that left service meanwhile is brought back whole: nothing it holds now counts.
            guard isInService(mirror) else { return nil }
            return MirrorFlaw(
                mirror: mirror.index, sequence: frame.sequence,
                path: "log/" + Segment.name(span.segment.first), reason: reason, kind: kind)
        }
        let found = Result {
            let place = try place(of: span, on: mirror)
            let range = try place.range(0)
            let bytes =
                pastCache
                ? try Self.readPastCache(range, of: mirror.path(span.segment.first), mirror.fileSystem)
                : try place.file.bytes(range.count, at: range.lowerBound)
            return try bytes.withUnsafeBytes { try Frame.decode($0, after: nil) }
        }
        return Self.judge(found, against: frame).flatMap { flaw($0.kind, $0.reason) }
    }
}
