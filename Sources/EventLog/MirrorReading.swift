import Foundation
import Model
import Volumes

extension EventLog {
    /// Re-reads committed frames from one mirror, payloads included, and checks each against its checksums.
    /// - Returns: the events whose frames are not good there, with the reason; none if the mirror is not in
    ///   service.
    public func verifyFrames(
        from first: SequenceNumber, through last: SequenceNumber, mirror index: Int
    ) -> [(sequence: SequenceNumber, reason: String)] {
        guard let mirror = mirrors().first(where: { $0.index == index }) else { return [] }
        var bad: [(sequence: SequenceNumber, reason: String)] = []
        var next = first
        while next <= last, let span = span(from: next, limit: Int(last.rawValue - next.rawValue + 1)) {
            for number in 0..<span.count {
                let sequence = SequenceNumber(next.rawValue + UInt64(number))
                do {
                    let (file, range) = try place(number, of: span, on: mirror)
                    let bytes = try file.bytes(range.count, at: range.lowerBound)
                    let frame = try bytes.withUnsafeBytes { try Frame.decode($0, after: nil) }
                    guard frame.sequence == sequence else {
                        throw FrameFlaw.wrongSequence(expected: sequence, found: frame.sequence)
                    }
                } catch {
                    // A mirror that left service meanwhile is brought back whole: nothing it holds now
                    // counts.
                    guard inService.contains(index) else { return [] }
                    bad.append((sequence, "\(error)"))
                }
            }
            next = SequenceNumber(next.rawValue + UInt64(span.count))
        }
        return bad
    }
}
