import AsyncHTTPClient
import Digests
import Foundation
import Model
import NIOCore
import NIOHTTP1

/// How a delivery came out.
package enum DeliveryOutcome: Sendable, Equatable {
    case delivered
    /// It may succeed another time. An answer is a word of the other side about this delivery, and not that it is away, busy
    /// or full.
    case failed(String, isAnswer: Bool = false)
    /// It will be refused every time.
    case refused(String)
}

/// What carries notifications away.
package protocol SinkTransport: Sendable {
    /// `webhook` …
    var kind: String { get }
    /// Where to, without secrets.
    var target: String { get }
    /// Whether each record goes by itself, so that one that is refused keeps none of the others back.
    var takesRecordsSingly: Bool { get }
    /// Returns when whoever is told has confirmed that all of it is taken, or will not.
    func deliver(_ delivery: Delivery) async -> DeliveryOutcome
    /// Nothing is delivered after this.
    func close() async
}

extension SinkTransport {
    package var takesRecordsSingly: Bool { false }
    package func close() async {}
}

/// Posts notifications to a URL, signed with a secret that both sides know.
///
/// `X-Holdfast-Signature: t=SECONDS,v1=HEX` has HMAC-SHA256 over `SECONDS.BODY`: who checks it, and that the time is near,
/// knows who sent it, that nothing was changed, and that it is no old one sent again. An answer 2xx means taken; 408,
/// 425, 429 and 5xx, and no answer in time, that it is tried again; any other that it is refused.
package struct Webhook: SinkTransport {
    /// What says nothing of the delivery: a time-out, too early, too many; and what those in between say whose server is
    /// away, or a server that is.
    private static let absences: Set<Int> = [408, 425, 429, 502, 503, 504]
    private static let client = HTTPClient(
        eventLoopGroupProvider: .singleton,
        configuration: .init(
            redirectConfiguration: .disallow, timeout: .init(connect: .seconds(5)),
            connectionPool: .init(idleTimeout: .seconds(60)), decompression: .disabled))

    private let url: String
    private let secret: [UInt8]?
    private let name: String
    private let deadline: TimeAmount
    private let now: @Sendable () -> Timestamp

    package init(
        name: String, url: String, secret: String?, deadlineSeconds: Int,
        now: @escaping @Sendable () -> Timestamp = { .now() }
    ) {
        self.name = name
        self.url = url
        self.secret = secret.map { Array($0.utf8) }
        deadline = .seconds(Int64(deadlineSeconds))
        self.now = now
    }

    package var kind: String { "webhook" }

    package var target: String {
        guard var parts = URLComponents(string: url) else { return "" }
        (parts.user, parts.password, parts.query, parts.fragment) = (nil, nil, nil, nil)
        return parts.string ?? ""
    }

    package static func signature(_ body: [UInt8], seconds: UInt64, secret: [UInt8]) -> String {
        let signed = HMACSHA256.authenticate(Array("\(seconds).".utf8) + body, key: secret)
        return "t=\(seconds),v1=\(signed.hexadecimal)"
    }

    package func deliver(_ delivery: Delivery) async -> DeliveryOutcome {
        let body = delivery.body
        let sequences = delivery.sequences
        var request = HTTPClientRequest(url: url)
        request.method = .POST
        request.headers.add(name: "Content-Type", value: "application/json")
        request.headers.add(name: "User-Agent", value: "Holdfast")
        request.headers.add(name: "X-Holdfast-Sink", value: name)
        request.headers.add(
            name: "X-Holdfast-Sequence", value: "\(sequences.lowerBound)-\(sequences.upperBound)")
        if let secret {
            request.headers.add(
                name: "X-Holdfast-Signature",
                value: Self.signature(body, seconds: now().seconds, secret: secret))
        }
        request.body = .bytes(ByteBuffer(bytes: body))
        do {
            let answer = try await Self.client.execute(request, timeout: deadline)
            return Self.outcome(status: Int(answer.status.code))
        } catch {
            return .failed("\(error)")
        }
    }
    package static func outcome(status: Int) -> DeliveryOutcome {
        switch status {
        case 200..<300: .delivered
        case 408, 425, 429, 500...:
            .failed("it answered \(status)", isAnswer: !absences.contains(status))
        default: .refused("it answered \(status)")
        }
    }
}
