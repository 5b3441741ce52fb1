import Model

/// Frames that follow from the ones before them. A mirror that is forked has frames that are whole in themselves: what
/// is compared with or copied to other mirrors is told by the chain, never by which mirror is asked first.
extension EventLog {
    /// One frame as every mirror that has it good in itself has it.
    private func candidates(_ number: Int, of span: Span) -> (good: [[UInt8]], reasons: [String]) {
        let sequence = SequenceNumber(span.firstSequence.rawValue + UInt64(number))
        var good: [[UInt8]] = []
        var reasons: [String] = []
        for mirror in mirrors() {
            do {
                let place = try place(of: span, on: mirror)
                good.append(try readFrame(sequence, in: place, try place.range(number)).bytes)
            } catch { reasons.append("volume \(mirror.index): \(error)") }
        }
        return (good, reasons)
    }

    /// The frame behind `position`, from a mirror where it follows from it.
    /// - Throws: ``LogError/damaged(_:_:)`` if it does on none.
    func chainedFrame(_ number: Int, of span: Span, after position: LogPosition) throws -> [UInt8] {
        var (good, reasons) = candidates(number, of: span)
        for bytes in good {
            do {
                _ = try bytes.withUnsafeBytes { try Frame.decode($0, after: position) }
                return bytes
            } catch { reasons.append("it does not follow from the event before it: \(error)") }
        }
        throw LogError.damaged(position.sequence.next, reasons.joined(separator: "; "))
    }

    /// As ``forEachFrame(from:limit:_:)`` over a segment from its beginning, every frame followed by the chain.
    func forEachChainedFrame(
        of segment: SegmentPlace, limit: Int, _ body: (Frame, UnsafeRawBufferPointer) throws -> Void
    ) throws {
        var position = LogPosition(
            sequence: SequenceNumber(segment.first.rawValue - 1), chain: segment.chain)
        try forEachFrame(from: segment.first, limit: limit) { frame, bytes in
            if (try? Frame.decode(bytes, after: position)) != nil {
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
                let found = try Frame.decode(other, after: position)
                try body(found, other)
                position = LogPosition(sequence: found.sequence, chain: found.chain)
            }
        }
    }

    /// The frame that the log has, for a mirror that has another. Where mirrors disagree the segment is followed from
    /// its beginning.
    func trueFrame(_ span: Span) throws -> [UInt8] {
        let (good, _) = candidates(0, of: span)
        let chains = try Set(good.map { bytes in try bytes.withUnsafeBytes { try Frame(header: $0).chain } })
        if good.count > 1, chains.count == 1 { return good[0] }
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
