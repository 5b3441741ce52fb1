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

        mutating func add(_ seconds: Double) {
            count += 1
            self.seconds += seconds
        }
    }

    private let sums = Mutex<[Key: Sum]>([:])

    func count(_ operation: String, status: Int, _ duration: Duration) {
        let (whole, atto) = duration.components
        let seconds = Double(whole) + Double(atto) * 1e-18
        sums.withLock {
            $0[Key(operation: operation, status: status), default: Sum()].add(seconds)
        }
    }

    var all: [(key: Key, sum: Sum)] {
        sums.withLock { $0.sorted { $0.key < $1.key }.map { ($0.key, $0.value) } }
    }
}
