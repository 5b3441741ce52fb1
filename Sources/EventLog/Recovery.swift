import Foundation
import Model
import Volumes

/// What opening the log found and did.
public struct LogRecovery: Sendable {
    /// In words, one line for each thing done.
    public var notes: [String] = []
    /// Frames that were damaged on a mirror, taken from another and rewritten.
    public var repaired: [(mirror: Int, sequence: SequenceNumber, path: String, evidence: String)] = []
    /// Mirrors that do not hold the whole log.
    public var lagging: [Int] = []
    /// Of those, why: where the mirror goes another way, and what is there.
    public var partings: [Parting] = []

    public struct Parting: Sendable {
        public let mirror: Int
        /// The first event that the mirror does not have as the log has it.
        public let sequence: SequenceNumber
        public let kind: Kind
        public let evidence: String

        public enum Kind: Sendable {
            /// Nothing stands there.
            case short
            /// Something stands there, and is damaged.
            case damaged
            /// A whole event stands there, of another log.
            case diverged
        }
    }

    /// Whether the log ends where it does by an operator's word: see ``LogSettings/cutsAfter``.
    public var isCutByWord = false
    /// Mirrors that had events behind the end of the log, which went to quarantine.
    public var cut: [(mirror: Int, sequence: SequenceNumber, path: String)] = []
}

/// How a log is opened (DESIGN, "How a store opens").
///
/// Only the last segment of a mirror can be in question: a segment gets its name when the one before it is
/// sealed and stable. Mirrors are grouped by the last segment they have. In each group the frames are walked
/// from the front, each taken from whichever mirror has it whole and chained; where two mirrors go different
/// ways, both are followed. The group and the way that reach the highest epoch, and in it the highest
/// sequence, are the log. Then each mirror of the group is compared with it: a damaged frame with good ones
/// behind it is rewritten; what follows the last common frame is cut, and kept in quarantine if it was more
/// than a torn write. A mirror that ends early, or belongs to another group, lags: it is brought up to date
/// by ``EventLog/catchUp(_:before:)`` before it takes appends.
enum Recovery {
    /// The last segment of one mirror.
    final class Tail {
        let mirror: LogMirror
        let file: any File
        let header: Segment.Header
        let isSealed: Bool
        let window: Window
        var lastCommon: (end: UInt64, sequence: SequenceNumber)
        var damaged: [(offset: UInt64, frame: [UInt8], sequence: SequenceNumber, flaw: String)] = []
        var pending: [(offset: UInt64, frame: [UInt8], sequence: SequenceNumber, flaw: String)] = []
        private var rest: (offset: UInt64, bytes: [UInt8]?)?

        init(_ mirror: LogMirror, _ segment: SegmentFile, end: UInt64) {
            self.mirror = mirror
            file = segment.file
            header = segment.header
            isSealed = segment.seal != nil
            window = Window(segment.file, end: segment.seal?.tableOffset ?? end)
            lastCommon = (UInt64(Segment.headerByteCount), SequenceNumber(segment.header.first.rawValue - 1))
        }

        /// The bytes from `offset` to the last one that is not zero; `nil` if there is none. Most of a segment is read
        /// for that, so what was read is kept.
        func rest(from offset: UInt64) throws(FileSystemError) -> [UInt8]? {
            if let rest, rest.offset == offset { return rest.bytes }
            let bytes = try Recovery.rest(of: file, from: offset, size: try file.size())
            rest = (offset, bytes)
            return bytes
        }

        /// The frame at `offset`; `nil` if none is there that follows from `position`.
        /// - Parameter wholly: whether its payload must be good.
        func frame(at offset: UInt64, after position: LogPosition, wholly: Bool) throws(LogError) -> Frame? {
            do { return try window.frame(at: offset, after: position, wholly: wholly).frame } catch {
                // Any other flaw is compared with the log, and told, once it is known.
                switch error as? FrameFlaw {
                case .unknownVersion, .unknownFlags:
                    throw .unknownFormat(
                        "volume \(mirror.index): log/\(Segment.name(header.first)) at byte \(offset): \(error)"
                    )
                default: return nil
                }
            }
        }
    }

    /// A moving view of a file.
    final class Window {
        private let file: any File
        private let end: UInt64
        private var start: UInt64 = 0
        private var bytes: [UInt8] = []

        init(_ file: any File, end: UInt64) {
            self.file = file
            self.end = end
        }

        func frame(
            at offset: UInt64, after position: LogPosition, wholly: Bool = true
        ) throws -> (frame: Frame, bytes: [UInt8], isWhole: Bool) {
            guard let head = try view(offset, Frame.headerByteCount) else { throw FrameFlaw.cutOff }
            let header = try head.withUnsafeBytes { try Frame(header: $0) }
            guard let whole = try view(offset, header.byteCount) else { throw FrameFlaw.cutOff }
            return try whole.withUnsafeBytes {
                let frame = try Frame.decodeEvent($0, after: position)
                let isWhole = frame.hasGoodPayload($0)
                guard isWhole || !wholly else { throw FrameFlaw.payloadChecksum }
                return (frame, Array($0), isWhole)
            }
        }

        private func view(_ offset: UInt64, _ count: Int) throws -> ArraySlice<UInt8>? {
            guard offset + UInt64(count) <= end else { return nil }
            if offset < start || offset + UInt64(count) > start + UInt64(bytes.count) {
                let wanted = max(count, 1024 * 1024)
                start = offset
                bytes = try file.bytes(Int(min(UInt64(wanted), end - offset)), at: offset)
            }
            let low = Int(offset - start)
            guard low + count <= bytes.count else { return nil }
            return bytes[low..<low + count]
        }
    }

    /// What a walk over the frames of a segment came to.
    struct Walk {
        var position: LogPosition
        /// See ``LogSettings/provenThrough``.
        var proven = SequenceNumber.zero
        var epoch: UInt64 = 0
        var time = Timestamp(microseconds: 0)
        var offsets: [UInt32] = []
        var end = UInt64(Segment.headerByteCount)
        /// What says that events were acknowledged which no tail has good: the log goes on behind `end`.
        var lost: String?

        func isBetter(than other: Walk) -> Bool {
            (epoch, position.sequence.rawValue) > (other.epoch, other.position.sequence.rawValue)
        }
    }

    /// Follows the frames as far as some tail has them. Where tails part, every way is followed and the best
    /// kept.
    /// - Throws: ``LogError/unknownFormat(_:)`` if a frame is not of the format that is known here: what is
    ///   not understood is not taken for a torn write.
    static func walk(_ tails: [Tail], from start: Walk) throws(LogError) -> Walk {
        var walk = start
        var tails = tails
        while true {
            var ways = try Recovery.ways(tails, from: walk, wholly: true)
            if ways.isEmpty, let evidence = try laterBatch(in: tails, behind: walk) ?? walk.proof {
                // An object's bytes are lost, not what happened after.
                ways = try Recovery.ways(tails, from: walk, wholly: false)
                if ways.isEmpty { walk.lost = evidence }
            }
            guard let way = ways.values.first else { return walk }
            if ways.count > 1, let most = ways.values.first(where: { $0.tails.count >= Limits.writeQuorum }) {
                // A quorum has it, so it was acknowledged: the one that went another way is a copy's.
                walk = advanced(walk, by: most.frame)
                tails = most.tails
                continue
            }
            if ways.count > 1 {
                var results: [Walk] = []
                for way in ways.values {
                    results.append(try Recovery.walk(way.tails, from: advanced(walk, by: way.frame)))
                }
                return results.dropFirst().reduce(results[0]) { $1.isBetter(than: $0) ? $1 : $0 }
            }
            walk = advanced(walk, by: way.frame)
        }
    }

    private static func ways(
        _ tails: [Tail], from walk: Walk, wholly: Bool
    ) throws(LogError) -> [ChainHash: (frame: Frame, tails: [Tail])] {
        var ways: [ChainHash: (frame: Frame, tails: [Tail])] = [:]
        for tail in tails {
            guard let frame = try tail.frame(at: walk.end, after: walk.position, wholly: wholly) else {
                continue
            }
            ways[frame.chain, default: (frame, [])].tails.append(tail)
        }
        return ways
    }

    private static func advanced(_ walk: Walk, by frame: Frame) -> Walk {
        var next = walk
        next.offsets.append(UInt32(walk.end / 8))
        next.end += UInt64(frame.byteCount)
        next.position = LogPosition(sequence: frame.sequence, chain: frame.chain)
        next.epoch = frame.epoch
        next.time = frame.time
        return next
    }
}
