import Model
import Volumes

extension Recovery {
    /// Whether a mirror's log goes on from `position`, or has left the way that leads there: a copy of the store was
    /// opened elsewhere and went a way of its own. What two of three mirrors have was acknowledged, so a single one
    /// that has left it never wins, whatever its epoch.
    ///
    /// A mirror that cannot be read there is not accused: what is damaged is taken from another.
    static func follows(_ mirror: LogMirror, _ position: LogPosition) throws -> Bool {
        guard position.sequence > .zero else { return true }
        guard let first = try mirror.list().filter({ $0 <= position.sequence }).max() else { return true }
        do {
            let segment = try SegmentFile.open(mirror.path(first), fileSystem: mirror.fileSystem)
            let size = try segment.file.size()
            let window = Window(segment.file, end: segment.seal?.tableOffset ?? size)
            var last = LogPosition(
                sequence: SequenceNumber(first.rawValue - 1), chain: segment.header.chain)
            var offset = UInt64(Segment.headerByteCount)
            while last.sequence < position.sequence {
                let frame = try window.frame(at: offset, after: last).frame
                last = LogPosition(sequence: frame.sequence, chain: frame.chain)
                offset += UInt64(frame.byteCount)
            }
            return last.chain == position.chain
        } catch is SegmentFlaw {
            return true
        } catch is FrameFlaw {
            return true
        }
    }
}
