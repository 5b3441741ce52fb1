import Foundation
import Integrity
import Synchronization

/// Counts every two seconds what was answered and moved since, and remembers it for five minutes.
final class ThroughputSampler: Sendable {
    static let interval = 2.0
    static let count = 150
    /// What "now" means: so many of them.
    private static let recent = 5

    private struct Sample {
        let seconds: Double
        let totals: RequestMetrics.Totals
        let latency: LatencyCounts?

        var point: ThroughputFacts.Point {
            var point = ThroughputFacts.Point()
            point.requestsPerSecond = Double(totals.requests) / seconds
            point.receivedPerSecond = Double(totals.bytesReceived) / seconds
            point.sentPerSecond = Double(totals.bytesSent) / seconds
            point.failuresPerSecond = Double(totals.failures) / seconds
            return point
        }
    }

    private struct State {
        var last: (uptime: Double, totals: RequestMetrics.Totals)
        var samples: [Sample] = []
    }

    private let metrics: RequestMetrics
    private let latency: LatencyReader
    private let state: Mutex<State>

    init(_ metrics: RequestMetrics) {
        self.metrics = metrics
        latency = LatencyReader { metrics.latency }
        state = Mutex(State(last: (ProcessInfo.processInfo.systemUptime, metrics.totals)))
    }

    /// Until the task is cancelled.
    func run() async {
        while true {
            do { try await Task.sleep(for: .seconds(Self.interval)) } catch { return }  // cancelled
            sample()
        }
    }

    private func sample() {
        let totals = metrics.totals
        let counts = latency.take()
        let now = ProcessInfo.processInfo.systemUptime
        state.withLock { state in
            let seconds = now - state.last.uptime
            guard seconds > 0 else { return }
            let sample = Sample(
                seconds: seconds, totals: totals.since(state.last.totals),
                latency: counts.count > 0 ? counts : nil)
            state.samples.append(sample)
            if state.samples.count > Self.count { state.samples.removeFirst() }
            state.last = (now, totals)
        }
    }

    /// All but what the connections know.
    var facts: ThroughputFacts {
        let samples = state.withLock { $0.samples }
        var facts = ThroughputFacts()
        facts.history = samples.map(\.point)
        let recent = samples.suffix(Self.recent)
        guard !recent.isEmpty else { return facts }
        var totals = RequestMetrics.Totals()
        var latency = LatencyCounts()
        for sample in recent {
            totals.add(sample.totals)
            if let counts = sample.latency { latency.add(counts) }
        }
        let seconds = recent.reduce(0) { $0 + $1.seconds }
        facts.now = Sample(seconds: seconds, totals: totals, latency: nil).point
        facts.median = latency.quantile(0.5).map { $0 / 1_000_000 }
        facts.p99 = latency.quantile(0.99).map { $0 / 1_000_000 }
        return facts
    }
}

extension RequestMetrics.Totals {
    func since(_ earlier: Self) -> Self {
        .init(
            requests: requests - earlier.requests, failures: failures - earlier.failures,
            bytesReceived: bytesReceived - earlier.bytesReceived, bytesSent: bytesSent - earlier.bytesSent)
    }

    mutating func add(_ other: Self) {
        requests += other.requests
        failures += other.failures
        bytesReceived += other.bytesReceived
        bytesSent += other.bytesSent
    }
}
