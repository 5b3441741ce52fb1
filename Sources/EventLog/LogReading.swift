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
            let low = Self.segmentIndex(of: sequence, state)
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

    /// Where the frames of a span stand on one mirror.
    struct SpanPlace {
        let file: any File
        private let bounds: [UInt64]?
        private let sealed: SegmentFile?
        private let firstIndex: Int

        init(active file: any File, bounds: [UInt64]) {
            (self.file, self.bounds, sealed, firstIndex) = (file, bounds, nil, 0)
        }

        init(sealed segment: SegmentFile, firstIndex: Int) {
            (file, bounds, sealed, self.firstIndex) = (segment.file, nil, segment, firstIndex)
        }

        /// The bytes that frame `number` of the span takes.
        func range(_ number: Int) throws -> Range<UInt64> {
            if let bounds { return bounds[number]..<bounds[number + 1] }
            guard let sealed, firstIndex + number < sealed.offsets.count else { throw SegmentFlaw.badTable }
            return sealed.range(of: firstIndex + number)
        }

        /// As many frames from `number` on as fit one read: where each stands in the file, and the bytes, which
        /// a file that was cut makes fewer than the ranges say.
        func read(from number: Int, count: Int) throws -> (ranges: [Range<UInt64>], bytes: [UInt8]) {
            let ranges = try run(from: number, count: count)
            let start = ranges[0].lowerBound
            return (ranges, try file.bytes(Int(ranges[ranges.count - 1].upperBound - start), at: start))
        }

        /// The ranges of as many frames as fit one read.
        func run(from number: Int, count: Int) throws -> [Range<UInt64>] {
            var ranges = [try range(number)]
            while number + ranges.count < count {
                let next = try range(number + ranges.count)
                guard next.upperBound - ranges[0].lowerBound <= EventLog.spanByteCount else { break }
                ranges.append(next)
            }
            return ranges
        }
    }

    func place(of span: Span, on mirror: LogMirror) throws -> SpanPlace {
        if let bounds = span.bounds, let active = mirror.active, active.first == span.segment.first {
            return SpanPlace(active: active.file, bounds: bounds)
        }
        // Sealed, or sealed since the span was made.
        return SpanPlace(sealed: try mirror.sealed(span.segment.first), firstIndex: span.firstIndex)
    }

    /// A frame whose event is good.
    struct ReadFrame {
        let bytes: [UInt8]
        let frame: Frame
        /// Whether the payload is good too.
        let isWhole: Bool
    }

    /// The frame in `range` of a file, its event good in itself and the one expected there.
    func readFrame(
        _ sequence: SequenceNumber, in place: SpanPlace, _ range: Range<UInt64>
    ) throws -> ReadFrame {
        let bytes = try place.file.bytes(range.count, at: range.lowerBound)
        return try bytes.withUnsafeBytes { buffer in
            let frame = try Frame.decodeEvent(buffer, after: nil)
            guard frame.sequence == sequence else {
                throw FrameFlaw.wrongSequence(expected: sequence, found: frame.sequence)
            }
            return ReadFrame(bytes: bytes, frame: frame, isWhole: frame.hasGoodPayload(buffer))
        }
    }

    /// One frame, from the first mirror that has it whole.
    /// - Parameters:
    ///   - wholly: whether the payload is wanted. Else an event whose payload no mirror has good any more does: the
    ///     loss of an object's bytes keeps nobody from reading what happened.
    ///   - damaged: told of each mirror that does not have it whole, up to the one that has.
    func frameBytes(
        _ number: Int, of span: Span, wholly: Bool = false, damaged: (_ mirror: Int) -> Void = { _ in }
    ) throws -> [UInt8] {
        let sequence = SequenceNumber(span.firstSequence.rawValue + UInt64(number))
        var reasons: [String] = []
        var event: [UInt8]?
        for mirror in mirrors() {
            do {
                let place = try place(of: span, on: mirror)
                let found = try readFrame(sequence, in: place, try place.range(number))
                if found.isWhole { return found.bytes }
                event = event ?? found.bytes
                throw FrameFlaw.payloadChecksum
            } catch {
                reasons.append("volume \(mirror.index): \(error)")
                damaged(mirror.index)
            }
        }
        do { return try witnessed(sequence, of: span, reasons) } catch {
            guard !wholly, let event else { throw error }
            return event
        }
    }

    /// Calls `body` with each committed frame from `sequence` on, verified, at most `limit` of them. A payload that no
    /// mirror has good comes as it is: ``Frame/hasGoodPayload(_:)``.
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
        // Whatever is wrong with this mirror, one frame at a time finds it out and tells.
        guard let mirror = mirrors().first, let place = try? place(of: span, on: mirror),
            let (ranges, bytes) = try? place.read(from: number, count: span.count)
        else { return try readOne(of: span, number, body) }
        for (offset, range) in ranges.enumerated() {
            let expected = SequenceNumber(span.firstSequence.rawValue + UInt64(number + offset))
            let start = Int(range.lowerBound - ranges[0].lowerBound)
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
            try body(try Frame.decodeEvent(bytes, after: nil), bytes)
        }
        return 1
    }

    /// Committed events from `sequence` on, at most `limit` of them.
    /// - Throws: ``LogError/damaged(_:_:)`` if no mirror has a good copy of one.
    public func events(from sequence: SequenceNumber, limit: Int) throws -> [LoggedEvent] {
        let (events, damage) = try eventsBeforeDamage(from: sequence, limit: limit)
        if let damage { throw LogError.damaged(damage.sequence, damage.reason) }
        return events
    }

    /// As ``events(from:limit:)``, up to the first that no mirror has good, if there is one, and why that cannot be read.
    public func eventsBeforeDamage(
        from sequence: SequenceNumber, limit: Int
    ) throws -> (events: [LoggedEvent], damage: (sequence: SequenceNumber, reason: String)?) {
        var events: [LoggedEvent] = []
        do {
            try forEachFrame(from: sequence, limit: limit) { frame, bytes in
                events.append(try frame.event(bytes))
            }
        } catch LogError.damaged(let sequence, let reason) { return (events, (sequence, reason)) }
        return (events, nil)
    }

    /// The first event in a run that no mirror has good with the bytes it carries.
    public func firstIncompleteFrame(
        from first: SequenceNumber, through last: SequenceNumber
    ) -> SequenceNumber? {
        guard first <= last else { return nil }
        var next = first
        var found: SequenceNumber?
        do {
            try forEachFrame(from: first, limit: Int(last.rawValue - first.rawValue + 1)) { frame, bytes in
                next = frame.sequence.next
                if found == nil, !frame.hasGoodPayload(bytes) {
                    found = frame.sequence
                    throw LogError.damaged(frame.sequence, "no mirror has its payload good")
                }
            }
        } catch {
            // Whatever it is, the event behind the last that was read cannot be.
            return found ?? next
        }
        return nil
    }

    /// The payload of an event, from the first mirror that has it good.
    public func payload(of sequence: SequenceNumber) throws -> [UInt8] {
        guard let span = span(from: sequence, limit: 1) else {
            throw LogError.damaged(sequence, "the log ends at event \(head.sequence)")
        }
        let bytes = try frameBytes(0, of: span, wholly: true) { damage.report(sequence, mirror: $0) }
        let frame = try bytes.withUnsafeBytes { try Frame(header: $0) }
        guard !frame.isPayloadDropped else { throw LogError.damaged(sequence, "its payload was reclaimed") }
        return Array(bytes[frame.payloadRange])
    }

    /// The payload of an event as one mirror in service has it.
    public func payload(of sequence: SequenceNumber, mirror index: Int) throws -> [UInt8] {
        guard let mirror = mirrors().first(where: { $0.index == index }),
            let span = span(from: sequence, limit: 1)
        else { throw LogError.damaged(sequence, "volume \(index) is not in service") }
        let place = try place(of: span, on: mirror)
        let found = try readFrame(sequence, in: place, try place.range(0))
        guard found.isWhole else { throw FrameFlaw.payloadChecksum }
        guard !found.frame.isPayloadDropped else {
            throw LogError.damaged(sequence, "its payload was reclaimed")
        }
        return Array(found.bytes[found.frame.payloadRange])
    }

    /// As ``payload(of:)``, but `nil` if that would wait for a device, or if the mirror asked has no good
    /// copy. The mirrors take turns.
    public func payloadIfCached(of sequence: SequenceNumber) -> [UInt8]? {
        guard let (place, range, mirror) = try? framePlace(of: sequence) else { return nil }
        var isCached = false
        var bytes = [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
            let room = UnsafeMutableRawBufferPointer(buffer)
            guard let read = try? place.readIfCached(into: room, at: range.lowerBound) else { return }
            count = read
            isCached = read == range.count
        }
        guard isCached else { return nil }
        guard let frame = try? bytes.withUnsafeBytes({ try Frame.decode($0, after: nil) }),
            frame.sequence == sequence
        else {
            damage.report(sequence, mirror: mirror)
            return nil
        }
        guard !frame.isPayloadDropped else { return nil }
        let payload = frame.payloadRange
        bytes.removeLast(bytes.count - payload.upperBound)
        bytes.removeFirst(payload.lowerBound)
        return bytes
    }

    /// Where one committed frame stands on the mirror whose turn it is; `nil` past the head.
    private func framePlace(
        of sequence: SequenceNumber
    ) throws -> (any File, Range<UInt64>, mirror: Int)? {
        let found = state.withBriefLock {
            state -> (LogMirror, first: SequenceNumber, active: Range<UInt64>?)? in
            guard sequence.rawValue > 0, sequence <= state.head.sequence,
                let mirror = Self.mirror(for: sequence, state)
            else { return nil }
            let segment = Self.segmentIndex(of: sequence, state)
            let first = state.segments[segment].first
            guard segment == state.segments.count - 1 else { return (mirror, first, nil) }
            let index = Int(sequence.rawValue - first.rawValue)
            let end = index + 1 < state.offsets.count ? UInt64(state.offsets[index + 1]) * 8 : state.end
            return (mirror, first, UInt64(state.offsets[index]) * 8..<end)
        }
        guard let (mirror, first, range) = found else { return nil }
        if let range, let active = mirror.active, active.first == first {
            return (active.file, range, mirror.index)
        }
        let segment = try mirror.sealed(first)
        let index = Int(sequence.rawValue - first.rawValue)
        guard index < segment.offsets.count else { throw SegmentFlaw.badTable }
        return (segment.file, segment.range(of: index), mirror.index)
    }

    private static func mirror(for sequence: SequenceNumber, _ state: State) -> LogMirror? {
        for turn in 0..<UInt64(Limits.volumeCount) {
            let index = Int((sequence.rawValue + turn) % UInt64(Limits.volumeCount)) + 1
            if let mirror = state.mirrors[index] { return mirror }
        }
        return nil
    }

    static func segmentIndex(of sequence: SequenceNumber, _ state: State) -> Int {
        var low = 0
        var high = state.segments.count
        while high - low > 1 {
            let middle = (low + high) / 2
            if state.segments[middle].first <= sequence { low = middle } else { high = middle }
        }
        return low
    }
}

extension Mutex {
    /// For a section that every read passes and that takes less than a hundred nanoseconds. A thread that goes to
    /// sleep for such a lock pays the kernel ten times that, and so does the one that wakes it: they end up
    /// handing the lock over through the kernel at every turn. So it is tried a few times first.
    fileprivate func withBriefLock<Result>(_ body: (inout sending Value) throws -> sending Result) rethrows
        -> sending Result
    {
        for _ in 0..<32 {
            if let result = try withLockIfAvailable(body) { return result }
        }
        return try withLock(body)
    }
}
