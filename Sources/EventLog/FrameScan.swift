import Foundation
import Model
import Volumes

/// What one read of a mirror's frames found.
public struct FrameScan: Sendable {
    /// The last event that was read.
    public let through: SequenceNumber
    public let bytes: UInt64
    public let bad: [EventLog.MirrorFlaw]
}

extension EventLog {
    /// Reads as many committed frames as fit one read from a mirror, past the page cache where the file system
    /// can: the device is asked, and what readers have in memory stays there.
    /// - Returns: `nil` if the mirror is not in service, or there is no such event.
    public func scanFrames(
        from first: SequenceNumber, through last: SequenceNumber, mirror index: Int
    ) -> FrameScan? {
        guard first <= last, let mirror = mirrors().first(where: { $0.index == index }),
            let span = span(from: first, limit: Int(last.rawValue - first.rawValue + 1))
        else { return nil }
        var scan = mirror.steadily(isGood: \.bad.isEmpty) { self.scan(span, mirror) }
        if !scan.bad.isEmpty {
            // By its name, as the next opening finds it: who else may have replaced the file is judged by what is there.
            mirror.forgetSealed(span.segment.first)
            scan = mirror.steadily(isGood: \.bad.isEmpty) { self.scan(span, mirror) }
        }
        // A mirror that left service meanwhile is brought back whole: nothing it holds now counts.
        return isInService(mirror) ? scan : nil
    }

    private func scan(_ span: Span, _ mirror: LogMirror) -> FrameScan {
        do {
            let ranges = try place(of: span, on: mirror).run(from: 0, count: span.count)
            let whole = ranges[0].lowerBound..<ranges[ranges.count - 1].upperBound
            let path = mirror.path(span.segment.first)
            let bytes = try Self.readPastCache(whole, of: path, mirror.fileSystem)
            let bad = bytes.withUnsafeBytes {
                flaws(of: $0, ranges, from: span.firstSequence, span.segment, mirror)
            }
            return FrameScan(
                through: SequenceNumber(span.firstSequence.rawValue + UInt64(ranges.count - 1)),
                bytes: UInt64(whole.count), bad: bad)
        } catch {
            // What cannot be read at all is one finding, and mended as a whole.
            return FrameScan(
                through: SequenceNumber(span.firstSequence.rawValue + UInt64(span.count - 1)), bytes: 0,
                bad: [Self.flaw(.failure(error), span.firstSequence, span.segment, mirror)])
        }
    }

    static func readPastCache(
        _ range: Range<UInt64>, of path: String, _ fileSystem: any FileSystem
    ) throws -> [UInt8] {
        let buffer = FrameBuffer()
        return try withExtendedLifetime(buffer) {
            Array(try buffer.readPastCache(range, of: path, fileSystem))
        }
    }
}
