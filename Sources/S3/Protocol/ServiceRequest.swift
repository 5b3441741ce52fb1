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

    public init(head: HTTPRequest, body: any RequestBody) {
        self.head = head
        self.body = body
    }
}
