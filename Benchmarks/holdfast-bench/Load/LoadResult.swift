/// What a phase of load measured.
struct LoadResult: Sendable {
    /// Nanoseconds from the first byte of the request to the last of the response, of each good one.
    var latencies: [UInt64] = []
    /// Responses that were not wanted: how many, and the first of them.
    var failures = 0
    var firstFailure = ""
    /// From the first request to the last response.
    var seconds = 0.0
    /// Processor time that the load generator took itself.
    var clientSeconds = 0.0
    /// Bytes of bodies moved, of requests and responses, without heads.
    var byteCount = 0

    var requests: Int { latencies.count }
    var requestsPerSecond: Double { seconds > 0 ? Double(requests) / seconds : 0 }
    var megabytesPerSecond: Double { seconds > 0 ? Double(byteCount) / seconds / 1e6 : 0 }

    mutating func add(_ other: LoadResult) {
        latencies += other.latencies
        failures += other.failures
        if firstFailure.isEmpty { firstFailure = other.firstFailure }
        seconds = max(seconds, other.seconds)
        clientSeconds += other.clientSeconds
        byteCount += other.byteCount
    }

    /// - Parameter fraction: 0.5 for the median.
    /// - Returns: milliseconds; nearest rank.
    static func percentile(_ fraction: Double, of sorted: [UInt64]) -> Double {
        guard !sorted.isEmpty else { return 0 }
        let rank = Int((fraction * Double(sorted.count)).rounded(.up))
        return Double(sorted[min(max(rank, 1), sorted.count) - 1]) / 1e6
    }
}
