import Model
import NIOCore

/// Why a request was refused.
package enum RefusalReason: Int, CaseIterable, Sendable {
    /// As many as may are worked at, and as many as may wait.
    case queue
    /// It waited as long as it may.
    case deadline
    /// The bodies that are held take the memory that they may.
    case memory
    /// Its access key, or its bucket, asks for more than the settings allow.
    case keyRate, bucketRate

    /// As metrics have it.
    package var word: String {
        switch self {
        case .queue: "queue"
        case .deadline: "deadline"
        case .memory: "memory"
        case .keyRate: "key-rate"
        case .bucketRate: "bucket-rate"
        }
    }
}

/// A place at work that a request has, and the memory that is set aside for its bodies. Whoever has it gives it back, once.
package struct AdmissionPlace: Sendable {
    package let kind: RequestClass
    package internal(set) var byteCount: Int
    /// `false` since the work is done and only bytes are sent: the memory is still held.
    package internal(set) var isAtWork = true
    /// When it was let in.
    package let since: NIODeadline
}

/// All that decides who is let in, as a value: the gates of the classes, and the memory that bodies may take together.
package struct AdmissionGates<Waiter: Sendable>: Sendable {
    package enum Answer: Sendable {
        case admitted(AdmissionPlace)
        case waits(id: UInt64)
        case refused(RefusalReason)
    }

    /// What became of somebody who waited.
    package struct Outcome: Sendable {
        package let waiter: Waiter
        package let answer: Answer
    }

    /// What was counted of a class.
    package struct Counts: Sendable {
        package var admitted: UInt64 = 0
        /// By ``RefusalReason``'s number.
        package var refused = [UInt64](repeating: 0, count: RefusalReason.allCases.count)
        /// Of those who waited and were let in.
        package var waitSeconds = HistogramCounts(bounds: HistogramCounts.secondsBounds)
    }

    /// By ``RequestClass``'s number.
    package private(set) var gates: [AdmissionGate<Waiter>]
    package private(set) var counts: [Counts]
    package private(set) var bytesHeld = 0
    package let byteLimit: Int
    private var lastID: UInt64 = 0
    private var queued = 0

    package init(_ gates: [AdmissionGate<Waiter>], byteLimit: Int) {
        precondition(gates.count == RequestClass.allCases.count, "each class has a gate")
        self.gates = gates
        self.byteLimit = byteLimit
        counts = gates.map { _ in Counts() }
    }

    package var hasWaiting: Bool { queued > 0 }

    /// How each class stands, by its number.
    package var standings: [(limit: Int, inFlight: Int, queued: Int, isOverloaded: Bool, counts: Counts)] {
        zip(gates, counts).map { gate, counts in
            (gate.limit.value, gate.inFlight, gate.queued, gate.isOverloaded, counts)
        }
    }

    private func fits(_ byteCount: Int) -> Bool {
        AdmissionGate<Waiter>.fits(byteCount, byteLimit - bytesHeld)
    }

    /// - Parameter waiter: made only for a request that has to wait.
    package mutating func ask(
        _ kind: RequestClass, byteCount: Int, at now: NIODeadline, waiter: () -> Waiter
    ) -> Answer {
        let place = kind.rawValue
        // More than all there is would never get in: it gets in alone.
        let byteCount = min(byteCount, byteLimit)
        let hasRoom = gates[place].hasRoom
        if hasRoom, gates[place].queued == 0, fits(byteCount) {
            return .admitted(admit(kind, byteCount, at: now))
        }
        guard gates[place].mayQueue else {
            return .refused(refuse(kind, hasRoom && !fits(byteCount) ? .memory : .queue))
        }
        lastID += 1
        queued += 1
        gates[place].enqueue(.init(id: lastID, waiter: waiter(), byteCount: byteCount, since: now))
        return .waits(id: lastID)
    }

    private mutating func admit(
        _ kind: RequestClass, _ byteCount: Int, at now: NIODeadline
    ) -> AdmissionPlace {
        gates[kind.rawValue].inFlight += 1
        bytesHeld += byteCount
        counts[kind.rawValue].admitted += 1
        return AdmissionPlace(kind: kind, byteCount: byteCount, since: now)
    }

    @discardableResult
    package mutating func refuse(_ kind: RequestClass, _ reason: RefusalReason) -> RefusalReason {
        counts[kind.rawValue].refused[reason.rawValue] += 1
        return reason
    }

    /// The work of a request is done; the memory of its bodies comes to `keeps` until it is given back. That may be more than
    /// was set aside, where an answer turned out larger: then there is the less for others.
    /// - Parameter latency: what the work took, where it says something of how busy the server is.
    /// - Returns: what becomes of those who wait.
    package mutating func finishWork(
        _ place: inout AdmissionPlace, keeps: Int, latency: TimeAmount?, at now: NIODeadline
    ) -> [Outcome] {
        if place.isAtWork {
            let inFlight = gates[place.kind.rawValue].inFlight
            if let latency { gates[place.kind.rawValue].limit.observe(latency, inFlight: inFlight, at: now) }
            leave(place.kind)
        }
        place.isAtWork = false
        let kept = min(keeps, byteLimit)
        bytesHeld += kept - place.byteCount
        place.byteCount = kept
        return settle(at: now)
    }

    /// The request waits for its client, or goes on.
    /// - Returns: what becomes of those who wait.
    package mutating func pause(_ kind: RequestClass, at now: NIODeadline) -> [Outcome] {
        leave(kind)
        return settle(at: now)
    }

    /// It has been let in, so it is not asked again: there may be more at work than the limit says until some are done.
    package mutating func resume(_ kind: RequestClass) { gates[kind.rawValue].inFlight += 1 }

    private mutating func leave(_ kind: RequestClass) {
        gates[kind.rawValue].inFlight -= 1
    }

    /// Lets in who may, and refuses who has waited too long.
    package mutating func settle(at now: NIODeadline) -> [Outcome] {
        guard queued > 0 else { return [] }
        var outcomes: [Outcome] = []
        for kind in RequestClass.allCases {
            let place = kind.rawValue
            while let late = gates[place].popExpired(at: now) {
                queued -= 1
                let isForMemory = gates[place].hasRoom && !fits(late.byteCount)
                let reason = refuse(kind, isForMemory ? .memory : .deadline)
                outcomes.append(Outcome(waiter: late.waiter, answer: .refused(reason)))
            }
            // A number and no closure over `self`, which would make each change of the queue a copy of it.
            while gates[place].hasRoom, let next = gates[place].popNext(at: now, room: byteLimit - bytesHeld)
            {
                queued -= 1
                counts[place].waitSeconds.add(Double((now - next.since).nanoseconds) / 1e9)
                let admitted = admit(kind, next.byteCount, at: now)
                outcomes.append(Outcome(waiter: next.waiter, answer: .admitted(admitted)))
            }
        }
        return outcomes
    }

    /// Somebody who waits is gone.
    /// - Returns: `nil` for one who waits no more, and has been or is being told.
    package mutating func cancel(_ kind: RequestClass, id: UInt64) -> Waiter? {
        guard let waiter = gates[kind.rawValue].remove(id) else { return nil }
        queued -= 1
        return waiter
    }
}
