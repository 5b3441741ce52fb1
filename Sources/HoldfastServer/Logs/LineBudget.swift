import NIOCore
import Synchronization

/// How many lines the log may have of what may come ten thousand times a second: requests that are refused. The first ones of
/// each second have theirs, and each says how many before it had none, so that an overload is not made worse by telling of it.
package final class LineBudget: Sendable {
    package static let linesPerSecond = 10

    private struct State {
        var second = NIODeadline.uptimeNanoseconds(0)
        var taken = 0
        /// Lines that are not written yet: nobody takes them, or whoever writes them has no time.
        var underWay = 0
        var leftOut: UInt64 = 0
    }

    private let state = Mutex(State())

    package init() {}

    /// - Returns: how many had no line since the last one that had; `nil` if this one has none. Whoever gets a number calls
    ///   ``wrote()`` afterwards.
    package func take(at now: NIODeadline) -> UInt64? {
        state.withLock { state in
            if now - state.second >= .seconds(1) {
                state.second = now
                state.taken = 0
            }
            guard state.taken < Self.linesPerSecond, state.underWay < Self.linesPerSecond else {
                state.leftOut += 1
                return nil
            }
            state.taken += 1
            state.underWay += 1
            defer { state.leftOut = 0 }
            return state.leftOut
        }
    }

    package func wrote() { state.withLock { $0.underWay -= 1 } }
}
