import Foundation

/// A server to put load on.
struct LoadTarget: Sendable {
    let endpoint: Endpoint
    let credentials: RequestSigner.Credentials
    /// `nil` where it runs on another machine, or nobody said.
    let process: ProcessFigures?
    var isSigned = true
    var threads = 1

    func createBucket(_ bucket: String) throws {
        var plan = plan(.createBucket, bucket, "", 1)
        plan.requestLimit = 1
        let result = try LoadGenerator.run(plan)
        guard result.failures == 0 || result.firstFailure.contains("BucketAlreadyOwnedByYou") else {
            throw LoadError("cannot create bucket \(bucket): \(result.firstFailure)")
        }
    }

    /// Puts objects, unmeasured.
    @discardableResult
    func put(_ count: Int, of size: Int, bucket: String, prefix: String) throws -> LoadResult {
        var plan = plan(.put(size: size), bucket, prefix, size > 1 << 20 ? 2 : 64)
        plan.requestLimit = count
        return try all(plan)
    }

    /// Gets each of `count` objects once, unmeasured: then they are in the page cache.
    func warm(_ count: Int, of size: Int, bucket: String, prefix: String) throws {
        var plan = plan(.get(size: size, keys: count), bucket, prefix, size > 1 << 20 ? 1 : 16)
        plan.requestLimit = count
        try all(plan)
    }

    @discardableResult
    private func all(_ plan: LoadPlan) throws -> LoadResult {
        let result = try LoadGenerator.run(plan)
        guard result.failures == 0 else {
            throw LoadError("\(result.failures) requests failed; the first: \(result.firstFailure)")
        }
        return result
    }

    func measure(
        _ operation: LoadOperation, bucket: String, prefix: String, connections: Int, seconds: Double,
        requestLimit: Int = .max
    ) throws -> MeasuredLoad {
        var plan = plan(operation, bucket, prefix, connections)
        plan.seconds = seconds
        plan.requestLimit = requestLimit
        let before = try process?.cpuSeconds()
        let result = try LoadGenerator.run(plan)
        let after = try process?.cpuSeconds()
        var server: Double?
        if let before, let after { server = after - before }
        return MeasuredLoad(result, serverSeconds: server, peakMebibytes: try process?.peakMebibytes())
    }

    /// As ``measure(_:bucket:prefix:connections:seconds:requestLimit:)``, at a rate of its own.
    func flood(
        _ operation: LoadOperation, bucket: String, prefix: String, connections: Int, seconds: Double,
        rate: Double, isPolite: Bool
    ) throws -> FloodResult {
        var plan = plan(operation, bucket, prefix, connections)
        plan.seconds = seconds
        return try FloodGenerator(plan: plan, rate: rate, isPolite: isPolite).run()
    }

    private func plan(
        _ operation: LoadOperation, _ bucket: String, _ prefix: String, _ connections: Int
    ) -> LoadPlan {
        var plan = LoadPlan(
            operation, endpoint, credentials, bucket: bucket, prefix: prefix, connections: connections,
            isSigned: isSigned)
        plan.threads = min(threads, connections)
        return plan
    }
}

/// The figures of a phase, as they are printed.
struct MeasuredLoad: Sendable, Encodable {
    let requests: Int
    let failures: Int
    let firstFailure: String
    let seconds: Double
    let requestsPerSecond: Double
    let megabytesPerSecond: Double
    let medianMilliseconds: Double
    let percentile99Milliseconds: Double
    let clientSecondsPer1000: Double
    let serverSecondsPer1000: Double?
    let serverPeakMebibytes: Double?

    init(_ result: LoadResult, serverSeconds: Double?, peakMebibytes: Double?) {
        let thousands = Double(max(result.requests, 1)) / 1000
        let latencies = result.latencies.sorted()
        requests = result.requests
        failures = result.failures
        firstFailure = result.firstFailure
        seconds = result.seconds
        requestsPerSecond = result.requestsPerSecond
        megabytesPerSecond = result.megabytesPerSecond
        medianMilliseconds = LoadResult.percentile(0.5, of: latencies)
        percentile99Milliseconds = LoadResult.percentile(0.99, of: latencies)
        clientSecondsPer1000 = result.clientSeconds / thousands
        serverSecondsPer1000 = serverSeconds.map { $0 / thousands }
        serverPeakMebibytes = peakMebibytes
    }

    var text: String {
        var lines = [
            String(
                format: "%d requests in %.2f s: %.0f/s, %.1f MB/s", requests, seconds, requestsPerSecond,
                megabytesPerSecond),
            String(format: "latency: p50 %.3f ms, p99 %.3f ms", medianMilliseconds, percentile99Milliseconds),
            String(format: "client: %.3f CPU seconds per 1,000 requests", clientSecondsPer1000),
        ]
        if let serverSecondsPer1000 {
            lines.append(String(format: "server: %.3f CPU seconds per 1,000 requests", serverSecondsPer1000))
        }
        if let serverPeakMebibytes {
            lines.append(String(format: "server: at most %.0f MiB resident", serverPeakMebibytes))
        }
        if failures > 0 { lines.append("\(failures) requests FAILED; the first:\n\(firstFailure)") }
        return lines.joined(separator: "\n")
    }

    func json() throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(self), as: UTF8.self)
    }
}
