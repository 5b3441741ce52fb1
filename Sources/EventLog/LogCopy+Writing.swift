import Model
import Volumes

extension LogCopy {
    /// Events that are there without their bytes.
    package struct WithoutBytes: Sendable {
        /// Those whose bytes are damaged.
        package var damaged: Set<SequenceNumber> = []
        /// Those whose bytes were dropped, which is good where nobody needs them.
        package var dropped = EventSet()
    }

    /// Writes the copy's events, up to one, to a mirror of a new store, its last segments first: until the first one is
    /// there no log can be opened, so one that was cut off is not taken for a shorter one.
    /// - Parameter written: told of the bytes that each mirror was given, a segment at a time; may wait before the next.
    /// - Returns: events whose bytes the copy has not got good. They are written as they are: an object's bytes are lost,
    ///   not what happened.
    /// - Throws: ``LogError/damaged(_:_:)`` if the copy has not got some event good.
    @discardableResult
    package func write(
        to mirrors: [LogMirror], through last: SequenceNumber,
        written: (Int) async throws -> Void = { _ in }
    ) async throws -> WithoutBytes {
        var lacking = WithoutBytes()
        let places = try segments(through: last)
        for (index, first) in places.enumerated().reversed() {
            let isLast = index == places.count - 1
            let end = isLast ? last : SequenceNumber(places[index + 1].rawValue - 1)
            let before = try chainHash(at: SequenceNumber(first.rawValue - 1))
            var bytes = Segment.Header(storeID: storeID, first: first, chain: before).encoded()
            var offsets: [UInt32] = []
            try forEachFrame(from: first, through: end) { frame, raw in
                if offsets.isEmpty {
                    _ = try Frame.decodeEvent(
                        raw, after: LogPosition(sequence: SequenceNumber(first.rawValue - 1), chain: before))
                }
                if !frame.hasGoodPayload(raw) { lacking.damaged.insert(frame.sequence) }
                if frame.lacksPayload { lacking.dropped.insert(frame.sequence) }
                offsets.append(UInt32(bytes.count / 8))
                bytes.append(contentsOf: raw.prefix(frame.byteCount))
            }
            if !isLast {
                bytes += Segment.Seal.encode(first: first, offsets: offsets, end: UInt64(bytes.count))
            }
            for mirror in mirrors {
                _ = try mirror.replace(first, with: bytes)
                try await written(bytes.count)
            }
        }
        return lacking
    }
}
