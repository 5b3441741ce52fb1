import Foundation
import Model
import Synchronization
import Volumes

extension EventLog {
    /// Puts good frames in place of a mirror's damaged ones, from the other mirrors.
    ///
    /// A sealed segment is written afresh beside the damaged one, which goes to quarantine. In the active
    /// segment the one frame is written over: call on the commit thread then, with nothing staged.
    /// - Returns: where the damaged bytes were put, relative to the volume; empty if there were none.
    /// - Throws: ``LogError/damaged(_:_:)`` if no mirror has the frame good.
    public func repair(_ sequence: SequenceNumber, mirror index: Int) throws -> String {
        guard let mirror = mirrors().first(where: { $0.index == index }) else {
            throw LogError.broken("volume \(index) is not in service")
        }
        guard let span = span(from: sequence, limit: 1) else {
            throw LogError.damaged(sequence, "the log ends at event \(head.sequence)")
        }
        let first = span.segment.first
        if isActive(first) { return try patch(sequence, span, mirror) }
        let name = "log-\(first)"
        let reason = "volume \(index): log/\(Segment.name(first)): damaged; written afresh"
        var kept = ""
        if let damaged = try contents(mirror.path(first), mirror.fileSystem) {
            kept = try mirror.quarantine(damaged, as: name, of: first, reason: reason)
        }
        let (place, last) = try extent(of: first)
        _ = try rewrite(mirror, place, last: last, isActive: false)
        return kept
    }

    /// Whether an event stands in the segment that is appended to.
    public func isInActiveSegment(_ sequence: SequenceNumber) -> Bool { sequence >= activeFirst }

    private func isActive(_ first: SequenceNumber) -> Bool { first == activeFirst }

    private func contents(_ path: String, _ fileSystem: any FileSystem) throws -> [UInt8]? {
        guard try fileSystem.status(of: path) != nil else { return nil }
        return try fileSystem.contents(of: path)
    }

    private func extent(of first: SequenceNumber) throws -> (SegmentPlace, last: SequenceNumber) {
        let places = state.withLock { $0.segments }
        guard let index = places.firstIndex(where: { $0.first == first }), index + 1 < places.count else {
            throw LogError.damaged(first, "no sealed segment begins with it")
        }
        return (places[index], SequenceNumber(places[index + 1].first.rawValue - 1))
    }

    private func patch(_ sequence: SequenceNumber, _ span: Span, _ mirror: LogMirror) throws -> String {
        guard let active = mirror.active, let bounds = span.bounds else {
            throw LogError.damaged(sequence, "its segment was sealed meanwhile; check again")
        }
        let range = bounds[0]..<bounds[1]
        let name = "log-\(span.segment.first)-event-\(sequence)"
        let damaged = try active.file.bytes(Int(range.upperBound - range.lowerBound), at: range.lowerBound)
        let kept = try mirror.quarantine(
            damaged, as: name, of: span.segment.first,
            reason:
                "volume \(mirror.index): log/\(Segment.name(span.segment.first)) from byte \(range.lowerBound): damaged; written over"
        )
        let good = try trueFrame(span)
        try active.file.write(good, at: range.lowerBound)
        try active.file.sync()
        return kept
    }
}
