import Model
import Synchronization
import Volumes

/// A copy whose events were damaged where they lie.
extension LogCopy {
    /// Writes afresh the segments that have damaged events, with those as a log has them: only frames that follow from
    /// the one before them, and from which the one behind them follows. A segment that cannot be made whole so far that
    /// every event is good is left as it is. The new file is complete and synced, and has been read back, before what was
    /// there goes to quarantine, and it takes its name.
    /// - Parameter mirror: the copy, as a mirror that knows its quarantine.
    /// - Returns: those of the events that are good now, with the bytes that they carry.
    /// - Throws: ``FileSystemError`` if a new file does not read as it was written: the old one stays.
    package func mend(
        _ events: Set<SequenceNumber>, from log: EventLog, as mirror: LogMirror
    ) throws -> Set<SequenceNumber> {
        let head = head.sequence
        let firsts = state.withLock { $0.firsts }
        var mended: Set<SequenceNumber> = []
        // Events and segments are both in order.
        var left = events.sorted()[...]
        for (index, first) in firsts.enumerated() {
            let last = index + 1 < firsts.count ? SequenceNumber(firsts[index + 1].rawValue - 1) : head
            left = left.drop { $0 < first }
            let run = left.prefix { $0 <= last }
            left = left.dropFirst(run.count)
            let wanted = Set(run)
            guard !wanted.isEmpty, last <= log.head.sequence,
                let segment = try mendedSegment(first...last, wanted, log)
            else { continue }
            if !segment.mended.isEmpty || segment.isChanged {
                // Where it is locked it waits, and nothing is put in quarantine each time.
                guard try lockEnd(of: first) == nil else { continue }
                do { try replace(first, with: segment, as: mirror) } catch let error as FileSystemError
                    where error.isRetained
                { continue }
            }
            mended.formUnion(segment.mended)
        }
        return mended
    }

    private struct MendedSegment {
        var afresh: SegmentAfresh
        var mended: Set<SequenceNumber> = []
        /// Also if an event came back whose bytes are gone.
        var isChanged = false
    }

    /// - Returns: `nil` if some event is good neither here nor in the log.
    private func mendedSegment(
        _ range: ClosedRange<SequenceNumber>, _ wanted: Set<SequenceNumber>, _ log: EventLog
    ) throws -> MendedSegment? {
        let before = SequenceNumber(range.lowerBound.rawValue - 1)
        let header = Segment.Header(
            storeID: storeID, first: range.lowerBound, chain: try log.chainHash(at: before))
        var segment = MendedSegment(afresh: SegmentAfresh(header))
        var sequence = range.lowerBound
        while sequence <= range.upperBound {
            // Of what is wanted the bytes are, too; others were dropped because nobody needs them.
            let position = segment.afresh.last
            let own = try copied(sequence, after: position, isWanted: wanted.contains(sequence))
            var frame = own
            if own?.isWhole != true || wanted.contains(sequence),
                let other = logged(sequence, log, after: position)
            {
                if other.isWhole, own?.isWhole != true {
                    frame = other
                    segment.isChanged = true
                } else if own == nil {
                    frame = other
                    segment.isChanged = true
                }
            }
            guard let frame else { return nil }
            if wanted.contains(sequence), frame.isWhole { segment.mended.insert(sequence) }
            frame.bytes.withUnsafeBytes { segment.afresh.append(frame.header, $0) }
            sequence = sequence.next
        }
        // What follows here follows from this: a log that has parted from the copy before has nothing to mend it with.
        guard try segment.afresh.last.chain == chainHash(behind: range.upperBound) else { return nil }
        return segment
    }

    /// As what comes behind a segment says it.
    private func chainHash(behind last: SequenceNumber) throws -> ChainHash {
        let (head, following) = state.withLock { state in (state.head, state.firsts.first { $0 > last }) }
        guard let following else { return head.chain }
        return try Self.open(path(following), following, fileSystem).header.chain
    }

    private struct Found {
        let bytes: [UInt8]
        let header: Frame
        /// With the bytes that it carries, where those were not dropped before it was copied.
        let isWhole: Bool
    }

    /// - Returns: `nil` if the copy's event is not good.
    private func copied(
        _ sequence: SequenceNumber, after position: LogPosition, isWanted: Bool
    ) throws -> Found? {
        let bytes: [UInt8]
        do { bytes = try frameBytes(sequence) } catch is FileSystemError { return nil }
        return found(bytes, sequence, after: position) {
            $0.hasGoodPayload($1) && !(isWanted && $0.lacksPayload)
        }
    }

    /// - Returns: `nil` if no mirror has the event good.
    private func logged(_ sequence: SequenceNumber, _ log: EventLog, after position: LogPosition) -> Found? {
        var found: Found?
        do {
            try log.forEachFrame(from: sequence, limit: 1) { frame, raw in
                found = self.found(Array(raw.prefix(frame.byteCount)), sequence, after: position) {
                    !$0.isPayloadDropped && $0.hasGoodPayload($1)
                }
            }
        } catch {
            return nil  // it is good nowhere: what the copy has stays
        }
        return found
    }

    private func found(
        _ bytes: [UInt8], _ sequence: SequenceNumber, after position: LogPosition,
        _ isWhole: (Frame, UnsafeRawBufferPointer) -> Bool
    ) -> Found? {
        bytes.withUnsafeBytes { raw in
            do throws(FrameFlaw) {
                let frame = try Frame.decodeEvent(raw, after: position)
                guard frame.sequence == sequence, frame.byteCount <= raw.count else { return nil }
                return Found(
                    bytes: Array(raw.prefix(frame.byteCount)), header: frame, isWhole: isWhole(frame, raw))
            } catch { return nil }  // damaged, which is why another is looked for
        }
    }

    private func replace(_ first: SequenceNumber, with segment: MendedSegment, as mirror: LogMirror) throws {
        let isTail = state.withLock { $0.tail?.header.first == first }
        var afresh = segment.afresh
        if !isTail { afresh.seal() }
        let file = try mirror.writeBeside(afresh)
        defer { file.close() }
        let old = try fileSystem.open(path(first), [], permissions: 0)
        defer { old.close() }
        try mirror.quarantine(
            try readable(old, try old.size()), as: "log-\(first)", of: first,
            reason: "log/\(Segment.name(first)): damaged; written afresh from the store's log")
        try mirror.takePlace(of: first)
        state.withLock { [afresh] state in
            state.sealed[first] = nil
            if isTail {
                state.tail = Tail(header: afresh.header, offsets: afresh.offsets, end: afresh.end)
            }
        }
    }
}
