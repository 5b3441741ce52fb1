import Foundation
import Model
import Synchronization
import Volumes

public struct CatchUpReport: Sendable {
    /// Events that the mirror did not hold.
    public var events: UInt64 = 0
    public var bytes: UInt64 = 0
    /// Of those events, the ones whose payload was good nowhere.
    public var lostPayloads: Set<SequenceNumber> = []
}

extension EventLog {
    /// Events that ``catchUp(_:before:)`` gives at once, at most.
    private static let catchUpCount = 64

    /// Brings a mirror up to the committed head, from those in service, on the caller's thread.
    ///
    /// The mirror's last segments are compared with the log; the segment in which it leaves the log, and
    /// every one behind, is written afresh: what an append that failed has left in a file is not trusted.
    /// Events that are no part of the log are kept in quarantine.
    ///
    /// Called again under the commit thread's exclusion it adds what was appended meanwhile; then
    /// ``putInService(_:)``.
    /// - Parameter before: called with events that the mirror does not hold, some at a time and in order, before they are
    ///   written there: so that a volume whose log has an event has the event's blobs.
    public func catchUp(_ mirror: LogMirror, before: ([LoggedEvent]) throws -> Void) throws -> CatchUpReport {
        var report = CatchUpReport()
        if let active = mirror.active, let added = try extend(mirror, active, before) { return added }
        let head = head
        let places = state.withLock { $0.segments }
        var index = try firstDoubtfulSegment(mirror, places)
        try removeForeignSegments(mirror, places)
        while index < places.count {
            // More segments may have begun meanwhile: the caller calls again.
            let place = places[index]
            let last =
                index + 1 < places.count ? places[index + 1].first.rawValue - 1 : head.sequence.rawValue
            let held = try heldThrough(mirror, place)
            if last > held.rawValue {
                try forEachBatch(from: held.next, limit: Int(last - held.rawValue), before)
                report.events += last - held.rawValue
            }
            report.bytes += try rewrite(
                mirror, place, last: SequenceNumber(last), isActive: index + 1 == places.count)
            index += 1
        }
        return report
    }

    /// Puts a mirror that is caught up with the head to use. On the commit thread, with nothing staged.
    public func putInService(_ mirror: LogMirror) throws {
        try state.withLock { state in
            guard let active = mirror.active, active.first == state.segments.last?.first,
                active.end == state.end
            else { throw LogError.broken("volume \(mirror.index) is not up to date") }
            let former = state.mirrors.updateValue(mirror, forKey: mirror.index)
            if let former, former !== mirror { former.retire() }
        }
    }

    /// Adds the frames that were committed since the last call to the mirror's fresh active segment; `nil` if
    /// the log has begun another one.
    private func extend(
        _ mirror: LogMirror, _ active: LogMirror.Active, _ before: ([LoggedEvent]) throws -> Void
    ) throws -> CatchUpReport? {
        let (head, first, end, offsets) = state.withLock { state in
            (state.head, state.segments.last?.first, state.end, state.offsets)
        }
        guard first == active.first else { return nil }
        guard active.end < end else { return CatchUpReport() }
        guard let index = offsets.firstIndex(where: { UInt64($0) * 8 == active.end }) else { return nil }
        let from = SequenceNumber(active.first.rawValue + UInt64(index))
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(end - active.end))
        let count = head.sequence.rawValue - from.rawValue + 1
        try forEachBatch(from: from, limit: Int(count), before) { frame, raw in
            bytes.append(contentsOf: raw.prefix(frame.byteCount))
        }
        try active.file.write(bytes, at: active.end)
        try active.file.sync()
        var grown = active
        grown.end += UInt64(bytes.count)
        mirror.setActive(grown)
        return CatchUpReport(events: count, bytes: UInt64(bytes.count))
    }

    /// Reads events and gives them on, ``catchUpCount`` at a time.
    private func forEachBatch(
        from first: SequenceNumber, limit: Int, _ body: ([LoggedEvent]) throws -> Void,
        frame: (Frame, UnsafeRawBufferPointer) throws -> Void = { _, _ in }
    ) throws {
        var batch: [LoggedEvent] = []
        try forEachFrame(from: first, limit: limit) {
            batch.append(try $0.event($1))
            try frame($0, $1)
            guard batch.count == Self.catchUpCount else { return }
            try body(batch)
            batch = []
        }
        if !batch.isEmpty { try body(batch) }
    }

    /// The first segment that the mirror does not have sealed as the log has it. The active one is always in
    /// doubt.
    private func firstDoubtfulSegment(_ mirror: LogMirror, _ places: [SegmentPlace]) throws -> Int {
        for (index, place) in places.dropLast().enumerated() {
            let count = places[index + 1].first.rawValue - place.first.rawValue
            guard let file = try? SegmentFile.open(mirror.path(place.first), fileSystem: mirror.fileSystem),
                file.header == Segment.Header(storeID: storeID, first: place.first, chain: place.chain),
                let seal = file.seal, UInt64(seal.count) == count,
                // A sealed segment of the right length can still end another way; the header of the next one
                // tells.
                try isFollowed(mirror, by: places[index + 1])
                    || heldThrough(mirror, place).rawValue == place.first.rawValue + count - 1
            else { return index }
        }
        return places.count - 1
    }

    private func isFollowed(_ mirror: LogMirror, by next: SegmentPlace) throws -> Bool {
        guard let file = try? SegmentFile.open(mirror.path(next.first), fileSystem: mirror.fileSystem) else {
            return false
        }
        return file.header == Segment.Header(storeID: storeID, first: next.first, chain: next.chain)
    }

    private func removeForeignSegments(_ mirror: LogMirror, _ places: [SegmentPlace]) throws {
        let known = Set(places.map(\.first))
        for first in try mirror.list() where !known.contains(first) {
            try mirror.setAside(first, reason: "events that are no part of the log")
        }
    }

    /// The last event that the mirror's segment shares with the log; the one before the segment's first if
    /// none.
    private func heldThrough(_ mirror: LogMirror, _ place: SegmentPlace) throws -> SequenceNumber {
        let before = SequenceNumber(place.first.rawValue - 1)
        let header = Segment.Header(storeID: storeID, first: place.first, chain: place.chain)
        let file: SegmentFile
        do throws(SegmentFlaw) {
            file = try SegmentFile.open(mirror.path(place.first), fileSystem: mirror.fileSystem)
        } catch {
            if error != .missing { try mirror.setAside(place.first, reason: "\(error)") }
            return before
        }
        guard file.header == header else {
            try mirror.setAside(place.first, reason: "it belongs to another log")
            return before
        }
        let size = try file.file.size()
        let window = Recovery.Window(file.file, end: file.seal?.tableOffset ?? size)
        var position = LogPosition(sequence: before, chain: place.chain)
        var offset = UInt64(Segment.headerByteCount)
        while position.sequence < head.sequence, let found = try? window.frame(at: offset, after: position) {
            position = LogPosition(sequence: found.frame.sequence, chain: found.frame.chain)
            offset += UInt64(found.frame.byteCount)
        }
        // The chain makes the last common frame enough to compare; it is found by halving.
        var low = before.rawValue
        var high = position.sequence.rawValue
        let chains = try chains(mirrorFile: file, place: place, through: position.sequence)
        while low < high {
            let middle = (low + high + 1) / 2
            let ours = try chainHash(at: SequenceNumber(middle))
            if chains[Int(middle - place.first.rawValue)] == ours { low = middle } else { high = middle - 1 }
        }
        if low < position.sequence.rawValue {
            let from = try offsetOf(SequenceNumber(low + 1), in: file, place)
            if let rest = try Recovery.rest(of: file.file, from: from, size: size) {
                try mirror.quarantine(
                    rest, as: "log-\(place.first)-tail-\(from)", of: place.first,
                    reason:
                        "volume \(mirror.index): log/\(Segment.name(place.first)) from byte \(from): events that are no part of the log"
                )
            }
        }
        return SequenceNumber(low)
    }

    private func chains(
        mirrorFile file: SegmentFile, place: SegmentPlace, through last: SequenceNumber
    ) throws -> [ChainHash] {
        var chains: [ChainHash] = []
        var offset = UInt64(Segment.headerByteCount)
        var sequence = place.first
        while sequence <= last {
            let head = try file.file.bytes(Frame.headerByteCount, at: offset)
            let frame = try head.withUnsafeBytes { try Frame(header: $0) }
            chains.append(frame.chain)
            offset += UInt64(frame.byteCount)
            sequence = sequence.next
        }
        return chains
    }

    private func offsetOf(_ target: SequenceNumber, in file: SegmentFile, _ place: SegmentPlace) throws
        -> UInt64
    {
        var offset = UInt64(Segment.headerByteCount)
        var sequence = place.first
        while sequence < target {
            let head = try file.file.bytes(Frame.headerByteCount, at: offset)
            offset += UInt64(try head.withUnsafeBytes { try Frame(header: $0) }.byteCount)
            sequence = sequence.next
        }
        return offset
    }

    /// The chain hash at an event of the log.
    public func chainHash(at sequence: SequenceNumber) throws -> ChainHash {
        if sequence == .zero { return .genesis }
        guard let span = span(from: sequence, limit: 1) else {
            throw LogError.damaged(sequence, "the log ends at event \(head.sequence)")
        }
        return try frameBytes(0, of: span).withUnsafeBytes { try Frame(header: $0).chain }
    }

    /// Writes one segment afresh on a mirror, through event `last`.
    func rewrite(
        _ mirror: LogMirror, _ place: SegmentPlace, last: SequenceNumber, isActive: Bool
    ) throws -> UInt64 {
        var bytes = Segment.Header(storeID: storeID, first: place.first, chain: place.chain).encoded()
        // Once, and not again and again as it grows: what is reserved takes memory where it is written.
        let count = Int(last.rawValue + 1 - place.first.rawValue)
        bytes.reserveCapacity(settings.segmentByteCount + (isActive ? 0 : Segment.Seal.byteCount(of: count)))
        var offsets: [UInt32] = []
        try forEachChainedFrame(of: place, limit: count) { frame, raw in
            offsets.append(UInt32(bytes.count / 8))
            bytes.append(contentsOf: raw.prefix(frame.byteCount))
        }
        let end = UInt64(bytes.count)
        if isActive {
            let file = try mirror.replace(place.first, with: bytes, size: UInt64(settings.segmentByteCount))
            mirror.setActive(.init(first: place.first, file: file, end: end))
        } else {
            bytes += Segment.Seal.encode(first: place.first, offsets: offsets, end: end)
            _ = try mirror.replace(place.first, with: bytes)
        }
        return end
    }
}
