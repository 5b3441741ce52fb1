import EventLog
import Model

/// The log that is there, held against what a cursor remembers of the log that it followed.
///
/// A log that was cut (`holdfast log cut`) or made anew of the replicas gives numbers that a sink has dealt with to other
/// events. A sink that went on from its number would never tell of these. So a cursor remembers the chain hash of its event,
/// which stands for all before it, and the epochs that it came through. The number of an epoch is that of one process, or one
/// opening, and of no other (``EventLog/nextEpoch``): what the log still has of an epoch that the cursor came through was there
/// when it did, and so was all before it. The last event of the newest such epoch is where the two logs part, or before it, and
/// the sink goes back to there: it may say something twice, and leaves nothing out.
struct FollowedLog {
    /// Epochs that a cursor remembers. A log that was cut by more than these is told of from its beginning.
    static let epochCount = 64
    /// Epochs that are looked up for a cursor that remembers none.
    private static let lookedUpCount = 16

    let head: LogPosition
    /// Events from one on, so many at most.
    let events: (SequenceNumber, Int) throws -> [LoggedEvent]

    init(_ log: EventLog) {
        head = log.head
        events = log.events
    }

    /// A cursor's place in the log that is there.
    struct Place {
        /// As it is to stand from now on.
        var cursor: SinkCursor
        var wentBack = false
        /// What there is to say of it.
        var news: String?
    }

    func place(of cursor: SinkCursor) throws -> Place {
        guard cursor.sequence <= head.sequence.rawValue else {
            return try back(
                cursor,
                "the log ends with event \(head.sequence), and the sink was at event \(cursor.sequence)")
        }
        let found: SinkCursor
        do { found = try asFound(cursor) } catch LogError.damaged(let sequence, let reason) {
            // That is a finding of the checks', and keeps nobody from what comes after.
            let news = "whether the log was cut is not known: event \(sequence) cannot be read: \(reason)"
            return Place(cursor: cursor, news: news)
        }
        guard cursor.chain == nil || cursor.chain == found.chain else {
            return try back(cursor, "event \(cursor.sequence) of the log is not the one that the sink was at")
        }
        return Place(cursor: found)
    }

    private func back(_ cursor: SinkCursor, _ reason: String) throws -> Place {
        var changed = cursor
        changed.sequence = try lastCommon(cursor)
        changed.epochs = nil
        changed = try asFound(changed)
        changed.previous = 0
        changed.replays = (cursor.replays ?? 0) + 1
        return Place(
            cursor: changed, wentBack: true,
            news:
                "\(reason): the log was cut, or made anew. All after event \(changed.sequence) is told, some of it again"
        )
    }

    /// The cursor with what the log says of its place.
    private func asFound(_ cursor: SinkCursor) throws -> SinkCursor {
        var cursor = cursor
        cursor.chain = (try event(cursor.sequence)?.chain ?? .genesis).description
        cursor.epochs = try cursor.epochs ?? epochs(through: cursor.sequence)
        return cursor
    }

    /// The last event that is certainly one of those that the cursor came through; 0 for none.
    private func lastCommon(_ cursor: SinkCursor) throws -> UInt64 {
        let end = min(cursor.sequence, head.sequence.rawValue)
        for epoch in (cursor.epochs ?? []).reversed() {
            let last = try last(through: end) { $0 <= epoch }
            if try event(last)?.epoch == epoch { return last }
        }
        return 0
    }

    /// The newest epochs of the events up to one, in order.
    private func epochs(through sequence: UInt64) throws -> [UInt64] {
        var epochs: [UInt64] = []
        var next = sequence
        do {
            while epochs.count < Self.lookedUpCount, let epoch = try event(next)?.epoch {
                epochs.append(epoch)
                next = try last(through: next) { $0 < epoch }
            }
        } catch LogError.damaged {
            // A finding of the checks'. With fewer epochs the sink may have to go back further, and leaves nothing out.
        }
        return epochs.reversed()
    }

    /// The last event up to one whose epoch is as wanted; 0 for none. Epochs only grow along the log.
    private func last(through end: UInt64, where isWanted: (UInt64) -> Bool) throws -> UInt64 {
        var low: UInt64 = 0
        var high = end
        while low < high {
            let middle = low + (high - low + 1) / 2
            let epoch = try event(middle)?.epoch
            if let epoch, isWanted(epoch) { low = middle } else { high = middle - 1 }
        }
        return low
    }

    /// - Returns: `nil` for what stands before the first.
    private func event(_ sequence: UInt64) throws -> LoggedEvent? {
        guard sequence > 0 else { return nil }
        return try events(SequenceNumber(sequence), 1).first
    }
}
