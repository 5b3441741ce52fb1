import Foundation
import Model
import Synchronization
import Volumes

extension EventLog {
    static let spanByteCount: UInt64 = 1024 * 1024

    /// Where some frames of one segment stand.
    struct Span {
        let segment: SegmentPlace
        /// For the active segment: where each frame begins, and where the last one ends. `nil` for a sealed
        /// one, whose mirrors have tables of their own.
        let bounds: [UInt64]?
        let firstSequence: SequenceNumber
        var count: Int
        var firstIndex: Int { Int(firstSequence.rawValue - segment.first.rawValue) }
    }

    /// The span of at most `limit` committed events from `sequence` on, all in one segment; `nil` past the
    /// head.
    func span(from sequence: SequenceNumber, limit: Int) -> Span? {
        state.withLock { state in
            guard sequence.rawValue > 0, sequence <= state.head.sequence, limit > 0 else { return nil }
            var low = 0
            var high = state.segments.count
            while high - low > 1 {
                let middle = (low + high) / 2
                if state.segments[middle].first <= sequence { low = middle } else { high = middle }
            }
            let segment = state.segments[low]
            let index = Int(sequence.rawValue - segment.first.rawValue)
            if low == state.segments.count - 1 {
                let count = min(limit, state.offsets.count - index)
                var bounds = state.offsets[index..<index + count].map { UInt64($0) * 8 }
                let next = index + count
                bounds.append(next < state.offsets.count ? UInt64(state.offsets[next]) * 8 : state.end)
                return Span(segment: segment, bounds: bounds, firstSequence: sequence, count: count)
            }
            let count = Int(state.segments[low + 1].first.rawValue - sequence.rawValue)
            return Span(segment: segment, bounds: nil, firstSequence: sequence, count: min(limit, count))
        }
    }

    /// Where frame `number` of the span stands on a mirror, and the file.
    func place(_ number: Int, of span: Span, on mirror: LogMirror) throws -> (any File, Range<UInt64>) {
        if let bounds = span.bounds {
            if let active = mirror.active, active.first == span.segment.first {
                return (active.file, bounds[number]..<bounds[number + 1])
            }
        }
        // Sealed, or sealed since the span was made: offsets of the active segment stay good until payloads
        // are dropped.
        let file = try mirror.sealed(span.segment.first)
        let index = span.firstIndex + number
        guard index < file.offsets.count else { throw SegmentFlaw.badTable }
        return (file.file, file.range(of: index))
    }

    /// One frame, from the first mirror that has it good.
    func frameBytes(_ number: Int, of span: Span) throws -> [UInt8] {
        let sequence = SequenceNumber(span.firstSequence.rawValue + UInt64(number))
        var reasons: [String] = []
        for mirror in mirrors() {
            do {
                let (file, range) = try place(number, of: span, on: mirror)
                let bytes = try file.bytes(range.count, at: range.lowerBound)
                let frame = try bytes.withUnsafeBytes { try Frame.decode($0, after: nil) }
                guard frame.sequence == sequence else {
                    throw FrameFlaw.wrongSequence(expected: sequence, found: frame.sequence)
                }
                return bytes
            } catch { reasons.append("volume \(mirror.index): \(error)") }
        }
        throw LogError.damaged(sequence, reasons.joined(separator: "; "))
    }

    /// Calls `body` with each committed frame from `sequence` on, verified, at most `limit` of them.
    func forEachFrame(
        from sequence: SequenceNumber, limit: Int,
        _ body: (Frame, UnsafeRawBufferPointer) throws -> Void
    ) throws {
        var next = sequence
        var left = limit
        while let span = span(from: next, limit: left) {
            var number = 0
            while number < span.count {
                number += try readRun(of: span, from: number, body)
            }
            next = SequenceNumber(next.rawValue + UInt64(span.count))
            left -= span.count
        }
    }

    /// Reads as many frames as fit one read, from one mirror; a frame that is bad there is taken from
    /// another.
    private func readRun(
        of span: Span, from number: Int, _ body: (Frame, UnsafeRawBufferPointer) throws -> Void
    ) throws -> Int {
        guard let mirror = mirrors().first, let (file, first) = try? place(number, of: span, on: mirror)
        else {
            return try readOne(of: span, number, body)
        }
        var ranges = [first]
        while number + ranges.count < span.count,
            let (_, range) = try? place(number + ranges.count, of: span, on: mirror),
            range.upperBound - first.lowerBound <= Self.spanByteCount
        {
            ranges.append(range)
        }
        guard let last = ranges.last,
            let bytes = try? file.bytes(Int(last.upperBound - first.lowerBound), at: first.lowerBound)
        else { return try readOne(of: span, number, body) }
        for (offset, range) in ranges.enumerated() {
            let expected = SequenceNumber(span.firstSequence.rawValue + UInt64(number + offset))
            let start = Int(range.lowerBound - first.lowerBound)
            let end = min(start + range.count, bytes.count)
            let isGood = try bytes.withUnsafeBytes { buffer -> Bool in
                guard start < end, let frame = try? Frame.decode(slice(buffer, start..<end), after: nil),
                    frame.sequence == expected
                else { return false }
                try body(frame, slice(buffer, start..<end))
                return true
            }
            if !isGood { _ = try readOne(of: span, number + offset, body) }
        }
        return ranges.count
    }

    private func readOne(
        of span: Span, _ number: Int, _ body: (Frame, UnsafeRawBufferPointer) throws -> Void
    ) throws -> Int {
        try frameBytes(number, of: span).withUnsafeBytes { bytes in
            try body(try Frame.decode(bytes, after: nil), bytes)
        }
        return 1
    }

    /// Committed events from `sequence` on, at most `limit` of them.
    /// - Throws: ``LogError/damaged(_:_:)`` if no mirror has a good copy of one.
    public func events(from sequence: SequenceNumber, limit: Int) throws -> [LoggedEvent] {
        var events: [LoggedEvent] = []
        try forEachFrame(from: sequence, limit: limit) { frame, bytes in
            events.append(try frame.event(bytes))
        }
        return events
    }

    /// The payload of an event, from the first mirror that has it good.
    public func payload(of sequence: SequenceNumber) throws -> [UInt8] {
        guard let span = span(from: sequence, limit: 1) else {
            throw LogError.damaged(sequence, "the log ends at event \(head.sequence)")
        }
        let bytes = try frameBytes(0, of: span)
        let frame = try bytes.withUnsafeBytes { try Frame(header: $0) }
        guard !frame.isPayloadDropped else { throw LogError.damaged(sequence, "its payload was reclaimed") }
        return Array(bytes[frame.payloadRange])
    }

    /// As ``payload(of:)``, but `nil` if that would wait for a device, or if the first mirror has no good
    /// copy.
    public func payloadIfCached(of sequence: SequenceNumber) -> [UInt8]? {
        guard let span = span(from: sequence, limit: 1) else { return nil }
        let mirrors = mirrors()
        guard !mirrors.isEmpty else { return nil }
        let mirror = mirrors[Int(sequence.rawValue % UInt64(mirrors.count))]
        guard let (file, range) = try? place(0, of: span, on: mirror) else { return nil }
        var bytes = [UInt8](repeating: 0, count: range.count)
        let count = try? bytes.withUnsafeMutableBytes {
            try file.readIfCached(into: $0, at: range.lowerBound)
        }
        guard count == range.count,
            let frame = try? bytes.withUnsafeBytes({ try Frame.decode($0, after: nil) }),
            frame.sequence == sequence, !frame.isPayloadDropped
        else { return nil }
        let payload = frame.payloadRange
        bytes.removeLast(bytes.count - payload.upperBound)
        bytes.removeFirst(payload.lowerBound)
        return bytes
    }
}
