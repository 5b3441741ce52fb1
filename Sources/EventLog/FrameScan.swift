import Foundation
import Model
import Volumes

/// What one read of a mirror's frames found.
public struct FrameScan: Sendable {
    /// The last event that was read.
    public let through: SequenceNumber
    public let bytes: UInt64
    public let bad: [(sequence: SequenceNumber, reason: String)]
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
        var scan = scan(span, mirror)
        if !scan.bad.isEmpty {
            // The segment may have been written afresh between the look at its table and the read.
            mirror.forgetSealed(span.segment.first)
            scan = self.scan(span, mirror)
        }
        // A mirror that left service meanwhile is brought back whole: nothing it holds now counts.
        return isInService(mirror) ? scan : nil
    }

    private func scan(_ span: Span, _ mirror: LogMirror) -> FrameScan {
        do {
            let place = try place(of: span, on: mirror)
            var ranges = [try place.range(0)]
            while ranges.count < span.count {
                let next = try place.range(ranges.count)
                guard next.upperBound - ranges[0].lowerBound <= Self.spanByteCount else { break }
                ranges.append(next)
            }
            let whole = ranges[0].lowerBound..<ranges[ranges.count - 1].upperBound
            let path = mirror.path(span.segment.first)
            let bytes = try Self.readPastCache(whole, of: path, mirror.fileSystem)
            let bad = bytes.withUnsafeBytes { Self.badFrames($0, ranges, from: span.firstSequence) }
            return FrameScan(
                through: SequenceNumber(span.firstSequence.rawValue + UInt64(ranges.count - 1)),
                bytes: UInt64(whole.count), bad: bad)
        } catch {
            // What cannot be read at all is one finding, and mended as a whole.
            return FrameScan(
                through: SequenceNumber(span.firstSequence.rawValue + UInt64(span.count - 1)), bytes: 0,
                bad: [(span.firstSequence, "\(error)")])
        }
    }

    private static func badFrames(
        _ bytes: UnsafeRawBufferPointer, _ ranges: [Range<UInt64>], from first: SequenceNumber
    ) -> [(sequence: SequenceNumber, reason: String)] {
        var bad: [(sequence: SequenceNumber, reason: String)] = []
        for (offset, range) in ranges.enumerated() {
            let sequence = SequenceNumber(first.rawValue + UInt64(offset))
            let start = min(Int(range.lowerBound - ranges[0].lowerBound), bytes.count)
            let end = min(start + range.count, bytes.count)
            do {
                let frame = try Frame.decode(
                    UnsafeRawBufferPointer(rebasing: bytes[start..<end]), after: nil)
                guard frame.sequence == sequence else {
                    throw FrameFlaw.wrongSequence(expected: sequence, found: frame.sequence)
                }
            } catch { bad.append((sequence, "\(error)")) }
        }
        return bad
    }

    /// A direct read takes whole pages.
    private static func readPastCache(
        _ range: Range<UInt64>, of path: String, _ fileSystem: any FileSystem
    ) throws -> [UInt8] {
        let file = try fileSystem.open(path, .direct, permissions: 0)
        defer { file.close() }
        let page = UInt64(FileSystemAlignment.bytes)
        let start = range.lowerBound / page * page
        let end = (range.upperBound + page - 1) / page * page
        let buffer = AlignedBuffer(capacity: Int(end - start))
        let count = try file.read(into: buffer.bytes, at: start)
        let skipped = min(Int(range.lowerBound - start), count)
        return Array(buffer.bytes[skipped..<min(skipped + range.count, count)])
    }
}
