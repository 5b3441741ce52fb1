import Model

/// Frames that follow from the ones before them. A mirror that is forked has frames that are whole in themselves: what
/// is compared with or copied to other mirrors is told by the chain, never by which mirror is asked first.
extension EventLog {
    /// One frame as every mirror has it whose event is good in itself.
    private func candidates(_ number: Int, of span: Span) -> (good: [ReadFrame], reasons: [String]) {
        let sequence = SequenceNumber(span.firstSequence.rawValue + UInt64(number))
        var good: [ReadFrame] = []
        var reasons: [String] = []
        for mirror in mirrors() {
            do {
                let place = try place(of: span, on: mirror)
                let found = try readFrame(sequence, in: place, try place.range(number))
                good.append(found)
                if !found.isWhole { throw FrameFlaw.payloadChecksum }
            } catch { reasons.append("volume \(mirror.index): \(error)") }
        }
        return (good, reasons)
    }

    /// Whether some mirror, or a witness, has the event with its payload good.
    func hasWholeFrame(_ span: Span) -> Bool { (try? frameBytes(0, of: span, wholly: true)) != nil }

    /// The frame behind `position`, from a mirror where it follows from it, whole if one has it whole.
    /// - Throws: ``LogError/damaged(_:_:)`` if it does on none, witnesses included.
    func chainedFrame(_ number: Int, of span: Span, after position: LogPosition) throws -> [UInt8] {
        var (good, reasons) = candidates(number, of: span)
        for found in good.filter(\.isWhole) + good.filter({ !$0.isWhole }) {
            do {
                _ = try found.bytes.withUnsafeBytes { try Frame.decodeEvent($0, after: position) }
                return found.bytes
            } catch { reasons.append("it does not follow from the event before it: \(error)") }
        }
        return try witnessed(position.sequence.next, of: span, reasons)
    }

    /// As ``forEachFrame(from:limit:_:)`` over a segment from its beginning, every frame followed by the chain.
    func forEachChainedFrame(
        of segment: SegmentPlace, limit: Int, _ body: (Frame, UnsafeRawBufferPointer) throws -> Void
    ) throws {
        var position = LogPosition(
            sequence: SequenceNumber(segment.first.rawValue - 1), chain: segment.chain)
        try forEachFrame(from: segment.first, limit: limit) { frame, bytes in
            if (try? Frame.decodeEvent(bytes, after: position)) != nil {
                try body(frame, bytes)
                position = LogPosition(sequence: frame.sequence, chain: frame.chain)
                return
            }
            // The mirror that was read goes another way here: another one may not.
            guard let one = span(from: frame.sequence, limit: 1) else {
                throw LogError.damaged(frame.sequence, "the log ends before it")
            }
            let other = try chainedFrame(0, of: one, after: position)
            try other.withUnsafeBytes { other in
                let found = try Frame.decodeEvent(other, after: position)
                try body(found, other)
                position = LogPosition(sequence: found.sequence, chain: found.chain)
            }
        }
    }

    /// The frame that the log has, for a mirror that has another. Where mirrors disagree the segment is followed from
    /// its beginning. A payload that is good on no mirror comes as it is: see ``hasWholeFrame(_:)``.
    func trueFrame(_ span: Span) throws -> [UInt8] {
        let (good, _) = candidates(0, of: span)
        if good.count > 1, Set(good.map(\.frame.chain)).count == 1 {
            if let whole = good.first(where: \.isWhole) { return whole.bytes }
            return try frameBytes(0, of: span)
        }
        var position = LogPosition(
            sequence: SequenceNumber(span.segment.first.rawValue - 1), chain: span.segment.chain)
        if span.firstIndex > 0 {
            try forEachChainedFrame(of: span.segment, limit: span.firstIndex) { frame, _ in
                position = LogPosition(sequence: frame.sequence, chain: frame.chain)
            }
        }
        return try chainedFrame(0, of: span, after: position)
    }
}
