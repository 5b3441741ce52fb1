import Foundation
import Model
import Synchronization
import Volumes

extension EventLog {
    /// Begins the log of a new store on every mirror.
    public static func create(storeID: StoreID, mirrors: [LogMirror], settings: LogSettings) throws(LogError)
    {
        let header = Segment.Header(storeID: storeID, first: SequenceNumber(1), chain: .genesis)
        for mirror in mirrors {
            do {
                try mirror.begin(header, segmentByteCount: UInt64(settings.segmentByteCount), with: [])
            } catch { throw .fileSystem(error) }
            mirror.closeFiles()
        }
    }

    /// Finds out what the log is and makes the mirrors that hold all of it agree to the byte. Mirrors that
    /// lag are left as they are.
    /// - Throws: ``LogError/tooFewMirrors(present:)`` with fewer than two mirrors that have a log.
    public static func open(
        storeID: StoreID, mirrors: [LogMirror], settings: LogSettings,
        clock: @escaping @Sendable () -> Timestamp
    ) throws -> (EventLog, LogRecovery) {
        var recovery = LogRecovery()
        let tails = try mirrors.compactMap {
            try findTail($0, storeID: storeID, settings: settings, &recovery)
        }
        guard tails.count >= Limits.writeQuorum else {
            throw LogError.tooFewMirrors(present: tails.map(\.mirror.index))
        }
        let (group, walk) = choose(tails)
        try Recovery.compare(group, with: walk)
        var inService: [Int: LogMirror] = [:]
        for tail in group where tail.lastCommon.sequence == walk.position.sequence {
            try settle(tail, walk, settings: settings, &recovery)
            inService[tail.mirror.index] = tail.mirror
        }
        for mirror in mirrors where inService[mirror.index] == nil {
            recovery.lagging.append(mirror.index)
            recovery.notes.append(
                "volume \(mirror.index): its log does not reach event \(walk.position.sequence)")
        }
        precondition(!inService.isEmpty, "the last frame of the log was read from some mirror")
        let places = try segmentPlaces(inService.values.sorted { $0.index < $1.index }, last: group[0].header)
        let state = State(
            mirrors: inService, head: walk.position, lastEpoch: walk.epoch, lastTime: walk.time,
            segments: places, offsets: walk.offsets, end: walk.end, broken: nil)
        return (EventLog(storeID: storeID, settings: settings, clock: clock, state: state), recovery)
    }

    /// The last segment of a mirror that can be read as one; `nil` for a mirror without a log.
    private static func findTail(
        _ mirror: LogMirror, storeID: StoreID, settings: LogSettings, _ recovery: inout LogRecovery
    ) throws -> Recovery.Tail? {
        // Files being made ready or copied when the process ended are no part of the log.
        for name in [Segment.nextName, "copy"] {
            let path = mirror.directory + "/" + name
            if try mirror.fileSystem.status(of: path) != nil { try mirror.fileSystem.remove(path) }
        }
        for first in try mirror.list().reversed() {
            do {
                let segment = try SegmentFile.open(
                    mirror.path(first), fileSystem: mirror.fileSystem, options: .write)
                guard segment.header.storeID == storeID else {
                    throw LogError.foreignStore(
                        mirror: mirror.index, found: segment.header.storeID, expected: storeID)
                }
                return Recovery.Tail(mirror, segment, end: try segment.file.size())
            } catch let flaw as SegmentFlaw {
                recovery.notes.append("volume \(mirror.index): log/\(Segment.name(first)): \(flaw)")
            }
        }
        return nil
    }

    private static func choose(_ tails: [Recovery.Tail]) -> ([Recovery.Tail], Recovery.Walk) {
        var groups: [[Recovery.Tail]] = []
        for tail in tails {
            if let index = groups.firstIndex(where: { $0[0].header == tail.header }) {
                groups[index].append(tail)
            } else {
                groups.append([tail])
            }
        }
        let walked = groups.map { group -> ([Recovery.Tail], Recovery.Walk) in
            let header = group[0].header
            let before = LogPosition(
                sequence: SequenceNumber(header.first.rawValue - 1), chain: header.chain)
            return (group, Recovery.walk(group, from: Recovery.Walk(position: before)))
        }
        return walked.dropFirst().reduce(walked[0]) { $1.1.isBetter(than: $0.1) ? $1 : $0 }
    }

    /// Makes a mirror that reaches the end of the log equal to it: damaged frames rewritten, what follows the
    /// end cut.
    private static func settle(
        _ tail: Recovery.Tail, _ walk: Recovery.Walk, settings: LogSettings, _ recovery: inout LogRecovery
    ) throws {
        let mirror = tail.mirror
        let name = Segment.name(tail.header.first)
        for damage in tail.damaged {
            try tail.file.write(damage.frame, at: damage.offset)
            recovery.repaired.append((mirror.index, damage.sequence, "log/\(name)", damage.flaw))
        }
        let size = try tail.file.size()
        let rest = try Recovery.rest(of: tail.file, from: walk.end, size: size)
        if let rest {
            let isFrame = rest.withUnsafeBytes { (try? Frame(header: $0)) != nil }
            if isFrame {
                try mirror.quarantine(
                    rest, as: "log-\(tail.header.first)-tail-\(walk.end)",
                    reason:
                        "volume \(mirror.index): log/\(name) from byte \(walk.end): events that are no part of the log"
                )
            }
            recovery.notes.append(
                "volume \(mirror.index): \(isFrame ? "events that no quorum has" : "a torn write") after event \(walk.position.sequence) cut off"
            )
        }
        let wanted = max(UInt64(settings.segmentByteCount), walk.end)
        if rest != nil || size < wanted {
            try tail.file.truncate(to: walk.end)
            try Recovery.zero(tail.file, from: walk.end, to: wanted)
        }
        // What the process that ended wrote may still be in memory only.
        try tail.file.sync()
        mirror.setActive(.init(first: tail.header.first, file: tail.file, end: walk.end))
    }

    private static func segmentPlaces(
        _ mirrors: [LogMirror], last: Segment.Header
    ) throws -> [SegmentPlace] {
        var firsts = Set<SequenceNumber>()
        for mirror in mirrors { firsts.formUnion(try mirror.list().filter { $0 < last.first }) }
        var places: [SegmentPlace] = []
        for first in firsts.sorted() {
            var reasons: [String] = []
            let header = mirrors.lazy.compactMap { mirror -> Segment.Header? in
                do {
                    let segment = try SegmentFile.open(mirror.path(first), fileSystem: mirror.fileSystem)
                    return segment.header.first == first ? segment.header : nil
                } catch {
                    reasons.append("volume \(mirror.index): \(error)")
                    return nil
                }
            }.first
            guard let header else {
                throw LogError.damaged(
                    first, "segment \(Segment.name(first)): \(reasons.joined(separator: "; "))")
            }
            places.append(SegmentPlace(first: first, chain: header.chain))
        }
        places.append(SegmentPlace(first: last.first, chain: last.chain))
        guard places[0].first == SequenceNumber(1) else {
            throw LogError.damaged(SequenceNumber(1), "the log begins with event \(places[0].first)")
        }
        return places
    }
}

extension Recovery {
    /// Finds, for each tail, the frames it shares with the log: which of them are damaged, and where it
    /// leaves the log.
    static func compare(_ tails: [Tail], with walk: Walk) throws {
        guard let first = tails.first else { return }
        var position = LogPosition(
            sequence: SequenceNumber(first.header.first.rawValue - 1), chain: first.header.chain)
        for offset in walk.offsets.map({ UInt64($0) * 8 }) {
            var good: (frame: Frame, bytes: [UInt8])?
            var flaws: [(Tail, any Error)] = []
            var holders: [(Tail, Frame)] = []
            let way = tails.lazy.compactMap { try? $0.window.frame(at: offset, after: position) }
            // Where ways part, the log's own frame is the one from which the next offset follows.
            let candidates = Array(way)
            good = candidates.first { candidate in
                walk.contains(end: offset + UInt64(candidate.frame.byteCount))
                    && (offset + UInt64(candidate.frame.byteCount) != walk.end
                        || candidate.frame.chain == walk.position.chain)
                    && (candidates.allSatisfy { $0.frame.chain == candidate.frame.chain }
                        || leads(candidate.frame, at: offset, tails, to: walk))
            }
            guard let good else { preconditionFailure("the walk read this frame from some mirror") }
            for tail in tails {
                do {
                    let (frame, _) = try tail.window.frame(at: offset, after: position)
                    if frame.chain == good.frame.chain {
                        holders.append((tail, frame))
                    } else {
                        flaws.append((tail, FrameFlaw.brokenChain))
                    }
                } catch { flaws.append((tail, error)) }
            }
            for (tail, frame) in holders {
                tail.damaged += tail.pending
                tail.pending = []
                tail.lastCommon = (offset + UInt64(frame.byteCount), frame.sequence)
            }
            for (tail, flaw) in flaws {
                tail.pending.append((offset, good.bytes, good.frame.sequence, "\(flaw)"))
            }
            position = LogPosition(sequence: good.frame.sequence, chain: good.frame.chain)
        }
    }

    private static func leads(_ frame: Frame, at offset: UInt64, _ tails: [Tail], to walk: Walk) -> Bool {
        let start = Walk(
            position: LogPosition(sequence: frame.sequence, chain: frame.chain), epoch: frame.epoch,
            time: frame.time, offsets: [], end: offset + UInt64(frame.byteCount))
        return Recovery.walk(tails, from: start).position == walk.position
    }

    /// The bytes from `offset` to the last one that is not zero; `nil` if there is none.
    static func rest(of file: any File, from offset: UInt64, size: UInt64) throws -> [UInt8]? {
        var bytes: [UInt8] = []
        var used = 0
        var position = offset
        while position < size {
            let piece = try file.bytes(Int(min(1024 * 1024, size - position)), at: position)
            guard !piece.isEmpty else { break }
            position += UInt64(piece.count)
            if let last = piece.lastIndex(where: { $0 != 0 }) {
                bytes += [UInt8](repeating: 0, count: Int(position - offset) - piece.count - bytes.count)
                bytes += piece
                used = bytes.count - piece.count + last + 1
            }
        }
        return used == 0 ? nil : Array(bytes.prefix(used))
    }

    static func zero(_ file: any File, from start: UInt64, to end: UInt64) throws(FileSystemError) {
        var offset = start
        while offset < end {
            let count = min(UInt64(LogMirror.zeroChunk), end - offset)
            try file.write([UInt8](repeating: 0, count: Int(count)), at: offset)
            offset += count
        }
    }
}

extension Recovery.Walk {
    /// Whether a frame of the walk ends at `end`.
    func contains(end: UInt64) -> Bool {
        if end == self.end { return true }
        var low = 0
        var high = offsets.count
        while low < high {
            let middle = (low + high) / 2
            if UInt64(offsets[middle]) * 8 < end { low = middle + 1 } else { high = middle }
        }
        return low < offsets.count && UInt64(offsets[low]) * 8 == end
    }
}
