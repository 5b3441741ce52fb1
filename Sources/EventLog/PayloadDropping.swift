import Foundation
import Model
import Synchronization
import Volumes

extension EventLog {
    /// The sealed segment that an event stands in; `nil` for the segment that is appended to.
    public func sealedSegment(of sequence: SequenceNumber) -> (first: SequenceNumber, last: SequenceNumber)? {
        guard let span = span(from: sequence, limit: 1), !isInActiveSegment(sequence) else { return nil }
        let places = state.withLock { $0.segments }
        guard let index = places.firstIndex(where: { $0.first == span.segment.first }),
            index + 1 < places.count
        else { return nil }
        return (places[index].first, SequenceNumber(places[index + 1].first.rawValue - 1))
    }

    /// The segment that each of some events stands in, by its first event: the segment that is appended to, too.
    public func segments(of sequences: [SequenceNumber]) -> [SequenceNumber] {
        state.withLock { state in sequences.map { state.segments[Self.segmentIndex(of: $0, state)].first } }
    }

    /// Whether an event is there without the bytes that it carried: not if it is damaged on every mirror.
    public func isPayloadDropped(_ sequence: SequenceNumber) throws -> Bool {
        var isDropped = false
        do {
            try forEachFrame(from: sequence, limit: 1) { frame, _ in isDropped = frame.lacksPayload }
        } catch let error as LogError {
            guard case .damaged = error else { throw error }
        }
        return isDropped
    }

    /// Drops payloads from whichever sealed segments of a mirror they stand in.
    ///
    /// A segment that is damaged is not written afresh over its damage: that is reported, and mended first, with a
    /// finding. What nobody can mend is copied to quarantine before.
    /// - Throws: ``LogError/damaged(_:_:)`` if some segment waits for a repair; the others are done.
    public func dropPayloads(of sequences: [SequenceNumber], mirror index: Int) throws {
        var segments: [SequenceNumber: Set<SequenceNumber>] = [:]
        for sequence in sequences {
            guard let segment = sealedSegment(of: sequence) else { continue }
            segments[segment.first, default: []].insert(sequence)
        }
        var waiting: LogError?
        for (first, sequences) in segments.sorted(by: { $0.key < $1.key }) {
            do {
                try dropPayloads(of: sequences, inSegment: first, mirror: index)
            } catch let error as LogError {
                guard case .damaged = error else { throw error }
                waiting = error
            }
        }
        if let waiting { throw waiting }
    }

    /// Writes a sealed segment of a mirror afresh without some payloads; all its events stay, and so does the
    /// chain. The new file is complete and synced, and has been read back, before it takes the old one's name.
    /// - Parameter sequences: events of that segment; those whose payloads are gone already count for nothing.
    /// - Throws: ``FileSystemError`` if the new file does not read as it was written: the old one stays.
    private func dropPayloads(
        of sequences: Set<SequenceNumber>, inSegment first: SequenceNumber, mirror index: Int
    ) throws {
        guard let mirror = mirrors().first(where: { $0.index == index }) else {
            throw LogError.broken("volume \(index) is not in service")
        }
        guard let (_, last) = sealedSegment(of: first),
            let place = state.withLock({ $0.segments.first { $0.first == first } })
        else { throw LogError.damaged(first, "no sealed segment begins with it") }
        try keepDamage(of: first, through: last, mirror)
        let count = Int(last.rawValue + 1 - first.rawValue)
        var afresh = SegmentAfresh(
            Segment.Header(storeID: storeID, first: first, chain: place.chain),
            byteCount: settings.segmentByteCount + Segment.Seal.byteCount(of: count))
        try forEachChainedFrame(of: place, limit: count) { frame, raw in
            if sequences.contains(frame.sequence), !frame.isPayloadDropped {
                afresh.append(withoutPayload: frame, raw)
            } else {
                afresh.append(frame, raw)
            }
        }
        guard afresh.last.sequence == last else {
            throw LogError.damaged(afresh.last.sequence.next, "the log ends before it")
        }
        afresh.seal()
        let file = try mirror.writeBeside(afresh)
        defer { file.close() }
        try mirror.takePlace(of: first)
    }

    private func keepDamage(
        of first: SequenceNumber, through last: SequenceNumber, _ mirror: LogMirror
    ) throws {
        let bad = verifyFrames(from: first, through: last, mirror: mirror.index)
        guard !bad.isEmpty else { return }
        var mendable: MirrorFlaw?
        for flaw in bad {
            reportDamage(flaw.sequence, mirror: mirror.index)
            if let span = span(from: flaw.sequence, limit: 1), hasWholeFrame(span) { mendable = flaw }
        }
        if let mendable {
            throw LogError.damaged(
                mendable.sequence,
                "volume \(mirror.index): \(mendable.reason): it is mended before payloads are dropped")
        }
        try mirror.quarantine(
            try mirror.fileSystem.contents(of: mirror.path(first)), as: "log-\(first)", of: first,
            reason:
                "volume \(mirror.index): log/\(Segment.name(first)): damaged on every mirror; payloads dropped"
        )
    }
}
