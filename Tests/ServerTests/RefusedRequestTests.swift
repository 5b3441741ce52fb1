import Foundation
import HoldfastServer
import Logging
import NIOCore
import NIOHTTP1
import Synchronization
import Testing

/// What is left of requests that are turned away at their head.
@Suite struct RefusedRequestTests {
    private static func moment(_ milliseconds: Int64) -> NIODeadline {
        .uptimeNanoseconds(3_600_000_000_000) + .milliseconds(milliseconds)
    }

    /// The lines that a log of this kind has of one refused request.
    private func lines(_ mode: WatchSettings.RequestLog) throws -> [[String: Any]] {
        let lines = Mutex<[String]>([])
        let made = JSONLogHandler(label: "holdfast") { line in lines.withLock { $0.append(line) } }
        let log = RequestLog(Logger(label: "holdfast", factory: { _ in made }), mode)
        let head = HTTPRequestHead(
            version: .http1_1, method: .GET,
            uri: "/photos/a.jpg?X-Amz-Credential=AKIAONE%2F20260101%2Feu&X-Amz-Signature=0123456789abcdef",
            headers: ["Host": "s3.example", "User-Agent": "tester"])
        let outline = RequestOutline(head, domains: [], needsNames: true)
        let address = try SocketAddress(ipAddress: "192.0.2.7", port: 4711)
        log.write(RefusedRequest(head, outline, .keyRate, from: address), leftOut: 41)
        return try lines.withLock { $0 }.compactMap {
            try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
        }
    }

    @Test func aLineSaysWhoAskedForWhatAndWhyItWasRefused() throws {
        for mode in [WatchSettings.RequestLog.errors, .all] {
            let found = try lines(mode)
            #expect(found.count == 1)
            let line = try #require(found.first)
            let texts = [
                "method": "GET", "error": "SlowDown", "operation": "Refused", "class": "read",
                "reason": "key-rate", "claimedAccessKey": "AKIAONE", "bucket": "photos",
                "remote": "192.0.2.7", "host": "s3.example", "userAgent": "tester", "level": "warning",
            ]
            for (name, value) in texts { #expect(line[name] as? String == value, "\(name)") }
            #expect(line["status"] as? Int == 503 && line["leftOut"] as? Int == 41)
            let path = try #require(line["path"] as? String)
            #expect(path.hasPrefix("/photos/a.jpg") && !path.contains("0123456789abcdef"))
        }
    }

    @Test func withoutARequestLogThereIsNone() throws { #expect(try lines(.off).isEmpty) }

    @Test func aFloodHasTenLinesASecondAndEachSaysHowManyHaveNone() {
        let budget = LineBudget()
        func ask(_ count: Int, at now: NIODeadline) -> [UInt64] {
            (0..<count).compactMap { _ in
                let leftOut = budget.take(at: now)
                if leftOut != nil { budget.wrote() }
                return leftOut
            }
        }
        let ten = LineBudget.linesPerSecond
        #expect(ask(1000, at: Self.moment(0)) == [UInt64](repeating: 0, count: ten))
        #expect(ask(500, at: Self.moment(999)) == [])
        #expect(ask(3, at: Self.moment(1000)) == [UInt64(1500 - ten), 0, 0])
    }

    @Test func linesThatNobodyTakesAreNotHeapedUp() {
        let budget = LineBudget()
        let taken = (0..<100).filter { second in budget.take(at: Self.moment(Int64(second) * 2000)) != nil }
        #expect(taken.count == LineBudget.linesPerSecond)
        budget.wrote()
        #expect(budget.take(at: Self.moment(1_000_000)) == UInt64(100 - LineBudget.linesPerSecond))
    }

    @Test func theyAreCountedAmongTheAnswersAndTheErrors() {
        let metrics = RequestMetrics()
        #expect(metrics.answers.isEmpty && metrics.errorCodes.isEmpty)
        for _ in 0..<3 { metrics.countRefused() }
        #expect(metrics.answers.map(\.operation) == ["Refused"])
        #expect(metrics.answers.map(\.status) == [503] && metrics.answers.map(\.count) == [3])
        #expect(metrics.errorCodes.map(\.code) == ["SlowDown"])
        #expect(metrics.errorCodes.map(\.count) == [3])
    }
}
