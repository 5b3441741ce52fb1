import HTTPTypes
import Integrity
import Model
import S3
import Synchronization

/// How many requests there were, how they ended, how long they took and what they moved, by operation.
package final class RequestMetrics: Sendable {
    /// The operation of requests that were refused at their head, in the metrics and the log: nobody has looked what it is.
    package static let refusedName = "Refused"

    /// What the requests of one operation came to.
    struct Counts: Sendable {
        /// Requests by their status: few, so that looking through them is quicker than hashing.
        var statuses: [(status: Int, count: UInt64)] = []
        var seconds = HistogramCounts(bounds: HistogramCounts.secondsBounds)
        /// Bytes of bodies.
        var bytesReceived: UInt64 = 0
        var bytesSent: UInt64 = 0

        mutating func add(status: Int, count: UInt64 = 1) {
            for index in statuses.indices where statuses[index].status == status {
                statuses[index].count += count
                return
            }
            statuses.append((status, count))
        }

        mutating func add(_ status: Int, _ nanoseconds: UInt64, _ exchange: Exchange) {
            add(status: status)
            seconds.add(Double(nanoseconds) * 1e-9)
            bytesReceived &+= exchange.bytesReceived
            bytesSent &+= exchange.bytesSent
        }

        mutating func add(_ other: Counts) {
            for (status, count) in other.statuses { add(status: status, count: count) }
            seconds.add(other.seconds)
            bytesReceived += other.bytesReceived
            bytesSent += other.bytesSent
        }
    }

    private struct Share {
        /// By ``Operation/index``; the last is of requests that ask for nothing that is known.
        var operations = [Counts?](repeating: nil, count: Operation.allCases.count + 1)
        /// Of all operations; it only grows (``LatencyReader``).
        var latency = LatencyCounts()
    }

    private final class Stripe: Sendable {
        let share = Mutex(Share())
    }

    /// Taken in turn, so that requests hardly ever wait for one another.
    private let stripes = (0..<8).map { _ in Stripe() }
    private let turn = Atomic<Int>(0)
    private let errors = Mutex<[String: UInt64]>([:])
    private let refused = Atomic<UInt64>(0)

    package init() {}

    /// A request was refused at its head. It is an answer like others, but took no time that says anything, so it is in none of
    /// the histograms, and in none of the totals: those are of what the server worked at.
    package func countRefused() { refused.wrappingAdd(1, ordering: .relaxed) }

    func count(_ response: ServiceResponse, _ exchange: Exchange) {
        let (whole, atto) = exchange.duration.components
        let nanoseconds = UInt64(max(0, whole)) &* 1_000_000_000 &+ UInt64(max(0, atto) / 1_000_000_000)
        let place = response.kind?.index ?? Operation.allCases.count
        let stripe = turn.wrappingAdd(1, ordering: .relaxed).oldValue & (stripes.count - 1)
        stripes[stripe].share.withLock { share in
            share.latency.add(nanoseconds: nanoseconds)
            if share.operations[place] == nil { share.operations[place] = Counts() }
            share.operations[place]?.add(response.status.code, nanoseconds, exchange)
        }
        if let code = response.errorCode { errors.withLock { $0[code, default: 0] += 1 } }
    }

    /// How long all requests took so far.
    var latency: LatencyCounts {
        var all = LatencyCounts()
        for stripe in stripes { all.add(stripe.share.withLock { $0.latency }) }
        return all
    }

    /// Requests and bytes of all operations so far.
    struct Totals: Sendable {
        var requests: UInt64 = 0
        /// Answered with a status of 500 or more.
        var failures: UInt64 = 0
        /// Bytes of bodies.
        var bytesReceived: UInt64 = 0
        var bytesSent: UInt64 = 0
    }

    var totals: Totals {
        var totals = Totals()
        for stripe in stripes {
            stripe.share.withLock { share in
                for counts in share.operations {
                    guard let counts else { continue }
                    for (status, count) in counts.statuses {
                        totals.requests += count
                        if status >= 500 { totals.failures += count }
                    }
                    totals.bytesReceived += counts.bytesReceived
                    totals.bytesSent += counts.bytesSent
                }
            }
        }
        return totals
    }

    /// What was counted of each operation that somebody asked for.
    var all: [(operation: String, counts: Counts)] {
        var all = [Counts?](repeating: nil, count: Operation.allCases.count + 1)
        for stripe in stripes {
            let operations = stripe.share.withLock { $0.operations }
            for (place, counts) in operations.enumerated() {
                guard let counts else { continue }
                if all[place] == nil { all[place] = Counts() }
                all[place]?.add(counts)
            }
        }
        let names = Dictionary(uniqueKeysWithValues: Operation.allCases.map { ($0.index, $0.rawValue) })
        return all.enumerated().compactMap { place, counts in
            counts.map { (names[place] ?? Operation.unknownName, $0) }
        }.sorted { $0.0 < $1.0 }
    }

    /// Answers by operation and status, those at the head among them.
    package var answers: [(operation: String, status: Int, count: UInt64)] {
        let worked = all.flatMap { operation, counts in
            counts.statuses.sorted { $0.status < $1.status }.map { (operation, $0.status, $0.count) }
        }
        let refused = refused.load(ordering: .relaxed)
        return worked + (refused > 0 ? [(Self.refusedName, S3ErrorCode.slowDown.status, refused)] : [])
    }

    /// Error responses by their S3 code.
    package var errorCodes: [(code: String, count: UInt64)] {
        var codes = errors.withLock { $0 }
        let refused = refused.load(ordering: .relaxed)
        if refused > 0 { codes[S3ErrorCode.slowDown.name, default: 0] += refused }
        return codes.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }
}
