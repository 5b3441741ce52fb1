import Foundation
import Synchronization

/// Keeps what has time from being felt: the scrub, snapshots and whatever else a server does by itself work for a while and
/// rest for a while, and do without rests while nobody asks for anything. All share one pace, and rest together: they are felt
/// together.
///
/// After some seconds of work and rests in which requests came, nothing is done for half a second, to see how long requests take
/// then; ``LoadGovernor`` compares the two, and says what part of the time is left for work.
///
/// A request counts when it is answered. While large ones are under way and none is answered, nothing can be compared: there is
/// work a tenth of the time for as long as their bytes move. A client that takes nothing of its answer is nobody.
public final class LoadPace: Sendable {
    /// A time of work, in seconds: many requests are answered in it, and none waits for long.
    static let stretch = 0.025
    /// Seconds of work and rests after which it is calm for a while, if requests came.
    static let busySeconds = 2.0
    static let calmSeconds = 0.5
    /// Requests that began while something was done end within this, mostly: they say nothing of the calm.
    static let settlingSeconds = 0.05
    /// No request was answered for so many seconds, and few bytes moved: nobody is there.
    static let absence = 1.0
    /// Bytes that have to move for somebody to be there, which is a piece of an answer: whoever takes hours for what others
    /// take minutes for counts for as little of the time.
    static let movedBytes: UInt64 = 256 * 1024
    /// Nobody worked for so many seconds: what was answered in them tells of neither.
    private static let silence = 1.0
    /// Seconds it rests at once, at most: at the smallest share, what a stretch asks for.
    private static let longestRest = 2.5
    /// While nobody asks, the share moves towards the first one once in so many seconds.
    private static let growthSeconds = 1.0
    /// How often who waits looks whether it is still to wait, in seconds.
    private static let longestNap = 0.25

    private enum Phase {
        case working
        case resting
        case settling
        case calm
    }

    private struct State {
        var governor = LoadGovernor()
        var phase = Phase.working
        /// The phase's end, if it is none of work.
        var until = 0.0
        /// Since when there is work without a rest; seconds in which nobody worked are added to it.
        var workingSince: Double
        /// Those seconds since the last rest.
        var idle = 0.0
        var busySince: Double
        /// When somebody who works was here last.
        var heard: Double
        /// When a request was answered last.
        var answered = -Double.infinity
        /// When bytes were last seen to have moved, and how many had.
        var moved = -Double.infinity
        var movedCount: UInt64
        var grown = -Double.infinity
        /// What was answered in the last calm, and when that was over: counted when no piece of work that lasted into it has
        /// ended for a while.
        var calm: (counts: LatencyCounts, end: Double)?
        /// Somebody worked on in the calm.
        var isSpoilt = false
    }

    private let newRequests: LatencyReader
    private let movedCount: @Sendable () -> UInt64
    private let uptime: @Sendable () -> Double
    private let sleep: @Sendable (Double) -> Void
    private let state: Mutex<State>

    /// - Parameters:
    ///   - requests: all requests answered so far: a count that only grows.
    ///   - moved: bytes that clients sent and took so far, of requests under way too: a count that only grows.
    ///   - uptime: seconds, by a clock that nobody sets.
    ///   - sleep: for so many seconds.
    public init(
        requests: @escaping @Sendable () -> LatencyCounts,
        moved: @escaping @Sendable () -> UInt64 = { 0 },
        uptime: @escaping @Sendable () -> Double = { ProcessInfo.processInfo.systemUptime },
        sleep: @escaping @Sendable (Double) -> Void = { Thread.sleep(forTimeInterval: $0) }
    ) {
        newRequests = LatencyReader(requests)
        movedCount = moved
        self.uptime = uptime
        self.sleep = sleep
        let now = uptime()
        state = Mutex(State(workingSince: now, busySince: now, heard: now, movedCount: moved()))
    }

    /// Of the time, the part in which there may be work, as requests allow.
    public var share: Double { state.withLock { $0.governor.share } }

    /// Returns when whoever did a piece of work may go on. Blocks its thread.
    /// - Parameters:
    ///   - worked: the seconds that it took; `nil` for all since somebody was here last, if that is not long ago.
    ///   - isOver: whether it waits no longer; asked now and then.
    public func pass(worked: Double? = nil, isOver: () -> Bool = { Task.isCancelled }) {
        let now = uptime()
        state.withLock { note(&$0, worked, at: now) }
        var hasWaited = false
        while !isOver() {
            let now = uptime()
            guard let end = state.withLock({ advance(&$0, at: now, begins: !hasWaited) }) else { break }
            hasWaited = true
            sleep(min(end - now, Self.longestNap))
        }
        let end = uptime()
        state.withLock { $0.heard = max($0.heard, end) }
    }

    /// What was neither worked nor kept waiting here counts as rest.
    private func note(_ state: inout State, _ worked: Double?, at now: Double) {
        let passed = now - state.heard
        state.heard = max(state.heard, now)
        let gap = worked.map { max(0, passed - $0) } ?? (passed > Self.silence ? passed : 0)
        // It began in the calm, or before it ended: what was answered then is no sign of how it is without.
        let began = now - (worked ?? 0)
        if state.phase == .settling || state.phase == .calm { state.isSpoilt = true }
        if let calm = state.calm, began < calm.end { state.calm = nil }
        guard gap > 0 else { return }
        if gap > Self.silence {
            if newRequests.take().count > 0 { state.answered = now }
            state.busySince += gap
        }
        if state.phase == .working {
            state.workingSince = min(now, state.workingSince + gap)
            state.idle += gap
        }
    }

    /// Goes from phase to phase as time passes.
    /// - Parameter begins: whether a rest may begin now; who has waited for the end of one has not worked since.
    /// - Returns: until when there is to be no work; `nil` if there may be.
    private func advance(_ state: inout State, at now: Double, begins: Bool) -> Double? {
        while true {
            if state.phase == .working {
                let seconds = now - state.workingSince
                guard begins, seconds >= Self.stretch else { return nil }
                observe(&state, at: now)
                let rest = rest(&state, after: seconds, at: now)
                (state.workingSince, state.idle) = (now, 0)
                guard rest > 0 else { return nil }
                (state.phase, state.until) = (.resting, now + rest)
            }
            guard now >= state.until else { return state.until }
            switch state.phase {
            case .working: preconditionFailure("work has no end of its own")
            case .resting:
                observe(&state, at: now)
                let areAnswered = now - state.answered <= Self.absence
                if state.governor.needsCalm, areAnswered, now - state.busySince >= Self.busySeconds {
                    if let calm = state.calm {
                        state.governor.observe(calm.counts, whileWorking: false, at: now)
                    }
                    state.calm = nil
                    state.isSpoilt = false
                    (state.phase, state.until) = (.settling, now + Self.settlingSeconds)
                } else {
                    begin(&state, at: now)
                    return nil
                }
            case .settling:
                _ = newRequests.take()
                (state.phase, state.until) = (.calm, now + Self.calmSeconds)
            case .calm:
                let answered = newRequests.take()
                if !state.isSpoilt { state.calm = (answered, now) }
                state.busySince = now
                begin(&state, at: now)
                return nil
            }
        }
    }

    private func rest(_ state: inout State, after seconds: Double, at now: Double) -> Double {
        if now - state.answered <= Self.absence {
            return min(Self.longestRest, state.governor.rest(afterWorking: seconds) - state.idle)
        }
        if now - state.moved <= Self.absence {
            // What others felt says nothing of these.
            let rest = LoadGovernor.rest(afterWorking: seconds, share: LoadGovernor.firstShare)
            return min(Self.longestRest, rest - state.idle)
        }
        if now - state.grown >= Self.growthSeconds {
            state.governor.nobodyAsks()
            state.grown = now
        }
        return 0
    }

    private func noteMoved(_ state: inout State, at now: Double) {
        let count = movedCount()
        // Looked at under the lock: of two who ask at once the later one has the greater count.
        guard count - state.movedCount >= Self.movedBytes else { return }
        (state.moved, state.movedCount) = (now, count)
    }

    private func begin(_ state: inout State, at now: Double) {
        (state.phase, state.workingSince, state.idle) = (.working, now, 0)
    }

    /// What was answered in a rest felt what was done before it.
    private func observe(_ state: inout State, at now: Double) {
        noteMoved(&state, at: now)
        let answered = newRequests.take()
        guard answered.count > 0 else { return }
        state.answered = now
        state.governor.observe(answered, whileWorking: true, at: now)
    }
}
