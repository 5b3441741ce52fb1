import Foundation
import Model
import Synchronization
import SwiftProtobuf
import Volumes

/// Why the log cannot do what it is asked.
public enum LogError: Error, Sendable {
    case tooFewMirrors(present: [Int])
    case foreignStore(mirror: Int, found: StoreID, expected: StoreID)
    case eventTooLarge(Int)
    /// A flush missed its quorum, or no mirror is left: the log must be opened again.
    case broken(String)
    /// No mirror has a good copy.
    case damaged(SequenceNumber, String)
    case unknownFormat(String)
    case fileSystem(FileSystemError)
}

extension LogError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .tooFewMirrors(let present):
            "the log needs two mirrors to open; there are \(present.count): volumes \(present)"
        case .foreignStore(let mirror, let found, let expected):
            "the log on volume \(mirror) belongs to store \(found), not to store \(expected)"
        case .eventTooLarge(let count): "an event of \(count) bytes is larger than an event can be"
        case .broken(let reason): "the log takes no events: \(reason)"
        case .damaged(let sequence, let reason): "no mirror has a good copy of event \(sequence): \(reason)"
        case .unknownFormat(let reason): reason
        case .fileSystem(let error): "\(error)"
        }
    }
}

/// An event that is encoded and waits for the flush.
public struct StagedEvent: Sendable {
    public let sequence: SequenceNumber
    public let epoch: UInt64
    public let time: Timestamp
    public let chain: ChainHash
}

/// What became of a flush on each mirror that was in service.
public struct FlushOutcome: Sendable {
    public let stable: Set<Int>
    public let failed: [Int: any Error]
}

public struct LogSettings: Sendable {
    public var segmentByteCount: Int
    /// How long a mirror may take for a flush.
    public var deadline: Duration
    /// An operator's word that the log may end with this event though events behind it were acknowledged.
    public var cutsAfter: SequenceNumber?
    /// An event that is known to have been part of the log, whatever the mirrors hold of it now: see ``Recovery/Walk/proof``.
    public var provenThrough: SequenceNumber

    public init(
        segmentByteCount: Int = Limits.segmentByteCount, deadline: Duration = .seconds(10),
        cutsAfter: SequenceNumber? = nil, provenThrough: SequenceNumber = .zero
    ) {
        self.provenThrough = provenThrough
        self.segmentByteCount = segmentByteCount
        self.deadline = deadline
        self.cutsAfter = cutsAfter
    }
}

/// The mirrored event log.
///
/// The commit thread stages events, which gives each its number, time and chain hash, and flushes them: one
/// write and one sync on each mirror in service, in parallel. Readers see what a quorum has.
public final class EventLog: Sendable {
    public let timings = LogTimings()

    struct SegmentPlace: Sendable {
        let first: SequenceNumber
        /// The chain hash before its first event.
        let chain: ChainHash
    }

    struct State {
        var mirrors: [Int: LogMirror]
        var head: LogPosition
        var lastEpoch: UInt64
        var lastTime: Timestamp
        /// In order; the last one is active.
        var segments: [SegmentPlace]
        /// Where each committed frame of the active segment begins, in units of eight bytes.
        var offsets: [UInt32]
        /// Where the committed frames of the active segment end.
        var end: UInt64
        var broken: String?
        var isClosed = false
        var waiters: [UInt64: (after: SequenceNumber, continuation: UnsafeContinuation<Void, Never>)] = [:]
        var nextWaiter: UInt64 = 0
    }

    /// What the commit thread has staged.
    struct Batch {
        var chunks: [LogMirror.Chunk] = []
        var head: LogPosition
        /// Of all its events, and later than of those of the batch before: so that whoever opens the log can tell that
        /// a batch was followed by another, and so was acknowledged.
        let time: Timestamp
        var segments: [SegmentPlace] = []
        /// Offsets of the frames in the segment that is active after the batch.
        var offsets: [UInt32]
        var end: UInt64
        var count = 0
    }

    public let storeID: StoreID
    let settings: LogSettings
    let clock: @Sendable () -> Timestamp
    let state: Mutex<State>
    private let batch = Mutex<Batch?>(nil)
    private let epoch = Mutex<UInt64>(0)
    /// Mirrors that are not in service, asked for what those in service do not have good.
    let witnesses = Mutex<[LogMirror]>([])
    let damage = FrameDamageListener()

    init(storeID: StoreID, settings: LogSettings, clock: @escaping @Sendable () -> Timestamp, state: State) {
        self.storeID = storeID
        self.settings = settings
        self.clock = clock
        epoch.withLock { $0 = state.lastEpoch }
        self.state = Mutex(state)
    }

    /// The last event that a quorum has.
    public var head: LogPosition { state.withLock { $0.head } }
    /// Why the log takes no events: a flush missed its quorum or every mirror has left, until the log is opened
    /// again; or it is closed.
    public var brokenReason: String? { state.withLock { $0.broken } }
    public var inService: Set<Int> { state.withLock { Set($0.mirrors.keys) } }
    /// The epoch of the last event.
    public var lastEpoch: UInt64 { state.withLock { $0.lastEpoch } }
    /// The first event of the active segment: payloads before it can be dropped.
    public var activeFirst: SequenceNumber {
        state.withLock { state in
            guard let last = state.segments.last else { preconditionFailure("a log has a segment") }
            return last.first
        }
    }

    /// Whether this very mirror takes part: one that comes back is another.
    func isInService(_ mirror: LogMirror) -> Bool {
        state.withLock { $0.mirrors[mirror.index] === mirror }
    }

    func mirrors() -> [LogMirror] {
        state.withLock { $0.mirrors.values.sorted { $0.index < $1.index } }
    }

    // MARK: The commit thread

    public func beginEpoch(_ number: UInt64) { epoch.withLock { $0 = number } }
    /// Above every epoch that this process knows of, whether or not it has events that a quorum has; and another than
    /// any that it does not know of, such as one whose only events are on a volume that is absent: it is the clock's
    /// microseconds, and some way ahead of the known ones where the clock is behind them.
    public var nextEpoch: UInt64 {
        let least = max(lastEpoch, epoch.withLock { $0 }) + 1
        let now = clock().microseconds
        return now >= least ? now : least + .random(in: 0..<Self.epochLeap)
    }
    private static let epochLeap: UInt64 = 1 << 20

    /// Encodes an event behind those staged before it.
    public func stage(_ record: EventRecord, payload: [UInt8]) throws(LogError) -> StagedEvent {
        precondition(payload.count <= Limits.inlineByteCount, "a payload fits a frame")
        if let reason = state.withLock({ $0.broken }) { throw .broken(reason) }
        var options = BinaryEncodingOptions()
        options.useDeterministicOrdering = true
        let body: [UInt8]
        do { body = try record.serializedBytes(options: options) } catch {
            preconditionFailure("a record without required fields can be encoded: \(error)")
        }
        guard body.count <= Limits.eventByteCount else { throw .eventTooLarge(body.count) }
        let epoch = epoch.withLock { $0 }
        return batch.withLock { batch in
            if batch == nil { batch = newBatch() }
            return Self.append(
                body, payload, epoch: epoch, to: &batch!, storeID: storeID,
                segmentByteCount: UInt64(settings.segmentByteCount))
        }
    }

    private func newBatch() -> Batch {
        let now = clock()
        return state.withLock { state in
            // A clock that was set back does not make time in the log go back, and no two batches have one time.
            let next = Timestamp(microseconds: state.lastTime.microseconds + 1)
            return Batch(
                head: state.head, time: max(now, next), segments: state.segments,
                offsets: state.offsets, end: state.end)
        }
    }

    private static func append(
        _ body: [UInt8], _ payload: [UInt8], epoch: UInt64, to batch: inout Batch,
        storeID: StoreID, segmentByteCount: UInt64
    ) -> StagedEvent {
        let size = UInt64(Frame.byteCount(body: body.count, payload: payload.count))
        let sequence = batch.head.sequence.next
        if batch.end + size > segmentByteCount, !batch.offsets.isEmpty {
            guard let last = batch.segments.last else { preconditionFailure("a log has a segment") }
            let seal = Segment.Seal.encode(first: last.first, offsets: batch.offsets, end: batch.end)
            let header = Segment.Header(storeID: storeID, first: sequence, chain: batch.head.chain)
            batch.segments.append(SegmentPlace(first: sequence, chain: batch.head.chain))
            batch.offsets = []
            batch.end = UInt64(Segment.headerByteCount)
            batch.chunks.append(.init(begins: (header, seal), offset: batch.end, bytes: []))
        } else if batch.chunks.isEmpty {
            batch.chunks.append(.init(begins: nil, offset: batch.end, bytes: []))
        }
        let chain = Frame.append(
            to: &batch.chunks[batch.chunks.count - 1].bytes, sequence: sequence, epoch: epoch,
            time: batch.time,
            after: batch.head.chain, body: body, payload: payload)
        batch.offsets.append(UInt32(batch.end / 8))
        batch.end += size
        batch.head = LogPosition(sequence: sequence, chain: chain)
        batch.count += 1
        return StagedEvent(sequence: sequence, epoch: epoch, time: batch.time, chain: chain)
    }

    /// Forgets what is staged.
    public func discard() { batch.withLock { $0 = nil } }

    /// Appends what is staged to every mirror in service and makes it durable there. A mirror that fails, or
    /// is late, is out of service from then on. With fewer than the quorum stable nothing has happened as far
    /// as readers are concerned, and the log must be opened again: a mirror may hold the tail, so its numbers
    /// cannot be given to other events.
    public func flush() -> FlushOutcome {
        guard var batch = batch.withLock({ $0.take() }) else {
            return FlushOutcome(stable: inService, failed: [:])
        }
        batch.chunks[batch.chunks.count - 1].pad(segmentByteCount: UInt64(settings.segmentByteCount))
        let outcome = append(batch.chunks)
        let epoch = epoch.withLock { $0 }
        let waiters = state.withLock { state -> [UnsafeContinuation<Void, Never>] in
            for index in outcome.failed.keys { state.mirrors.removeValue(forKey: index)?.retire() }
            guard outcome.stable.count >= Limits.writeQuorum else {
                state.broken = "\(outcome.stable.count) of \(Limits.volumeCount) mirrors took the last events"
                return []
            }
            state.head = batch.head
            state.lastTime = batch.time
            state.lastEpoch = epoch
            state.segments = batch.segments
            state.offsets = batch.offsets
            state.end = batch.end
            return Self.takeWaiters(&state)
        }
        for waiter in waiters { waiter.resume() }
        prepareNextSegments(end: batch.end)
        return outcome
    }

    private func append(_ chunks: [LogMirror.Chunk]) -> FlushOutcome {
        let mirrors = mirrors()
        let results = FlushResults(mirrors.map(\.index))
        let size = UInt64(settings.segmentByteCount)
        for mirror in mirrors {
            let accepted = mirror.lane.submit { [timings] in
                do {
                    let start = ContinuousClock.now
                    try mirror.append(chunks, segmentByteCount: size)
                    timings.appended(mirror.index, since: start)
                    results.report(mirror.index, nil)
                } catch {
                    results.report(mirror.index, error)
                }
            }
            if !accepted { results.report(mirror.index, LaneRefused()) }
        }
        return results.wait(deadline: settings.deadline)
    }

    private func prepareNextSegments(end: UInt64) {
        let size = UInt64(settings.segmentByteCount)
        guard end > size / 4 else { return }
        for mirror in mirrors() where !mirror.nextIsReady(segmentByteCount: size) {
            // A lane whose queue is full takes it after a later flush.
            _ = mirror.lane.submit { mirror.prepareAhead(segmentByteCount: size) }
        }
    }

    /// Without the last mirror there is none that the others could be brought up to date from, though no flush has
    /// failed: the log must be opened again.
    public func takeOutOfService(_ index: Int) {
        state.withLock { state in
            guard let mirror = state.mirrors.removeValue(forKey: index) else { return }
            mirror.retire()
            if state.mirrors.isEmpty { state.broken = state.broken ?? "no mirror is in service" }
        }
    }

    // MARK: Following

    /// Returns when a quorum has an event after `sequence`, when the log closes, or when the task is
    /// cancelled.
    public func waitForEvents(after sequence: SequenceNumber) async {
        let token = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withUnsafeContinuation { continuation in
                let ready = state.withLock { state -> Bool in
                    if state.head.sequence > sequence || state.isClosed || Task.isCancelled { return true }
                    state.waiters[token] = (sequence, continuation)
                    return false
                }
                if ready { continuation.resume() }
            }
        } onCancel: {
            state.withLock { $0.waiters.removeValue(forKey: token) }?.continuation.resume()
        }
    }

    static func takeWaiters(_ state: inout State) -> [UnsafeContinuation<Void, Never>] {
        guard !state.waiters.isEmpty else { return [] }
        let head = state.head.sequence
        let ready = state.waiters.filter { head > $0.value.after || state.isClosed }
        for token in ready.keys { state.waiters.removeValue(forKey: token) }
        return ready.values.map(\.continuation)
    }

    /// Wakes those who wait. Mirrors are not appended to afterwards, nor made ready for more.
    public func close() {
        let waiters = state.withLock { state in
            state.isClosed = true
            for mirror in state.mirrors.values { mirror.retire() }
            state.broken = state.broken ?? "the store is closed"
            return Self.takeWaiters(&state)
        }
        for waiter in waiters { waiter.resume() }
    }
}

/// Gathers what a flush comes to on each mirror, for the one thread that waits.
private final class FlushResults: Sendable {
    private let state: Mutex<(waiting: Set<Int>, stable: Set<Int>, failed: [Int: any Error])>
    private let done = DispatchSemaphore(value: 0)

    init(_ mirrors: [Int]) { state = Mutex((Set(mirrors), [], [:])) }

    func report(_ index: Int, _ error: (any Error)?) {
        let counted = state.withLock { state in
            guard state.waiting.remove(index) != nil else { return false }
            if let error { state.failed[index] = error } else { state.stable.insert(index) }
            return true
        }
        if counted { done.signal() }
    }

    func wait(deadline: Duration) -> FlushOutcome {
        let parts = deadline.components
        let limit =
            DispatchTime.now()
            + .milliseconds(Int(parts.seconds) * 1000 + Int(parts.attoseconds / 1_000_000_000_000_000))
        while state.withLock({ !$0.waiting.isEmpty }) {
            if done.wait(timeout: limit) == .timedOut { break }
        }
        return state.withLock { state in
            for index in state.waiting { state.failed[index] = FlushLate(deadline: deadline) }
            state.waiting = []
            return FlushOutcome(stable: state.stable, failed: state.failed)
        }
    }
}

struct FlushLate: Error, CustomStringConvertible {
    let deadline: Duration
    var description: String { "no answer within \(deadline)" }
}
