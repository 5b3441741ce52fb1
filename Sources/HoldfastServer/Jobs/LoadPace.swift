import Foundation
import Integrity
import Synchronization

/// Keeps what has time from being felt: it copies for a while and rests for a while, by the same loop as the scrub, and
/// without rests while nobody asks for anything. Those who share one rest together: they are felt together.
package final class LoadPace: Sendable {
    /// A time of copying, in seconds: many requests are answered in it, and none waits for long.
    private static let stretch = 0.025
    /// Seconds it rests at once, at most.
    private static let longestRest = 1.0
    /// Nobody copied for so many seconds: what was answered in them tells of neither.
    private static let silence = 10.0

    private struct State {
        var governor = LoadGovernor()
        var copyingSince: Double
        var heard: Double
        var restingUntil = 0.0
        /// The rest is over when somebody has counted the requests that were answered in it.
        var isResting = false
    }

    private let load: @Sendable () -> LatencyCounts
    private let uptime: @Sendable () -> Double
    private let wait: @Sendable (Double) -> Void
    private let state: Mutex<State>

    /// - Parameters:
    ///   - load: the requests that were answered since it was last asked.
    ///   - uptime: seconds; does not go back.
    ///   - wait: for so many seconds.
    package init(
        load: @escaping @Sendable () -> LatencyCounts,
        uptime: @escaping @Sendable () -> Double = { ProcessInfo.processInfo.systemUptime },
        wait: @escaping @Sendable (Double) -> Void = { Thread.sleep(forTimeInterval: $0) }
    ) {
        self.load = load
        self.uptime = uptime
        self.wait = wait
        let now = uptime()
        state = Mutex(State(copyingSince: now, heard: now))
    }

    /// Told of bytes that were copied, by whichever thread copied them: may keep it waiting.
    package func spent(_ byteCount: Int) {
        let now = uptime()
        let rest = state.withLock { state -> Double in
            if now - state.heard > Self.silence {
                _ = load()
                state.isResting = false
                state.copyingSince = now
            }
            state.heard = now
            if !state.isResting { begin(&state, at: now) }
            return state.isResting ? max(0, state.restingUntil - now) : 0
        }
        if rest > 0 { wait(rest) }
        state.withLock { state in
            guard state.isResting, uptime() >= state.restingUntil else { return }
            state.governor.observe(load(), whileReading: false)
            state.isResting = false
            state.copyingSince = uptime()
        }
    }

    private func begin(_ state: inout State, at now: Double) {
        let seconds = now - state.copyingSince
        guard seconds >= Self.stretch else { return }
        let answered = load()
        state.governor.observe(answered, whileReading: true)
        guard answered.count > 0 else {
            state.copyingSince = now
            return
        }
        state.restingUntil = now + min(Self.longestRest, state.governor.rest(afterReading: seconds))
        state.isResting = true
    }
}
