import Integrity
import Synchronization

/// How many requests there were, and how long they took, by operation and status.
final class RequestMetrics: Sendable {
    struct Key: Hashable, Comparable {
        let operation: String
        let status: Int

        static func < (left: Key, right: Key) -> Bool {
            (left.operation, left.status) < (right.operation, right.status)
        }
    }

    struct Sum {
        var count = 0
        var seconds = 0.0

        mutating func add(_ other: Sum) {
            count += other.count
            seconds += other.seconds
        }
    }

    private struct Counts {
        var sums: [Key: Sum] = [:]
        /// Since the scrub asked last.
        var latency = LatencyCounts()
    }

    private final class Stripe: Sendable {
        let counts = Mutex(Counts())
    }

    /// Taken in turn, so that requests hardly ever wait for one another.
    private let stripes = (0..<8).map { _ in Stripe() }
    private let turn = Atomic<Int>(0)

    func count(_ operation: String, status: Int, _ duration: Duration) {
        let (whole, atto) = duration.components
        let sum = Sum(count: 1, seconds: Double(whole) + Double(atto) * 1e-18)
        let stripe = turn.wrappingAdd(1, ordering: .relaxed).oldValue & (stripes.count - 1)
        let nanoseconds = UInt64(max(0, whole)) &* 1_000_000_000 &+ UInt64(max(0, atto) / 1_000_000_000)
        stripes[stripe].counts.withLock {
            $0.sums[Key(operation: operation, status: status), default: Sum()].add(sum)
            $0.latency.add(nanoseconds: nanoseconds)
        }
    }

    /// How long requests took since this was asked last.
    func takeLatency() -> LatencyCounts {
        var all = LatencyCounts()
        for stripe in stripes {
            all.add(
                stripe.counts.withLock { counts in
                    guard counts.latency.count > 0 else { return LatencyCounts() }
                    defer { counts.latency = LatencyCounts() }
                    return counts.latency
                })
        }
        return all
    }

    var all: [(key: Key, sum: Sum)] {
        var all: [Key: Sum] = [:]
        for stripe in stripes {
            for (key, sum) in stripe.counts.withLock({ $0.sums }) { all[key, default: Sum()].add(sum) }
        }
        return all.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }
}
