import Foundation
import Model
import Synchronization

/// Stands between the store and a bucket of an S3 endpoint, for everybody in the process who asks it: a breaker, so that an
/// endpoint that is away costs a job one patience and the next ones nothing, and a bulkhead, so that one that hangs holds no
/// more than some requests.
///
/// A request has used up its attempts before it counts as a failure: what passes within one patience opens nothing. Then
/// requests are refused at once until a while has passed; the first one after that is the probe, which has one attempt.
package final class EndpointGate: Sendable {
    /// Requests at a time.
    package static let requestCount = 16

    package static let settings: CircuitBreaker.Settings = {
        var settings = CircuitBreaker.Settings()
        settings.failures = 1
        settings.firstOpening = 5
        settings.longestOpening = 120
        return settings
    }()

    package enum Admission: Equatable, Sendable {
        case goOn
        /// Whoever has it says how it came out, whatever happens.
        case probe
        case refused(seconds: Int, reason: String)
    }

    private struct State {
        var breaker: CircuitBreaker
        var isProbing = false
        var reason = ""
        var inFlight = 0
        var refused: UInt64 = 0
    }

    private static let gates = Mutex<[String: EndpointGate]>([:])

    private let shared: Mutex<State>
    private let slots = DispatchSemaphore(value: requestCount)
    private let uptime: @Sendable () -> Double
    private let chance: @Sendable () -> Double

    package init(
        _ settings: CircuitBreaker.Settings = settings,
        uptime: @escaping @Sendable () -> Double = { ProcessInfo.processInfo.systemUptime },
        chance: @escaping @Sendable () -> Double = { Double.random(in: 0...1) }
    ) {
        shared = Mutex(State(breaker: CircuitBreaker(settings)))
        self.uptime = uptime
        self.chance = chance
    }

    /// The gate of a place, the same for as long as the process runs. Places come from settings and commands. Whoever
    /// trusts other authorities is another: what fails for want of one says nothing of those who have it.
    package static func of(_ location: S3Location) -> EndpointGate {
        let name = "\(location.endpoint)/\(location.bucket) \(location.authoritiesPath ?? "")"
        return gates.withLock { gates in
            if let gate = gates[name] { return gate }
            let gate = EndpointGate()
            gates[name] = gate
            return gate
        }
    }

    // MARK: Breaker

    /// Asked once for each request, before its first attempt.
    package func admit() -> Admission {
        let now = uptime()
        return shared.withLock { state in
            let breaker = state.breaker.state(at: now)
            if breaker == .closed { return .goOn }
            guard breaker == .halfOpen, !state.isProbing else {
                state.refused += 1
                return .refused(
                    seconds: max(1, Int((state.breaker.next - now).rounded(.up))), reason: state.reason)
            }
            state.isProbing = true
            return .probe
        }
    }

    package func succeed() {
        shared.withLock { state in
            state.breaker.succeed()
            state.isProbing = false
        }
    }

    /// - Parameter reason: what the last attempt came to.
    package func fail(_ reason: String) {
        let (now, chance) = (uptime(), chance())
        shared.withLock { state in
            // Of requests that failed together, the first has opened it.
            if state.breaker.state(at: now) != .open { state.breaker.fail(at: now, chance: chance) }
            state.isProbing = false
            state.reason = reason
        }
    }

    package var state: CircuitBreaker.State {
        let now = uptime()
        return shared.withLock { $0.breaker.state(at: now) }
    }

    // MARK: Bulkhead

    /// Waits for room for one more attempt.
    /// - Returns: `false` if there is none in time.
    func enter(seconds: Int64) -> Bool {
        guard slots.wait(timeout: .now() + .seconds(Int(seconds))) == .success else { return false }
        shared.withLock { $0.inFlight += 1 }
        return true
    }

    func leave() {
        shared.withLock { $0.inFlight -= 1 }
        slots.signal()
    }

    package var requestsInFlight: Int { shared.withLock { $0.inFlight } }
    /// Requests that were not made, since the process began.
    package var refused: UInt64 { shared.withLock { $0.refused } }
}
