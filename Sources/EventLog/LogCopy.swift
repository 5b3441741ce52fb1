import Foundation
import Model
import Synchronization
import Volumes

/// A copy of the log that follows it on demand, by appending: a repository's.
///
/// Its segments have the names, headers, frames and seals of the log's, so whoever reads a mirror reads it. But the
/// last one ends where the copy does, without zeros behind it, and a payload that the log has dropped since stays until it is
/// dropped here, too.
///
/// What is synced: each run of frames with its file before the next run is read, a new segment also with its
/// directory. A copy that was cut off ends with a torn frame at worst, which the next one overwrites.
public final class LogCopy: Sendable {
    /// Frames that are read, verified and written together.
    private static let runCount = 256

    struct Tail {
        let header: Segment.Header
        /// Where each frame begins.
        var offsets: [UInt64] = []
        var end = UInt64(Segment.headerByteCount)
    }

    struct State {
        /// In order; the last one may be open.
        var firsts: [SequenceNumber] = []
        /// The last segment, unless it is sealed.
        var tail: Tail?
        var head = LogPosition.start
        var sealed: [SequenceNumber: SegmentFile] = [:]
    }

    /// What is known of a copy that may end in a torn write.
    public struct Proof: Sendable {
        let quarantine: String
        let last: @Sendable () throws -> SequenceNumber

        /// - Parameters:
        ///   - quarantine: a directory for what was good, and is damaged and to be cut off.
        ///   - last: an event that was copied whole for certain.
        public init(quarantine: String, last: @escaping @Sendable () throws -> SequenceNumber) {
            self.quarantine = quarantine
            self.last = last
        }
    }

    public let storeID: StoreID
    let fileSystem: any FileSystem
    let directory: String
    let proof: Proof?
    let state: Mutex<State>

    /// Opens the copy in a directory, which may be empty; nothing is changed there.
    /// - Parameter proof: asked if the copy may end in a torn write.
    /// - Throws: ``LogError`` if it is of another store, or has a gap.
    public init(
        storeID: StoreID, fileSystem: any FileSystem, directory: String, proof: Proof? = nil
    ) throws {
        self.proof = proof
        self.storeID = storeID
        self.fileSystem = fileSystem
        self.directory = directory
        state = Mutex(State())
        let firsts = try fileSystem.list(directory).compactMap { Segment.first(of: $0) }
        var position = LogPosition.start
        var tail: Tail?
        for (index, first) in firsts.enumerated() {
            let segment = try Self.open(path(first), first, fileSystem)
            guard segment.header.storeID == storeID else {
                throw LogError.foreignStore(mirror: 0, found: segment.header.storeID, expected: storeID)
            }
            guard segment.header.first == first, first == position.sequence.next else {
                try Self.refuseIfReplaced(
                    directory + "/" + Segment.name(position.sequence.next), fileSystem)
                throw LogError.damaged(position.sequence.next, "the copy in \(directory) has a gap")
            }
            if index == firsts.count - 1 || segment.seal == nil {
                guard index == firsts.count - 1 else {
                    try Self.refuseIfReplaced(directory + "/" + Segment.name(first), fileSystem)
                    throw LogError.damaged(first, "\(path(first)) is not sealed, and others follow it")
                }
                (position, tail) = try Self.walk(segment, proof)
            } else {
                // The next header has the chain hash behind the last frame.
                let next = try Self.open(path(firsts[index + 1]), firsts[index + 1], fileSystem)
                position = LogPosition(
                    sequence: SequenceNumber(first.rawValue + UInt64(segment.offsets.count) - 1),
                    chain: next.header.chain)
            }
        }
        let (head, last) = (position, tail)
        state.withLock { state in
            state.firsts = firsts
            state.head = head
            state.tail = last
        }
    }

    static func open(
        _ path: String, _ first: SequenceNumber, _ fileSystem: any FileSystem
    ) throws -> SegmentFile {
        do throws(SegmentFlaw) { return try SegmentFile.open(path, fileSystem: fileSystem) } catch {
            throw LogError.damaged(first, "\(path): \(error)")
        }
    }

    /// The frames of the last segment, up to where they end or are torn.
    private static func walk(
        _ segment: SegmentFile, _ proof: Proof?
    ) throws -> (LogPosition, Tail?) {
        var tail = Tail(header: segment.header)
        var position = LogPosition(
            sequence: SequenceNumber(segment.header.first.rawValue - 1), chain: segment.header.chain)
        let end = try segment.seal?.tableOffset ?? segment.file.size()
        let window = Recovery.Window(segment.file, end: end)
        // A payload that was lost, here or before it was copied, is no end; one behind which nothing whole stands may be
        // torn, unless it is known that it was there.
        var ends = [(position: position, count: 0, end: tail.end)]
        while let found = try? window.frame(at: tail.end, after: position, wholly: false) {
            position = LogPosition(sequence: found.frame.sequence, chain: found.frame.chain)
            tail.offsets.append(tail.end)
            tail.end += UInt64(found.frame.byteCount)
            if found.isWhole || segment.seal != nil { ends.removeAll() }
            ends.append((position, tail.offsets.count, tail.end))
        }
        var whole = ends[0]
        if ends.count > 1 {
            let proven = try proof?.last() ?? .zero
            whole = ends.last { $0.position.sequence <= proven } ?? whole
        }
        (position, tail.end) = (whole.position, whole.end)
        tail.offsets.removeLast(tail.offsets.count - whole.count)
        guard let seal = segment.seal else { return (position, tail) }
        guard tail.offsets.count == seal.count else {
            throw LogError.damaged(position.sequence.next, "\(segment.file.path) is damaged")
        }
        return (position, nil)
    }

    func path(_ first: SequenceNumber) -> String { directory + "/" + Segment.name(first) }

    /// Until when a segment cannot be replaced by another; `nil` if it can.
    func lockEnd(of first: SequenceNumber) throws -> String? {
        try (fileSystem as? any RetainingFileSystem)?.lockEnd(of: path(first))
    }

    /// Where the copy ends.
    public var head: LogPosition { state.withLock { $0.head } }

    // MARK: Following

    /// Copies the events that it lacks, up to one, each verified against its checksums and the chain.
    /// - Parameter before: called with a run of events before it is written, so that who has an event has its blobs; and with
    ///   those of them whose payload is good nowhere, or was dropped by the log while the copy had it once: who is cut off behind
    ///   it copies them no more, and is not told again.
    /// - Returns: events and bytes copied.
    @discardableResult
    public func extend(
        from log: EventLog, through last: SequenceNumber,
        before: (_ events: [LoggedEvent], _ lostPayloads: [SequenceNumber]) throws -> Void
    ) throws -> CatchUpReport {
        guard try isFollowed(by: log) else {
            throw LogError.damaged(
                head.sequence,
                "the copy in \(directory) has other events than the log: it is of another history")
        }
        var report = CatchUpReport()
        let places = log.state.withLock { $0.segments }
        while head.sequence < last {
            let next = head.sequence.next
            guard let index = places.lastIndex(where: { $0.first <= next }) else {
                preconditionFailure("a log's first segment begins with event 1")
            }
            let segmentEnd = index + 1 < places.count ? places[index + 1].first.rawValue - 1 : last.rawValue
            let end = min(last.rawValue, segmentEnd, next.rawValue + UInt64(Self.runCount) - 1)
            let run = try read(log, from: next, through: SequenceNumber(end))
            try before(run.events, run.lostPayloads)
            try append(run, places[index])
            report.events += UInt64(run.events.count)
            report.bytes += UInt64(run.bytes.count)
            report.lostPayloads.formUnion(run.lostPayloads)
        }
        return report
    }

    private struct Run {
        var events: [LoggedEvent] = []
        var bytes: [UInt8] = []
        var offsets: [Int] = []
        var head: LogPosition
        var lostPayloads: [SequenceNumber] = []
    }

    private func read(
        _ log: EventLog, from first: SequenceNumber, through last: SequenceNumber
    ) throws -> Run {
        var run = Run(head: head)
        var proven: SequenceNumber?
        /// Whether it was here when a snapshot was taken, and was damaged since: what the log has dropped may be needed here.
        func isCopiedAgain(_ sequence: SequenceNumber) throws -> Bool {
            let last = try proven ?? proof?.last() ?? .zero
            proven = last
            return sequence <= last
        }
        try log.forEachFrame(from: first, limit: Int(last.rawValue - first.rawValue + 1)) { frame, raw in
            _ = try Frame.decodeEvent(raw, after: run.head)
            if try !frame.hasGoodPayload(raw) || frame.lacksPayload && isCopiedAgain(frame.sequence) {
                run.lostPayloads.append(frame.sequence)
            }
            run.events.append(try frame.event(raw))
            run.offsets.append(run.bytes.count)
            run.bytes.append(contentsOf: raw.prefix(frame.byteCount))
            run.head = LogPosition(sequence: frame.sequence, chain: frame.chain)
        }
        return run
    }

    private func append(_ run: Run, _ place: EventLog.SegmentPlace) throws {
        let next = head.sequence.next
        let (known, last) = state.withLock { ($0.tail, $0.firsts.last) }
        if let known, known.header.first != place.first {
            try seal(known)
        } else if known == nil, last == place.first {
            // It was sealed when the log that it was copied from went on in another; this one goes on in it.
            let tail = try end(of: place.first)
            state.withLock { state in
                state.sealed[place.first] = nil
                state.tail = tail
            }
        }
        var tail: Tail
        if let known = state.withLock({ $0.tail }) {
            tail = known
            let file = try fileSystem.open(path(place.first), .write, permissions: 0)
            defer { file.close() }
            try cutBehind(tail, file)
            try file.write(run.bytes, at: tail.end)
            try file.sync()
        } else {
            guard place.first == next else {
                throw LogError.damaged(
                    next, "the copy in \(directory) has its segments begin elsewhere than the log")
            }
            tail = Tail(
                header: Segment.Header(storeID: storeID, first: place.first, chain: place.chain))
            try fileSystem.replaceFile(path(place.first), with: tail.header.encoded() + run.bytes)
        }
        tail.offsets += run.offsets.map { tail.end + UInt64($0) }
        tail.end += UInt64(run.bytes.count)
        let grown = tail
        state.withLock { state in
            if state.firsts.last != place.first { state.firsts.append(place.first) }
            state.tail = grown
            state.head = run.head
        }
    }

    private func seal(_ tail: Tail) throws {
        let file = try fileSystem.open(path(tail.header.first), .write, permissions: 0)
        defer { file.close() }
        try cutBehind(tail, file)
        let seal = Segment.Seal.encode(
            first: tail.header.first, offsets: tail.offsets.map { UInt32($0 / 8) }, end: tail.end)
        try file.write(seal, at: tail.end)
        try file.sync()
        state.withLock { $0.tail = nil }
    }

    // MARK: Reading

    /// The segments that hold the events up to one, by their first.
    func segments(through last: SequenceNumber) throws -> [SequenceNumber] {
        let (firsts, head) = state.withLock { ($0.firsts, $0.head) }
        guard last.rawValue > 0, last <= head.sequence else {
            throw LogError.damaged(last, "the copy in \(directory) ends at event \(head.sequence)")
        }
        return firsts.filter { $0 <= last }
    }

    /// Calls `body` with the frames of events in order, verified against their checksums and the chain where the
    /// event before it was read too.
    /// - Throws: ``LogError/damaged(_:_:)`` with the first frame whose event is not good. A payload comes as it is:
    ///   ``Frame/hasGoodPayload(_:)``.
    package func forEachFrame(
        from first: SequenceNumber, through last: SequenceNumber,
        _ body: (Frame, UnsafeRawBufferPointer) throws -> Void
    ) throws {
        var position: LogPosition? = first == SequenceNumber(1) ? .start : nil
        var next = first
        while next <= min(last, head.sequence) {
            let bytes = try frameBytes(next)
            try bytes.withUnsafeBytes { raw in
                let frame: Frame
                do throws(FrameFlaw) { frame = try Frame.decodeEvent(raw, after: position) } catch {
                    throw LogError.damaged(next, "\(directory): \(error)")
                }
                guard frame.sequence == next else {
                    throw LogError.damaged(next, "\(directory) has event \(frame.sequence) in its place")
                }
                try body(frame, raw)
                position = LogPosition(sequence: next, chain: frame.chain)
            }
            next = next.next
        }
    }

    public func events(from first: SequenceNumber, limit: Int) throws -> [LoggedEvent] {
        var events: [LoggedEvent] = []
        let last = SequenceNumber(first.rawValue + UInt64(limit) - 1)
        try forEachFrame(from: first, through: last) { events.append(try $0.event($1)) }
        return events
    }

    /// The chain hash at an event.
    public func chainHash(at sequence: SequenceNumber) throws -> ChainHash {
        guard sequence > .zero else { return .genesis }
        let header = try withFrame(sequence) { file, range in
            try file.bytes(min(range.count, Frame.headerByteCount), at: range.lowerBound)
        }
        return try header.withUnsafeBytes { try Frame(header: $0).chain }
    }

    /// The bytes that an event carries.
    /// - Throws: ``LogError/damaged(_:_:)``, also if the payload was dropped before it was copied.
    public func payload(of sequence: SequenceNumber) throws -> [UInt8] {
        let bytes = try frameBytes(sequence)
        do {
            let frame = try bytes.withUnsafeBytes { try Frame.decode($0, after: nil) }
            guard frame.sequence == sequence, !frame.isPayloadDropped else { throw FrameFlaw.cutOff }
            return Array(bytes[frame.payloadRange])
        } catch let flaw as FrameFlaw {
            throw LogError.damaged(sequence, "\(directory): \(flaw)")
        }
    }

    func frameBytes(_ sequence: SequenceNumber) throws -> [UInt8] {
        try withFrame(sequence) { file, range in try file.bytes(range.count, at: range.lowerBound) }
    }

    /// - Parameter body: called with the file that an event stands in, and where.
    func withFrame<Value>(
        _ sequence: SequenceNumber, _ body: (_ file: any File, _ range: Range<UInt64>) throws -> Value
    ) throws -> Value {
        let (first, tail) = state.withLock { state in
            (state.firsts.last { $0 <= sequence }, state.tail)
        }
        guard let first, sequence <= head.sequence else {
            throw LogError.damaged(sequence, "the copy in \(directory) ends at event \(head.sequence)")
        }
        let index = Int(sequence.rawValue - first.rawValue)
        if let tail, tail.header.first == first {
            let file = try fileSystem.open(path(first), [], permissions: 0)
            defer { file.close() }
            let end = index + 1 < tail.offsets.count ? tail.offsets[index + 1] : tail.end
            return try body(file, tail.offsets[index]..<end)
        }
        let segment = try sealed(first)
        guard index < segment.offsets.count else {
            throw LogError.damaged(sequence, "\(path(first)) has \(segment.offsets.count) events")
        }
        return try body(segment.file, segment.range(of: index))
    }

    func sealed(_ first: SequenceNumber) throws -> SegmentFile {
        if let file = state.withLock({ $0.sealed[first] }) { return file }
        let file = try Self.open(path(first), first, fileSystem)
        state.withLock { state in
            if state.sealed.count >= LogMirror.openLimit { state.sealed.removeAll() }
            state.sealed[first] = file
        }
        return file
    }
}
