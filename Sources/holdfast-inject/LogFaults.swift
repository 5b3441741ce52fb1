import EventLog
import Foundation
import Model
import Volumes

/// Damage to one mirror of the log.
struct LogFaults {
    let store: TestStore
    let map: StoreMap
    var random: Seeded

    /// - Parameter sequence: the event that is meant.
    mutating func plant(_ fault: FaultClass, _ sequence: SequenceNumber, _ volume: Int) throws -> [Planted] {
        switch fault {
        case .segmentLost, .segmentHeader: return try [segment(fault, volume)]
        case .mirrorShort, .mirrorLong: return try [tail(fault, volume)]
        case .frameSwapped: return try exchange(sequence, volume)
        default: return try [damage(fault, try map.frame(sequence, volume), volume)]
        }
    }

    private func planted(
        _ fault: FaultClass, _ volume: Int, _ frame: PlacedFrame, at offset: UInt64,
        _ digests: (before: String, after: String), _ what: String
    ) -> Planted {
        var made = Planted(fault, volume: volume, path: frame.path, what)
        made.sequence = frame.frame.sequence.rawValue
        made.offset = offset
        (made.before, made.after) = digests
        return made
    }

    private mutating func damage(_ fault: FaultClass, _ frame: PlacedFrame, _ volume: Int) throws -> Planted {
        let body = frame.offset + UInt64(Frame.headerByteCount)
        let payload = frame.offset + UInt64(frame.frame.payloadRange.lowerBound)
        let range: Range<UInt64>
        switch fault {
        case .frameHeader: range = frame.offset + 8..<frame.offset + 84
        case .frameBody: range = body..<body + UInt64(frame.frame.bodyByteCount)
        case .framePayload:
            range = payload..<payload + UInt64(frame.frame.payloadRange.count)
            guard !range.isEmpty else {
                throw Refusal.notApplicable("event \(frame.frame.sequence) carries no bytes")
            }
        case .frameMissing:
            let zeros = [UInt8](repeating: 0, count: frame.frame.byteCount)
            let digests = try store.change(volume, frame.path, at: frame.offset, to: zeros)
            return planted(
                fault, volume, frame, at: frame.offset, digests, "event \(frame.frame.sequence) zeroed")
        case .frameForked: return try fork(frame, volume)
        default: preconditionFailure("\(fault) is no damage of a frame")
        }
        let offset = UInt64.random(in: range, using: &random)
        let bit = UInt8.random(in: 0..<8, using: &random)
        let digests = try store.flip(volume, frame.path, at: offset, bit: bit)
        return planted(
            fault, volume, frame, at: offset, digests,
            "bit \(bit) of byte \(offset), in event \(frame.frame.sequence), flipped")
    }

    private func bytes(of frame: PlacedFrame, _ volume: Int) throws -> [UInt8] {
        let file = try store.fileSystem.open(store.path(volume, frame.path), [], permissions: 0)
        defer { file.close() }
        return try file.bytes(frame.frame.byteCount, at: frame.offset)
    }

    /// A frame that is whole in itself, with another chain hash: of another history.
    private func forged(
        _ frame: PlacedFrame, _ volume: Int, sequence: SequenceNumber
    ) throws -> [UInt8] {
        let old = try bytes(of: frame, volume)
        let body = Array(old[Frame.headerByteCount..<Frame.headerByteCount + frame.frame.bodyByteCount])
        var forged: [UInt8] = []
        let elsewhere = ChainHash([UInt8](repeating: 0x5A, count: 32))
        _ = Frame.append(
            to: &forged, sequence: sequence, epoch: frame.frame.epoch, time: frame.frame.time,
            after: elsewhere, body: body, payload: Array(old[frame.frame.payloadRange]))
        return forged
    }

    private func fork(_ frame: PlacedFrame, _ volume: Int) throws -> Planted {
        let forged = try forged(frame, volume, sequence: frame.frame.sequence)
        let digests = try store.change(volume, frame.path, at: frame.offset, to: forged)
        return planted(
            .frameForked, volume, frame, at: frame.offset, digests,
            "event \(frame.frame.sequence) of another history in its place")
    }

    /// Exchanges two events that follow each other and take as many bytes: the pair nearest to the one meant.
    private func exchange(_ sequence: SequenceNumber, _ volume: Int) throws -> [Planted] {
        let frames = map.mirrors[volume] ?? [:]
        let pair = frames.values.sorted {
            distance($0.frame.sequence, sequence) < distance($1.frame.sequence, sequence)
        }.lazy.compactMap { left -> (PlacedFrame, PlacedFrame)? in
            guard let right = frames[left.frame.sequence.next], right.path == left.path,
                right.frame.byteCount == left.frame.byteCount
            else { return nil }
            return (left, right)
        }.first
        guard let (left, right) = pair else {
            throw Refusal.notApplicable("no two events side by side take as many bytes")
        }
        let bytes = (try bytes(of: left, volume), try bytes(of: right, volume))
        let first = try store.change(volume, left.path, at: left.offset, to: bytes.1)
        let second = try store.change(volume, right.path, at: right.offset, to: bytes.0)
        return [
            planted(
                .frameSwapped, volume, left, at: left.offset, first,
                "event \(right.frame.sequence) where event \(left.frame.sequence) belongs"),
            planted(
                .frameSwapped, volume, right, at: right.offset, second,
                "event \(left.frame.sequence) where event \(right.frame.sequence) belongs"),
        ]
    }

    private func distance(_ a: SequenceNumber, _ b: SequenceNumber) -> UInt64 {
        max(a.rawValue, b.rawValue) - min(a.rawValue, b.rawValue)
    }

    /// The first segment, once it is sealed.
    private mutating func segment(_ fault: FaultClass, _ volume: Int) throws -> Planted {
        let names = try store.fileSystem.list(store.path(volume, "log")).filter { $0.hasSuffix(".log") }
        guard names.count > 1 else { throw Refusal.notApplicable("no segment of the log is sealed") }
        let path = "log/" + names[0]
        var made: Planted
        if fault == .segmentLost {
            let before = digest(try store.read(volume, path))
            try store.fileSystem.remove(store.path(volume, path))
            made = Planted(fault, volume: volume, path: path, "removed")
            made.before = before
        } else {
            let offset = UInt64.random(in: 16..<72, using: &random)
            let digests = try store.flip(volume, path, at: offset, bit: 3)
            made = Planted(fault, volume: volume, path: path, "bit 3 of byte \(offset) flipped")
            made.offset = offset
            (made.before, made.after) = digests
        }
        made.sequence = 1
        return made
    }

    /// Takes the last event from a mirror, or adds one of another history behind it.
    private func tail(_ fault: FaultClass, _ volume: Int) throws -> Planted {
        guard let last = map.mirrors[volume]?.values.max(by: { $0.frame.sequence < $1.frame.sequence }) else {
            throw Refusal.notApplicable("volume \(volume) has no good event")
        }
        if fault == .mirrorShort {
            let zeros = [UInt8](repeating: 0, count: last.frame.byteCount)
            let digests = try store.change(volume, last.path, at: last.offset, to: zeros)
            return planted(
                fault, volume, last, at: last.offset, digests,
                "event \(last.frame.sequence), the last, taken away")
        }
        let more = try forged(last, volume, sequence: last.frame.sequence.next)
        let digests = try store.change(volume, last.path, at: last.range.upperBound, to: more)
        return planted(
            fault, volume, last, at: last.range.upperBound, digests,
            "an event \(last.frame.sequence.next) of another history added")
    }
}
