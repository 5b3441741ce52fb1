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
        var findings: [Finding] = []
        for mirror in mirrors {
            do {
                findings.append(try findTail(mirror, storeID: storeID, &recovery))
            } catch let error as FileSystemError {
                // One sick disk keeps nobody from opening.
                recovery.notes.append("volume \(mirror.index): \(error)")
                findings.append(Finding(mirror: mirror, tail: nil, unusable: []))
            }
        }
        let tails = findings.compactMap(\.tail)
        guard tails.count >= Limits.writeQuorum else {
            throw LogError.tooFewMirrors(present: tails.map(\.mirror.index))
        }
        let (group, walk) = try choose(tails, settings.provenThrough)
        if let evidence = walk.lost {
            guard settings.cutsAfter == walk.position.sequence else {
                throw LogError.damaged(walk.position.sequence.next, evidence)
            }
            recovery.isCutByWord = true
        }
        try refuseIfMoreMayBeThere(findings, than: walk.position.sequence)
        try Recovery.compare(group, with: walk)
        let inService = try settle(group, walk, settings: settings, &recovery)
        noteLagging(mirrors.filter { inService[$0.index] == nil }, group, walk, &recovery)
        let places = try segmentPlaces(inService.values.sorted { $0.index < $1.index }, last: group[0].header)
        let state = State(
            mirrors: inService, head: walk.position, lastEpoch: walk.epoch, lastTime: walk.time,
            segments: places, offsets: walk.offsets, end: walk.end, broken: nil)
        return (EventLog(storeID: storeID, settings: settings, clock: clock, state: state), recovery)
    }

    /// What a mirror holds of the end of the log.
    private struct Finding {
        let mirror: LogMirror
        /// Its last segment that can be read as one; `nil` for a mirror without a log.
        let tail: Recovery.Tail?
        /// Segments behind that one, and why each cannot be read.
        let unusable: [(first: SequenceNumber, reason: String)]
    }

    private static func findTail(
        _ mirror: LogMirror, storeID: StoreID, _ recovery: inout LogRecovery
    ) throws -> Finding {
        // Files being made ready or copied when the process ended are no part of the log.
        for name in [Segment.nextName, "copy"] {
            let path = mirror.directory + "/" + name
            if try mirror.fileSystem.status(of: path) != nil { try mirror.fileSystem.remove(path) }
        }
        var unusable: [(first: SequenceNumber, reason: String)] = []
        for first in try mirror.list().reversed() {
            let place = "volume \(mirror.index): log/\(Segment.name(first))"
            do {
                let segment = try SegmentFile.open(
                    mirror.path(first), fileSystem: mirror.fileSystem, options: .write)
                guard segment.header.storeID == storeID else {
                    throw LogError.foreignStore(
                        mirror: mirror.index, found: segment.header.storeID, expected: storeID)
                }
                let tail = Recovery.Tail(mirror, segment, end: try segment.file.size())
                return Finding(mirror: mirror, tail: tail, unusable: unusable)
            } catch let flaw as SegmentFlaw {
                if case .unknownFormat = flaw { throw LogError.unknownFormat("\(place): \(flaw)") }
                recovery.notes.append("\(place): \(flaw)")
                unusable.append((first, "\(place): \(flaw)"))
            }
        }
        return Finding(mirror: mirror, tail: nil, unusable: unusable)
    }

    /// A segment has its name only once its header and first events are stable: one behind the chosen end
    /// that cannot be read held events. They were acknowledged if a quorum had them, and that may be so if
    /// the mirrors that cannot be asked are as many. Then the log is not cut: a volume that is absent, or the
    /// damaged header mended by hand, may bring it back.
    private static func refuseIfMoreMayBeThere(
        _ findings: [Finding], than end: SequenceNumber
    ) throws(LogError) {
        let lost = findings.flatMap(\.unusable).filter { $0.first > end }
        guard !lost.isEmpty else { return }
        let silent = findings.count { $0.tail == nil || $0.unusable.contains { $0.first > end } }
        let absent = max(0, Limits.volumeCount - findings.count)
        guard silent + absent >= Limits.writeQuorum else { return }
        throw .damaged(end.next, lost.map(\.reason).joined(separator: "; "))
    }

    /// Makes the mirrors that hold all of the log agree with it.
    /// - Returns: those, by their index.
    private static func settle(
        _ group: [Recovery.Tail], _ walk: Recovery.Walk, settings: LogSettings,
        _ recovery: inout LogRecovery
    ) throws -> [Int: LogMirror] {
        var inService: [Int: LogMirror] = [:]
        var failure: FileSystemError?
        for tail in group where tail.lastCommon.sequence == walk.position.sequence {
            do {
                try settle(tail, walk, settings: settings, &recovery)
                inService[tail.mirror.index] = tail.mirror
            } catch let error as FileSystemError {
                recovery.notes.append("volume \(tail.mirror.index): \(error)")
                failure = error
            }
        }
        if inService.isEmpty, let failure { throw LogError.fileSystem(failure) }
        precondition(!inService.isEmpty, "the last frame of the log was read from some mirror")
        return inService
    }

    private static func noteLagging(
        _ mirrors: [LogMirror], _ group: [Recovery.Tail], _ walk: Recovery.Walk,
        _ recovery: inout LogRecovery
    ) {
        for mirror in mirrors {
            recovery.lagging.append(mirror.index)
            let flaw = group.first { $0.mirror === mirror }?.pending.first
            let end = walk.position.sequence
            let kind: LogRecovery.Parting.Kind =
                switch flaw?.flaw {
                case nil, "\(FrameFlaw.noFrame)", "\(FrameFlaw.cutOff)": .short
                case "\(FrameFlaw.brokenChain)": .diverged
                default: .damaged
                }
            recovery.partings.append(
                .init(
                    mirror: mirror.index, sequence: flaw?.sequence ?? end, kind: kind,
                    evidence: "its log does not reach event \(end)"
                        + (flaw.map { ": event \($0.sequence): \($0.flaw)" } ?? "")))
            let reason = flaw.map { " (event \($0.sequence): \($0.flaw))" } ?? ""
            recovery.notes.append(
                "volume \(mirror.index): its log does not reach event \(walk.position.sequence)\(reason)")
        }
    }

    private static func choose(
        _ tails: [Recovery.Tail], _ proven: SequenceNumber
    ) throws -> ([Recovery.Tail], Recovery.Walk) {
        var groups: [[Recovery.Tail]] = []
        for tail in tails {
            if let index = groups.firstIndex(where: { $0[0].header == tail.header }) {
                groups[index].append(tail)
            } else {
                groups.append([tail])
            }
        }
        var walked: [([Recovery.Tail], Recovery.Walk)] = []
        for group in groups {
            let header = group[0].header
            let before = LogPosition(
                sequence: SequenceNumber(header.first.rawValue - 1), chain: header.chain)
            walked.append(
                (group, try Recovery.walk(group, from: Recovery.Walk(position: before, proven: proven))))
        }
        let best = walked.dropFirst().reduce(walked[0]) { $1.1.isBetter(than: $0.1) ? $1 : $0 }
        guard best.0.count < Limits.writeQuorum,
            let quorum = walked.first(where: { $0.0.count >= Limits.writeQuorum })
        else { return best }
        let isAhead =
            try best.1.position.sequence >= quorum.1.position.sequence
            && best.0.allSatisfy { try Recovery.follows($0.mirror, quorum.1.position) }
        return isAhead ? best : quorum
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
        let rest = try tail.rest(from: walk.end)
        if let rest {
            // What an operator gives up is kept, be it in pieces.
            let isKept = recovery.isCutByWord || Recovery.holdsFrame(rest)
            if isKept {
                recovery.cut.append((mirror.index, walk.position.sequence.next, "log/\(name)"))
                try mirror.quarantine(
                    rest, as: "log-\(tail.header.first)-tail-\(walk.end)", of: tail.header.first,
                    reason:
                        "volume \(mirror.index): log/\(name) from byte \(walk.end): events that are no part of the log"
                )
            }
            recovery.notes.append(
                "volume \(mirror.index): \(isKept ? "events that no quorum has" : "a torn write") after event \(walk.position.sequence) cut off"
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
