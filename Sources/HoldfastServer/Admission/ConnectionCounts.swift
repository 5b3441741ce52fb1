import Synchronization

/// What became of a listener's connections that went no further.
package final class ConnectionCounts: Sendable {
    private let slow = Mutex([UInt64](repeating: 0, count: SlowClient.allCases.count))
    private let refused = Atomic<UInt64>(0)

    package init() {}

    func close(_ slow: SlowClient) { self.slow.withLock { $0[slow.rawValue] += 1 } }
    func refuse() { refused.wrappingAdd(1, ordering: .relaxed) }

    /// Connections that were given up because the client was too slow.
    package var slowClients: [(slow: SlowClient, count: UInt64)] {
        let counts = slow.withLock { $0 }
        return SlowClient.allCases.map { ($0, counts[$0.rawValue]) }
    }

    /// Connections more than there may be.
    package var refusedConnections: UInt64 { refused.load(ordering: .relaxed) }
}
