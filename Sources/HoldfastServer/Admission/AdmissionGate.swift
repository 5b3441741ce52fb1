import NIOCore

/// The way in of one class of requests: those that are worked at, up to the limit, and a short queue.
///
/// In good times the queue is first in, first out, and takes up a burst for ``QueueRule/deadline``. It is *overloaded* once
/// whoever was taken from it had waited longer than ``QueueRule/target`` for a whole ``QueueRule/interval``: then the queue
/// does not drain, everybody in it would wait longer than they care to, and what they wait for would be done for clients that
/// have given up. So while it is overloaded nobody waits longer than the target, and the newest comes first, who is the
/// likeliest to be there still. The refused are told at once, and come back later. It ends when the queue is empty.
///
/// Source: Nichols and Jacobson, "Controlling Queue Delay" (CoDel), ACM Queue 10(5), 2012; Maurer, "Fail at Scale" (controlled
/// delay, adaptive LIFO), ACM Queue 13(8), 2015.
package struct AdmissionGate<Waiter: Sendable>: Sendable {
    /// How long requests wait.
    package struct QueueRule: Sendable, Equatable {
        /// Nobody waits longer; zero for no queue.
        package var deadline: TimeAmount
        /// Nobody waits longer while the gate is overloaded.
        package var target = TimeAmount.milliseconds(10)
        package var interval = TimeAmount.milliseconds(100)
        /// As many times the limit may wait.
        package var depth = 4

        package init(deadline: TimeAmount) { self.deadline = deadline }
    }

    struct Waiting {
        let id: UInt64
        let waiter: Waiter
        let byteCount: Int
        let since: NIODeadline
    }

    package internal(set) var limit: AdaptiveLimit
    package internal(set) var inFlight = 0
    package private(set) var isOverloaded = false
    private let rule: QueueRule
    private var queue = CircularBuffer<Waiting>()
    private var aboveTargetSince: NIODeadline?

    package init(_ limit: AdaptiveLimit, _ rule: QueueRule) {
        self.limit = limit
        self.rule = rule
    }

    package var queued: Int { queue.count }
    var hasRoom: Bool { inFlight < limit.value }
    var mayQueue: Bool { rule.deadline > .zero && queue.count < limit.value * rule.depth }

    mutating func enqueue(_ waiting: Waiting) { queue.append(waiting) }

    /// Takes out who has waited too long, if anybody has.
    mutating func popExpired(at now: NIODeadline) -> Waiting? {
        let patience = isOverloaded ? min(rule.target, rule.deadline) : rule.deadline
        guard let oldest = queue.first, now - oldest.since > patience else { return nil }
        queue.removeFirst()
        endsIfEmpty()
        return oldest
    }

    static func fits(_ byteCount: Int, _ room: Int) -> Bool { byteCount == 0 || byteCount <= room }

    /// Takes out whose turn it is, if their bytes fit into `room`.
    mutating func popNext(at now: NIODeadline, room: Int) -> Waiting? {
        guard let next = isOverloaded ? queue.last : queue.first,
            Self.fits(next.byteCount, room)
        else { return nil }
        if isOverloaded { queue.removeLast() } else { queue.removeFirst() }
        notice(now - next.since, at: now)
        endsIfEmpty()
        return next
    }

    /// - Returns: who waited by that id, if somebody did.
    mutating func remove(_ id: UInt64) -> Waiter? {
        guard let index = queue.firstIndex(where: { $0.id == id }) else { return nil }
        let waiter = queue.remove(at: index).waiter
        endsIfEmpty()
        return waiter
    }

    private mutating func notice(_ wait: TimeAmount, at now: NIODeadline) {
        guard !isOverloaded else { return }
        guard wait > rule.target else {
            aboveTargetSince = nil
            return
        }
        guard let since = aboveTargetSince else {
            aboveTargetSince = now
            return
        }
        isOverloaded = now - since >= rule.interval
    }

    private mutating func endsIfEmpty() {
        guard queue.isEmpty else { return }
        isOverloaded = false
        aboveTargetSince = nil
    }
}
