import Foundation
import Model
import Volumes

/// What a mirror's frame is that is not the log's: decided in one place for all who read frames, so that a check, the
/// completion verifier, the scrub and a repair never disagree.
extension EventLog {
    /// - Parameters:
    ///   - found: what stands in the frame's place on the mirror, good in itself or not.
    ///   - frame: the log's.
    /// - Returns: `nil` if it is the same.
    static func judge(
        _ found: Result<Frame, any Error>, against frame: Frame
    ) -> (kind: MirrorFlaw.Kind, reason: String)? {
        switch found {
        case .success(let found):
            if found.sequence != frame.sequence {
                return (.misplaced, "event \(found.sequence) stands in its place")
            }
            if found.chain != frame.chain {
                return (.diverged, "its chain hash is \(found.chain), not \(frame.chain)")
            }
            return nil
        case .failure(let error as SegmentFlaw):
            return (error == .missing ? .segmentMissing : .segmentDamaged, "\(error)")
        case .failure(let error): return (.damaged, "\(error)")
        }
    }

    /// What is wrong with frames that could not be read, or with one that is good in itself and of which the log has no
    /// good copy to compare it with.
    static func flaw(
        _ found: Result<Frame, any Error>, _ sequence: SequenceNumber, _ segment: SegmentPlace,
        _ mirror: LogMirror
    ) -> MirrorFlaw {
        let kind: MirrorFlaw.Kind
        let reason: String
        switch found {
        case .success(let frame) where frame.sequence != sequence:
            (kind, reason) = (.misplaced, "event \(frame.sequence) stands in its place")
        case .success: (kind, reason) = (.diverged, "\(FrameFlaw.brokenChain)")
        case .failure(let error as SegmentFlaw):
            (kind, reason) = (error == .missing ? .segmentMissing : .segmentDamaged, "\(error)")
        case .failure(let error): (kind, reason) = (.damaged, "\(error)")
        }
        return MirrorFlaw(
            mirror: mirror.index, sequence: sequence, path: "log/" + Segment.name(segment.first),
            reason: reason, kind: kind)
    }

    /// The frames in a run of one mirror's bytes that are not the log's.
    ///
    /// A frame is under suspicion that is not good in itself, not the one expected, or does not follow from the one before
    /// it, and then that one is, too: either may be of another history. What it is, the log's own frame says.
    func flaws(
        of bytes: UnsafeRawBufferPointer, _ ranges: [Range<UInt64>], from first: SequenceNumber,
        _ segment: SegmentPlace, _ mirror: LogMirror
    ) -> [MirrorFlaw] {
        var suspects: [(sequence: SequenceNumber, found: Result<Frame, any Error>)] = []
        // Without it the first frame is judged by the second; nothing rests on it alone.
        var before = (try? chainHash(at: SequenceNumber(first.rawValue - 1))).map {
            LogPosition(sequence: SequenceNumber(first.rawValue - 1), chain: $0)
        }
        var previous: (sequence: SequenceNumber, frame: Frame)?
        for (offset, range) in ranges.enumerated() {
            let sequence = SequenceNumber(first.rawValue + UInt64(offset))
            let start = min(Int(range.lowerBound - ranges[0].lowerBound), bytes.count)
            let end = min(start + range.count, bytes.count)
            let frameBytes = slice(bytes, start..<end)
            if let frame = try? Frame.decode(frameBytes, after: before), frame.sequence == sequence {
                before = LogPosition(sequence: sequence, chain: frame.chain)
                previous = (sequence, frame)
                continue
            }
            let found: Result<Frame, any Error> = Result { try Frame.decode(frameBytes, after: nil) }
            if case .success(let frame) = found, frame.sequence == sequence {
                // It does not follow from the one before it.
                if let previous { suspects.append((previous.sequence, .success(previous.frame))) }
                before = LogPosition(sequence: sequence, chain: frame.chain)
            } else {
                before = nil
            }
            suspects.append((sequence, found))
            previous = nil
        }
        return suspects.compactMap { judge($0.found, $0.sequence, segment, mirror) }
    }

    private func judge(
        _ found: Result<Frame, any Error>, _ sequence: SequenceNumber, _ segment: SegmentPlace,
        _ mirror: LogMirror
    ) -> MirrorFlaw? {
        guard let span = span(from: sequence, limit: 1), let good = try? trueFrame(span),
            let frame = try? good.withUnsafeBytes({ try Frame.decodeEvent($0, after: nil) })
        else { return Self.flaw(found, sequence, segment, mirror) }
        return Self.judge(found, against: frame).map {
            MirrorFlaw(
                mirror: mirror.index, sequence: sequence, path: "log/" + Segment.name(segment.first),
                reason: $0.reason, kind: $0.kind)
        }
    }
}
