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

    private final class Stripe: Sendable {
        let sums = Mutex<[Key: Sum]>([:])
    }

    /// Taken in turn, so that requests hardly ever wait for one another.
    private let stripes = (0..<8).map { _ in Stripe() }
    private let turn = Atomic<Int>(0)

    func count(_ operation: String, status: Int, _ duration: Duration) {
        let (whole, atto) = duration.components
        let sum = Sum(count: 1, seconds: Double(whole) + Double(atto) * 1e-18)
        let stripe = turn.wrappingAdd(1, ordering: .relaxed).oldValue & (stripes.count - 1)
        stripes[stripe].sums.withLock {
            $0[Key(operation: operation, status: status), default: Sum()].add(sum)
        }
    }

    var all: [(key: Key, sum: Sum)] {
        var all: [Key: Sum] = [:]
        for stripe in stripes {
            for (key, sum) in stripe.sums.withLock({ $0 }) { all[key, default: Sum()].add(sum) }
        }
        return all.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }
}
