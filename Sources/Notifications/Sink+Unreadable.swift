import EventLog
import Model
import ObjectStore
import Synchronization

/// Events that no mirror has good any more. They are a finding of the checks', and keep nobody from what comes after.
///
/// An event that cannot be read since disks are away is none of these: it is waited for. So what is passed over could not be
/// read for minutes, and lies in a log that a quorum of volumes is in service for, and whose end can be read.
extension Sink {
    /// Goes on behind an event that cannot be read, and those after it that cannot be read either.
    /// - Throws: ``LogError/damaged(_:_:)`` if it may only be for now.
    func passOver(
        _ sequence: SequenceNumber, _ reason: String, _ generation: Int, _ failed: (any Error) -> Void
    ) throws {
        try requireLog(sequence, reason)
        let end = min(inspection.log.head.sequence.rawValue, sequence.rawValue + UInt64(Self.readCount))
        var last = sequence
        while last.rawValue < end, try !isReadable(last.next) { last = last.next }
        let isCurrent = state.withLock { state in
            state.unreadableSince = nil
            guard state.generation == generation else { return false }
            state.cursor.passUnread(last.rawValue)
            return true
        }
        guard isCurrent else { return }
        let events = last == sequence ? "event \(sequence)" : "events \(sequence) to \(last)"
        tell(
            "whether there was something to tell of is not known: \(events) cannot be read: \(reason)",
            failed)
    }

    /// The events of a run behind the one that a sink is at, without those that cannot be read.
    func readBack(
        _ range: ClosedRange<UInt64>, _ failed: (any Error) -> Void
    ) throws -> [LoggedEvent] {
        var events: [LoggedEvent] = []
        var next = range.lowerBound
        while next <= range.upperBound {
            let (good, damage) = try inspection.log.eventsBeforeDamage(
                from: SequenceNumber(next), limit: Int(range.upperBound - next) + 1)
            events += good
            guard let (sequence, reason) = damage else { break }
            try requireLog(sequence, reason)
            tell(
                "whether an upload was confirmed is not known: event \(sequence) cannot be read: \(reason)",
                failed)
            next = sequence.rawValue + 1
        }
        return events
    }

    private func requireLog(_ sequence: SequenceNumber, _ reason: String) throws {
        let now = surroundings.uptime()
        let since = state.withLock { state in
            let since = state.unreadableSince ?? now
            state.unreadableSince = since
            return since
        }
        let head = inspection.log.head.sequence
        guard now - since >= Self.unreadableSeconds, inspection.volumes.count >= Limits.writeQuorum,
            try isReadable(head)
        else {
            throw LogError.damaged(sequence, reason)
        }
    }

    private func isReadable(_ sequence: SequenceNumber) throws -> Bool {
        try inspection.log.eventsBeforeDamage(from: sequence, limit: 1).damage == nil
    }

    private func tell(_ news: String, _ failed: (any Error) -> Void) {
        note(news)
        failed(SinkError(news))
    }
}
