import Foundation

/// What an open loop of requests came to.
struct FloodResult: Sendable {
    /// Requests that were due, that were sent, and that were not because every connection was waiting.
    var offered = 0
    var sent = 0
    var unsent = 0
    /// Nanoseconds from the first byte of the request to the last of the response, of each 200 and of each 503.
    var latencies: [UInt64] = []
    var refusalLatencies: [UInt64] = []
    var refused = 0
    /// Refused without saying when to come again.
    var withoutRetryAfter = 0
    /// Neither 200 nor 503, or of another length than it should be.
    var failures = 0
    var firstFailure = ""
    /// Connections that ended before their answer.
    var resets = 0
    var firstReset = ""
    /// Connections that were made anew, because they ended or the server said that they would.
    var reconnects = 0
    /// Requests without an answer half a minute after the last was sent.
    var unanswered = 0
    /// In which requests were sent.
    var seconds = 0.0
    var clientSeconds = 0.0

    private struct Figures: Encodable {
        let offered: Int
        let sent: Int
        let unsent: Int
        let good: Int
        let refused: Int
        let withoutRetryAfter: Int
        let failures: Int
        let firstFailure: String
        let resets: Int
        let firstReset: String
        let reconnects: Int
        let unanswered: Int
        let seconds: Double
        let goodPerSecond: Double
        let offeredPerSecond: Double
        let medianMilliseconds: Double
        let percentile99Milliseconds: Double
        let refusalPercentile99Milliseconds: Double
        let clientSeconds: Double
        let serverSeconds: Double?
    }

    /// One JSON object.
    func json(serverSeconds: Double?) throws -> String {
        let good = latencies.sorted()
        let figures = Figures(
            offered: offered, sent: sent, unsent: unsent, good: good.count, refused: refused,
            withoutRetryAfter: withoutRetryAfter, failures: failures, firstFailure: firstFailure,
            resets: resets, firstReset: firstReset, reconnects: reconnects, unanswered: unanswered,
            seconds: seconds, goodPerSecond: Double(good.count) / max(seconds, 0.001),
            offeredPerSecond: Double(offered) / max(seconds, 0.001),
            medianMilliseconds: LoadResult.percentile(0.5, of: good),
            percentile99Milliseconds: LoadResult.percentile(0.99, of: good),
            refusalPercentile99Milliseconds: LoadResult.percentile(0.99, of: refusalLatencies.sorted()),
            clientSeconds: clientSeconds, serverSeconds: serverSeconds)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(figures), as: UTF8.self)
    }
}
