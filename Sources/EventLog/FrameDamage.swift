import Model
import Synchronization

/// Hears of each frame that a read of a payload met damaged on a mirror, and read from another.
final class FrameDamageListener: Sendable {
    private let body = Mutex<(@Sendable (SequenceNumber, Int) -> Void)?>(nil)

    func set(_ body: @escaping @Sendable (SequenceNumber, Int) -> Void) { self.body.withLock { $0 = body } }

    func report(_ sequence: SequenceNumber, mirror index: Int) {
        body.withLock { $0 }?(sequence, index)
    }
}

extension EventLog {
    /// Calls `body` with each event whose frame a read met damaged, and on which mirror. It only notes it: it is
    /// called on the thread that reads.
    public func onDamagedFrame(_ body: @escaping @Sendable (SequenceNumber, Int) -> Void) {
        damage.set(body)
    }

    /// Says of a frame that whoever read it found it damaged on a mirror.
    public func reportDamage(_ sequence: SequenceNumber, mirror index: Int) {
        damage.report(sequence, mirror: index)
    }

    /// The file of the segment that an event stands in, relative to the volume.
    public func segmentPath(of sequence: SequenceNumber) -> String {
        span(from: sequence, limit: 1).map { "log/" + Segment.name($0.segment.first) } ?? "log"
    }

    /// The events that stand in one segment with this one.
    public func segmentEvents(of sequence: SequenceNumber) -> ClosedRange<SequenceNumber>? {
        guard let span = span(from: sequence, limit: .max) else { return nil }
        return span.segment.first...SequenceNumber(sequence.rawValue + UInt64(span.count) - 1)
    }

    /// The mirror in service, other than this one, that has the event good and that a repair takes it from.
    public func goodMirror(of sequence: SequenceNumber, besides index: Int) -> Int? {
        mirrors().map(\.index).first { other in
            other != index && verifyFrames(from: sequence, through: sequence, mirror: other).isEmpty
        }
    }
}
