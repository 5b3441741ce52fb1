import HTTPTypes
import ObjectStore

/// The bytes of a request as they come in. One task at a time asks.
public protocol RequestBody: AnyObject, Sendable {
    /// The next bytes; `nil` at the end.
    /// - Throws: ``S3Error`` with `IncompleteBody` if the connection ends before the body does.
    func next() async throws -> (any ByteChunk)?
}

/// A request as the transport hands it over.
public struct ServiceRequest: Sendable {
    public let head: HTTPRequest
    public let body: any RequestBody
    /// The sender's address, in numbers; few requests are asked for it.
    public let peer: (@Sendable () -> String?)?
    /// "TLSv1.3"; `nil` without TLS.
    public let tlsVersion: String?
    /// Told of what the request is about and of each step; `nil` for one that nobody watches.
    public var watch: RequestWatch?
    /// What it is addressed to, where the transport has read that already, by the service's own domains; `nil` where it has not,
    /// or could not.
    package var target: RequestTarget?

    public init(
        head: HTTPRequest, body: any RequestBody, tlsVersion: String? = nil,
        peer: (@Sendable () -> String?)? = nil
    ) {
        self.head = head
        self.body = body
        self.peer = peer
        self.tlsVersion = tlsVersion
    }
}
