import Foundation
import HTTPTypes
import Model
import ObjectStore
import S3
import Synchronization

/// Decides which requests are traced, and makes spans of what was told of them.
///
/// A request whose sender records its own part is traced too, so that a trace is whole; one whose sender does not is
/// not; of those that say nothing, the set part. What a client says costs no more than the queue holds: what does not
/// fit is dropped and counted.
final class Tracer: Sendable {
    /// Spans that wait to be sent.
    static let queueLimit = 8192

    private struct State {
        var spans: [TraceSpan] = []
        var dropped: UInt64 = 0
    }

    private let ratio: Double
    private let state = Mutex(State())

    /// - Parameter ratio: of the requests that say nothing of a trace, the part that is traced: 0 to 1.
    init(ratio: Double) { self.ratio = ratio }

    /// - Returns: `nil` for a request that is not to be traced.
    func trace(_ head: HTTPRequest) -> TracedRequest? {
        let parent = TraceContext(head.headerFields[values: .traceparent])
        guard parent?.isSampled ?? (Double.random(in: 0..<1) < ratio) else { return nil }
        return TracedRequest(
            traceID: parent?.traceID ?? Self.random(16), parentID: parent?.parentID,
            state: parent == nil ? nil : TraceContext.state(head.headerFields[values: .tracestate]),
            spanID: Self.random(8))
    }

    private static func random(_ count: Int) -> [UInt8] {
        var bytes = (0..<count).map { _ in UInt8.random(in: .min ... .max) }
        // All zero is no id.
        if bytes.allSatisfy({ $0 == 0 }) { bytes[0] = 1 }
        return bytes
    }

    /// Takes a request that has been answered.
    func record(
        _ traced: TracedRequest, _ watch: RequestWatch, _ request: HTTPRequest, _ response: ServiceResponse,
        _ exchange: Exchange
    ) {
        var root = TraceSpan(
            traced, id: traced.spanID, parent: traced.parentID, "S3 \(response.operation)", .server,
            start: watch.start, end: watch.now)
        root.attributes = Self.attributes(watch, request, response, exchange)
        if response.status.code >= 500 { root.status = .init(code: 2) }
        var spans = [root]
        for step in watch.spans {
            var span = TraceSpan(
                traced, id: Self.random(8), parent: traced.spanID, step.name, .within, start: step.start,
                end: step.end)
            if let failure = step.failure {
                span.attributes = [.init("error.type", failure)]
                span.status = .init(code: 2)
            }
            spans.append(span)
        }
        let made = spans
        state.withLock { state in
            guard state.spans.count + made.count <= Self.queueLimit else {
                state.dropped += UInt64(made.count)
                return
            }
            state.spans += made
        }
    }

    private static func attributes(
        _ watch: RequestWatch, _ request: HTTPRequest, _ response: ServiceResponse, _ exchange: Exchange
    ) -> [TraceSpan.Attribute] {
        let path = request.path ?? "/"
        var attributes: [TraceSpan.Attribute] = [
            .init("http.request.method", request.method.rawValue),
            .init("url.scheme", request.scheme ?? "http"),
            .init("url.path", String(path.prefix { $0 != "?" })),
            .init("http.response.status_code", response.status.code),
            .init("rpc.system", "aws-api"), .init("rpc.service", "S3"),
            .init("rpc.method", response.operation),
            .init("http.request.body.size", exchange.bytesReceived),
            .init("http.response.body.size", exchange.bytesSent),
        ]
        func add(_ key: String, _ value: String?) {
            if let value { attributes.append(.init(key, value)) }
        }
        add("aws.request_id", watch.requestID)
        add("aws.s3.bucket", watch.bucket)
        add("aws.s3.key", watch.key)
        add("enduser.id", watch.userID)
        add("error.type", response.errorCode)
        add("client.address", exchange.facts.remoteAddress)
        add("user_agent.original", request.headerFields[.userAgent])
        add("server.address", request.authority)
        return attributes
    }

    /// What waits, up to so many spans.
    func take(_ limit: Int) -> [TraceSpan] {
        state.withLock { state in
            let batch = Array(state.spans.prefix(limit))
            state.spans.removeFirst(batch.count)
            return batch
        }
    }

    func drop(_ count: Int) { state.withLock { $0.dropped += UInt64(count) } }

    var dropped: UInt64 { state.withLock { $0.dropped } }
    var waiting: Int { state.withLock { $0.spans.count } }
}

extension HTTPField.Name {
    static let traceparent = fixed("traceparent")
    static let tracestate = fixed("tracestate")

    /// A name that stands in the program.
    private static func fixed(_ text: String) -> HTTPField.Name {
        guard let name = HTTPField.Name(text) else { preconditionFailure("\(text) is a header's name") }
        return name
    }
}
