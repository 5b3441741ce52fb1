import Model
import Synchronization
import Volumes

/// Frames from mirrors that are not in service.
///
/// With few mirrors left, a frame that is damaged on all of them may stand good on one that has left the log and is
/// about to return. What such a mirror holds may be no part of the log, so its frame is taken only if it follows from
/// the event before, and what the log has behind it follows from the frame.
extension EventLog {
    /// Runs `body`, and meanwhile takes frames that no mirror in service has good from `mirrors`.
    public func consulting<Value>(_ mirrors: [LogMirror], _ body: () throws -> Value) rethrows -> Value {
        witnesses.withLock { $0 = mirrors }
        defer { witnesses.withLock { $0 = [] } }
        return try body()
    }

    /// - Throws: why no witness has the frame, added to `reasons`.
    func witnessed(_ sequence: SequenceNumber, of span: Span, _ reasons: [String]) throws -> [UInt8] {
        var reasons = reasons
        for mirror in witnesses.withLock({ $0 }) {
            do { return try witnessed(sequence, of: span, by: mirror) } catch {
                reasons.append("volume \(mirror.index), not in service: \(error)")
            }
        }
        throw LogError.damaged(sequence, reasons.joined(separator: "; "))
    }

    private func witnessed(
        _ sequence: SequenceNumber, of span: Span, by mirror: LogMirror
    ) throws -> [UInt8] {
        let segment = span.segment
        let file = try SegmentFile.open(mirror.path(segment.first), fileSystem: mirror.fileSystem)
        let header = Segment.Header(storeID: storeID, first: segment.first, chain: segment.chain)
        guard file.header == header else { throw FrameFlaw.brokenChain }
        let window = Recovery.Window(file.file, end: try file.seal?.tableOffset ?? file.file.size())
        var offset = try offset(of: sequence, span, file, window)
        let before = SequenceNumber(sequence.rawValue - 1)
        var position = LogPosition(
            sequence: before, chain: sequence == segment.first ? segment.chain : try chainHash(at: before))
        var wanted: [UInt8]?
        // The witness speaks for what follows too until the log itself goes on.
        while true {
            let found = try window.frame(at: offset, after: position)
            let bytes = wanted ?? found.bytes
            wanted = bytes
            offset += UInt64(found.frame.byteCount)
            position = LogPosition(sequence: found.frame.sequence, chain: found.frame.chain)
            if try logGoesOn(from: position) { return bytes }
        }
    }

    private func offset(
        of sequence: SequenceNumber, _ span: Span, _ file: SegmentFile, _ window: Recovery.Window
    ) throws -> UInt64 {
        let index = Int(sequence.rawValue - span.segment.first.rawValue)
        if file.seal != nil {
            guard index < file.offsets.count else { throw SegmentFlaw.badTable }
            return UInt64(file.offsets[index]) * 8
        }
        if let bounds = span.bounds { return bounds[index - span.firstIndex] }
        // It left while the segment was the active one, which has been sealed since.
        var position = LogPosition(
            sequence: SequenceNumber(span.segment.first.rawValue - 1), chain: span.segment.chain)
        var offset = UInt64(Segment.headerByteCount)
        while position.sequence.next < sequence {
            let frame = try window.frame(at: offset, after: position).frame
            position = LogPosition(sequence: frame.sequence, chain: frame.chain)
            offset += UInt64(frame.byteCount)
        }
        return offset
    }

    /// Whether the log has `position`, as far as the mirrors in service can tell.
    /// - Returns: `false` if the next frame is damaged on all of them as well.
    /// - Throws: if the log is another there.
    private func logGoesOn(from position: LogPosition) throws -> Bool {
        let (head, places) = state.withLock { ($0.head, $0.segments) }
        let expected =
            position.sequence == head.sequence
            ? head.chain : places.first { $0.first == position.sequence.next }?.chain
        if let expected {
            guard expected == position.chain else { throw FrameFlaw.brokenChain }
            return true
        }
        guard let span = span(from: position.sequence.next, limit: 1) else { throw FrameFlaw.brokenChain }
        for mirror in mirrors() {
            guard let place = try? place(of: span, on: mirror), let range = try? place.range(0),
                let bytes = try? readFrame(span.firstSequence, in: place, range).bytes
            else { continue }  // its reason was told when that frame was asked for, or will be
            _ = try bytes.withUnsafeBytes { try Frame.decodeEvent($0, after: position) }
            return true
        }
        return false
    }
}
