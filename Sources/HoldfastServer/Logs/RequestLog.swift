import HTTPTypes
import Logging
import Model
import NIOCore
import NIOHTTP1
import S3

/// A line for each request, or for each that failed: the fields of an S3 access log, the request's id and its trace.
/// Neither signatures nor secrets are among them.
package struct RequestLog: Sendable {
    private let logger: Logger
    private let mode: WatchSettings.RequestLog

    /// With the log's level at `debug` every request has its line.
    package init(_ logger: Logger, _ mode: WatchSettings.RequestLog) {
        self.logger = logger
        self.mode = logger.logLevel <= .debug ? .all : mode
    }

    /// Whether anything is to be known of a request while it is worked at.
    var isUsed: Bool { mode != .off }

    func write(
        _ request: HTTPRequest, _ response: ServiceResponse, _ exchange: Exchange, trace: String?
    ) {
        let status = response.status.code
        guard mode == .all || (mode == .errors && status >= 400 && status != 404 && status != 412) else {
            return
        }
        let path = RedactedPath.text(request.path ?? "/").printable
        let seconds = exchange.duration.inSeconds
        let facts = exchange.facts
        var metadata: Logger.Metadata = [
            "operation": .string(response.operation), "method": .string(request.method.rawValue),
            "path": .string(path), "status": .stringConvertible(status),
            "bytesSent": .stringConvertible(exchange.bytesSent),
            "bytesReceived": .stringConvertible(exchange.bytesReceived),
            "seconds": .stringConvertible(Self.rounded(seconds)),
            "turnAroundSeconds": .stringConvertible(Self.rounded(facts.turnAround.inSeconds)),
        ]
        func add(_ name: String, _ value: String?) {
            if let value, !value.isEmpty { metadata[name] = .string(value.printable) }
        }
        add("request", response.watch?.requestID)
        add("trace", trace)
        add("requester", response.watch?.userID)
        add("bucket", response.watch?.bucket)
        add("key", response.watch?.key)
        add("version", response.watch?.versionID)
        add("error", response.errorCode)
        add("remote", facts.remoteAddress)
        add("tls", facts.tlsVersion)
        add("host", request.authority)
        add("referer", request.headerFields[.referer].map(RedactedPath.text))
        add("userAgent", request.headerFields[.userAgent])
        // Written with the log's level at `notice`, as it is unless somebody wants less.
        let level: Logger.Level = status >= 500 ? .error : status >= 400 ? .warning : .notice
        logger.log(
            level: level, "\(request.method.rawValue) \(path) \(status) \(response.errorCode ?? "-")",
            metadata: metadata)
    }

    /// A request that was turned away at its head.
    /// - Parameter leftOut: how many have no line that were turned away since the last one that has.
    package func write(_ refused: RefusedRequest, leftOut: UInt64) {
        guard isUsed else { return }
        let method = refused.head.method.rawValue.printable
        let path = RedactedPath.text(refused.head.uri).printable
        let code = S3ErrorCode.slowDown
        var metadata: Logger.Metadata = [
            "operation": .string(RequestMetrics.refusedName), "method": .string(method),
            "path": .string(path), "status": .stringConvertible(code.status), "error": .string(code.name),
            "class": .string(refused.outline.kind.word), "reason": .string(refused.reason.word),
            "leftOut": .stringConvertible(leftOut),
        ]
        func add(_ name: String, _ value: String?) {
            if let value, !value.isEmpty { metadata[name] = .string(value.printable) }
        }
        add("claimedAccessKey", refused.outline.accessKey)
        add("bucket", refused.outline.bucket)
        add("remote", refused.address?.ipAddress)
        add("host", refused.head.headers.first(name: "host"))
        add("userAgent", refused.head.headers.first(name: "user-agent"))
        // No fault of the server's: somebody asks for more than there is, or than they may.
        logger.log(level: .warning, "\(method) \(path) \(code.status) \(code.name)", metadata: metadata)
    }

    /// To the microsecond.
    private static func rounded(_ seconds: Double) -> Double { (seconds * 1_000_000).rounded() / 1_000_000 }
}
