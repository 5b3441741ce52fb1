import Model
import NIOCore
import NIOHTTP1
import S3
import Synchronization

/// Decides of each request of a listener whether it is taken on now, in a moment, or not: after its head was read and before
/// anything is done for it. Any thread may call it; it holds one lock for as long as it takes to count.
final class AdmissionControl: Sendable {
    /// Told what became of a request that waits, on any thread.
    typealias Waiter = @Sendable (Verdict) -> Void

    enum Verdict: Sendable {
        case admitted(AdmissionPermit)
        case refused(Refusal)
    }

    enum Answer: Sendable {
        case decided(Verdict)
        /// The waiter will be told, unless it is taken back by this id.
        case waits(RequestClass, id: UInt64)
    }

    /// How often those who wait are looked at while nobody else's end makes room.
    private static let sweepInterval = TimeAmount.milliseconds(10)

    private struct Ticket: Sendable {
        let outline: RequestOutline
        let charge: RateLimits.Charge?
        let waiter: Waiter
    }

    private struct State {
        var gates: AdmissionGates<Ticket>
        var isSweepDue = false
    }

    private let state: Mutex<State>
    private let rates: RateLimits?
    private let domains: [String]
    /// Runs a closure after a time.
    private let later: @Sendable (TimeAmount, @escaping @Sendable () -> Void) -> Void
    private let clock: @Sendable () -> NIODeadline

    /// - Returns: `nil` if the settings let everybody in.
    init?(
        _ settings: AdmissionSettings, domains: [String],
        clock: @escaping @Sendable () -> NIODeadline = { .now() },
        later: @escaping @Sendable (TimeAmount, @escaping @Sendable () -> Void) -> Void
    ) {
        guard settings.mode != .off else { return nil }
        state = Mutex(State(gates: settings.gates()))
        rates = settings.rates.isEmpty ? nil : RateLimits(settings.rates)
        self.domains = domains
        self.clock = clock
        self.later = later
    }

    /// Whether a request is let in whatever there is to do. Below the host of a bucket the path of a probe is an object's.
    func isProbe(_ head: HTTPRequestHead) -> Bool {
        guard HealthResponder.isProbe(head) else { return false }
        let host = head.headers.first(name: "host") ?? ""
        return RequestTarget.bucket(ofHost: host, domains: domains) == nil
    }

    /// - Parameter waiter: made only for a request that has to wait.
    func ask(_ head: HTTPRequestHead, waiter: () -> Waiter) -> Answer {
        let outline = RequestOutline(head, domains: domains, needsNames: rates != nil)
        let now = clock()
        var charge: RateLimits.Charge?
        if let rates {
            switch rates.ask(
                key: outline.accessKey, bucket: outline.bucket, byteCount: outline.bodyByteCount, at: now)
            {
            case .allowed(let counted): charge = counted
            case .refused(let reason, let wait):
                state.withLock { _ = $0.gates.refuse(outline.kind, reason) }
                return .decided(.refused(Refusal(reason, outline, retryAfter: wait)))
            }
        }
        let (answer, isSweepDue) = state.withLock { state in
            let answer = state.gates.ask(outline.kind, byteCount: outline.byteCount, at: now) {
                Ticket(outline: outline, charge: charge, waiter: waiter())
            }
            return (answer, Self.begins(&state))
        }
        if isSweepDue { scheduleSweep() }
        switch answer {
        case .admitted(let place):
            return .decided(.admitted(AdmissionPermit(self, place, outline, charge)))
        case .waits(let id): return .waits(outline.kind, id: id)
        case .refused(let reason):
            settle(charge, .nothing)
            return .decided(.refused(Refusal(reason, outline)))
        }
    }

    /// A request that waits is wanted no more.
    /// - Returns: `false` if its waiter has been or is being told.
    func cancel(_ kind: RequestClass, id: UInt64) -> Bool {
        guard let ticket = state.withLock({ $0.gates.cancel(kind, id: id) }) else { return false }
        settle(ticket.charge, .nothing)
        return true
    }

    fileprivate func settle(_ charge: RateLimits.Charge?, _ outcome: RateLimits.Outcome) {
        guard let charge else { return }
        rates?.settle(charge, outcome, at: clock())
    }

    private func tell(_ outcomes: [AdmissionGates<Ticket>.Outcome]) {
        for outcome in outcomes {
            let ticket = outcome.waiter
            switch outcome.answer {
            case .admitted(let place):
                ticket.waiter(.admitted(AdmissionPermit(self, place, ticket.outline, ticket.charge)))
            case .refused(let reason):
                settle(ticket.charge, .nothing)
                ticket.waiter(.refused(Refusal(reason, ticket.outline)))
            case .waits: preconditionFailure("who waited is told that it is over")
            }
        }
    }

    // MARK: Requests that were let in

    fileprivate func pause(_ kind: RequestClass) {
        let now = clock()
        tell(state.withLock { $0.gates.pause(kind, at: now) })
    }

    fileprivate func resume(_ kind: RequestClass) { state.withLock { $0.gates.resume(kind) } }

    fileprivate func finishWork(_ place: inout AdmissionPlace, keeps: Int, since: NIODeadline?) {
        let now = clock()
        let latency = since.map { now - $0 }
        let (left, outcomes) = state.withLock { [place] state in
            var place = place
            let outcomes = state.gates.finishWork(&place, keeps: keeps, latency: latency, at: now)
            return (place, outcomes)
        }
        place = left
        tell(outcomes)
    }

    // MARK: Those who wait

    /// Whether a sweep is to be scheduled, because somebody waits and none is.
    private static func begins(_ state: inout State) -> Bool {
        guard state.gates.hasWaiting, !state.isSweepDue else { return false }
        state.isSweepDue = true
        return true
    }

    private func scheduleSweep() { later(Self.sweepInterval) { [weak self] in self?.sweep() } }

    private func sweep() {
        let now = clock()
        let (outcomes, goesOn) = state.withLock { state in
            let outcomes = state.gates.settle(at: now)
            state.isSweepDue = false
            return (outcomes, Self.begins(&state))
        }
        tell(outcomes)
        if goesOn { scheduleSweep() }
    }

    // MARK: Watching

    /// How one class stands.
    struct Standing: Sendable {
        package let kind: RequestClass
        package let limit: Int
        package let inFlight: Int
        package let queued: Int
        package let isOverloaded: Bool
        package let admitted: UInt64
        package let refused: [(reason: RefusalReason, count: UInt64)]
        package let waitSeconds: HistogramCounts
    }

    var standings: [Standing] {
        let gates = state.withLock { $0.gates.standings }
        return zip(RequestClass.allCases, gates).map { kind, standing in
            Standing(
                kind: kind, limit: standing.limit, inFlight: standing.inFlight, queued: standing.queued,
                isOverloaded: standing.isOverloaded, admitted: standing.counts.admitted,
                refused: RefusalReason.allCases.map { ($0, standing.counts.refused[$0.rawValue]) },
                waitSeconds: standing.counts.waitSeconds)
        }
    }

    /// Bytes that are set aside for bodies, and how many may be.
    var memory: (held: Int, limit: Int) {
        state.withLock { ($0.gates.bytesHeld, $0.gates.byteLimit) }
    }

    /// Keys and buckets whose rates are tracked.
    var tracked: (keys: Int, buckets: Int) { rates?.tracked ?? (0, 0) }
}

/// The right to be worked at, of one request: whoever works at it says when that is done and, in the end, that all is. What it
/// came to is told besides.
final class AdmissionPermit: Sendable {
    private let control: AdmissionControl
    private let place: Mutex<AdmissionPlace?>
    private let outline: RequestOutline
    private let charge: RateLimits.Charge?
    /// When it was let in.
    let since: NIODeadline

    fileprivate init(
        _ control: AdmissionControl, _ place: AdmissionPlace, _ outline: RequestOutline,
        _ charge: RateLimits.Charge?
    ) {
        self.control = control
        self.place = Mutex(place)
        self.outline = outline
        self.charge = charge
        since = place.since
    }

    /// What the request is addressed to; `nil` if that cannot be read.
    var target: RequestTarget? { outline.target }

    /// The request waits for bytes of its client: others may be worked at meanwhile.
    func pause() { control.pause(outline.kind) }

    /// They have come.
    func resume() { control.resume(outline.kind) }

    /// Nothing is left but to send the answer.
    /// - Parameters:
    ///   - keeps: bytes of memory that this takes.
    ///   - since: since when it was the server that worked, if how long it took says how busy the server is.
    func finishWork(keeps: Int, since: NIODeadline?) {
        guard var current = place.withLock({ $0 }) else {
            preconditionFailure("a permit was given back before")
        }
        control.finishWork(&current, keeps: keeps, since: since)
        place.withLock { [current] in $0 = current }
    }

    /// All is done, or given up.
    /// - Parameter since: as in ``finishWork(keeps:since:)``, which need not have been called.
    func end(since: NIODeadline? = nil) {
        guard var current = takePlace() else { preconditionFailure("a permit is given back once") }
        control.finishWork(&current, keeps: 0, since: since)
    }

    /// What the request came to, for the rates: told once, when that is known, though the answer may be still to send.
    func settle(_ outcome: RateLimits.Outcome) { control.settle(charge, outcome) }

    /// Whether a request is not known to be from whom it claims to be from.
    /// - Parameter sender: the access key whose holder it is from, if that was found out.
    func isForeign(to sender: String?) -> Bool {
        !outline.accessKey.isEmpty && outline.accessKey != sender
    }

    private func takePlace() -> AdmissionPlace? {
        place.withLock { place in
            defer { place = nil }
            return place
        }
    }

    /// The event loop that was to work at it has ended.
    deinit {
        guard var current = takePlace() else { return }
        control.finishWork(&current, keeps: 0, since: nil)
    }
}
