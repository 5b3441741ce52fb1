import NIOCore
import NIOHTTP1
import Synchronization

/// The answer to a request that is turned away: `503 SlowDown`, made beforehand as far as it can be, because turning
/// somebody away must cost next to nothing when it matters.
///
/// Source: Amazon S3 API Reference, "Error responses": `SlowDown`, 503.
struct Refusal: Sendable {
    private static let message = "Please reduce your request rate."
    private static let document = ByteBuffer(
        string: "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            + "<Error><Code>SlowDown</Code><Message>\(message)</Message></Error>")
    /// Seconds, as said where nobody knows how long it takes.
    private static let usualWait = 1
    private static let longestWait = 3600
    private static let usual = headers(retryAfter: usualWait)
    private static let lastRequest = Atomic<UInt64>(UInt64.random(in: .min ... .max))

    let reason: RefusalReason
    /// Of the request.
    let outline: RequestOutline
    private let headers: HTTPHeaders

    /// - Parameter retryAfter: `nil` where nobody knows.
    init(_ reason: RefusalReason, _ outline: RequestOutline, retryAfter: TimeAmount? = nil) {
        self.reason = reason
        self.outline = outline
        guard let retryAfter else {
            headers = Self.usual
            return
        }
        let seconds = Int((retryAfter.nanoseconds + 999_999_999) / 1_000_000_000)
        headers = Self.headers(retryAfter: max(Self.usualWait, min(Self.longestWait, seconds)))
    }

    private static func headers(retryAfter: Int) -> HTTPHeaders {
        [
            "Content-Type": "application/xml", "Content-Length": "\(document.readableBytes)",
            "Retry-After": "\(retryAfter)", "Server": "Holdfast",
        ]
    }

    func head(date: String) -> HTTPResponseHead {
        var headers = headers
        headers.add(name: "Date", value: date)
        headers.add(name: "x-amz-request-id", value: Self.newRequestID())
        return HTTPResponseHead(version: .http1_1, status: .serviceUnavailable, headers: headers)
    }

    /// The body of the answer; none for a HEAD, whose answer says how long it would have been.
    func body(for method: HTTPMethod) -> ByteBuffer? { method == .HEAD ? nil : Self.document }

    private static func newRequestID() -> String {
        let number = lastRequest.wrappingAdd(0x9E37_79B9_7F4A_7C15, ordering: .relaxed).newValue
        let digits = String(number, radix: 16, uppercase: true)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }

    // MARK: Whole answers, for connections that get no further

    private static let headOfConnection =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/xml\r\n"
        + "Content-Length: \(document.readableBytes)\r\nRetry-After: \(usualWait)\r\n"
        + "Server: Holdfast\r\nConnection: close\r\n\r\n"
    private static let ofConnection = ByteBuffer(string: headOfConnection + String(buffer: document))
    private static let ofConnectionToHead = ByteBuffer(string: headOfConnection)

    /// To a connection more than there may be.
    static func ofConnection(isHead: Bool) -> ByteBuffer { isHead ? ofConnectionToHead : ofConnection }

    /// To a client whose request does not come to the end of its head.
    ///
    /// Source: RFC 9110, 15.5.9; the code is S3's for a client that is too slow.
    static let ofSlowHead: ByteBuffer = {
        let document =
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>RequestTimeout</Code><Message>"
            + "Your socket connection to the server was not read from or written to within the timeout period."
            + "</Message></Error>"
        return ByteBuffer(
            string: "HTTP/1.1 408 Request Timeout\r\nContent-Type: application/xml\r\n"
                + "Content-Length: \(document.utf8.count)\r\nServer: Holdfast\r\nConnection: close\r\n\r\n\(document)"
        )
    }()
}
