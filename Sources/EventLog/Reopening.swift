import Model
import Synchronization

extension EventLog {
    /// Opens the log again after a flush missed its quorum, by the rules of opening: what the mirrors hold
    /// decides whether the events of that flush are part of it. Who follows the log goes on.
    ///
    /// On the commit thread, with nothing staged. None of the mirrors is being appended to any more. Those that
    /// hold the whole log are in service afterwards.
    /// - Throws: ``LogError/broken(_:)`` if the mirrors do not hold every event that a quorum had.
    public func reopen(_ mirrors: [LogMirror]) throws -> LogRecovery {
        discard()
        let (found, recovery) = try EventLog.open(
            storeID: storeID, mirrors: mirrors, settings: settings, clock: clock)
        let committed = head
        guard found.head.sequence >= committed.sequence,
            try found.chainHash(at: committed.sequence) == committed.chain
        else {
            throw LogError.broken(
                "volumes \(mirrors.map(\.index)) do not hold event \(committed.sequence), which a quorum had")
        }
        let fresh = found.state.withLock { $0 }
        let waiters = state.withLock { state in
            for mirror in state.mirrors.values { mirror.retire() }
            var next = fresh
            next.isClosed = state.isClosed
            next.broken = state.isClosed ? state.broken : nil
            next.waiters = state.waiters
            next.nextWaiter = state.nextWaiter
            state = next
            return Self.takeWaiters(&state)
        }
        for waiter in waiters { waiter.resume() }
        return recovery
    }
}
