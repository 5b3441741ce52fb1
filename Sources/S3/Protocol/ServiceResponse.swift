import HTTPTypes
import Model
import ObjectStore

/// What a request comes to.
public struct ServiceResponse: Sendable {
    public enum Body: Sendable {
        case none
        case bytes([UInt8])
        /// Bytes of an object, `length` of them, each verified as it is read.
        case object(ObjectReader, length: UInt64)
    }

    public var status: HTTPResponse.Status
    public var headers: HTTPFields
    public var body: Body
    /// What was asked for; `nil` for what is no operation, and before it is known.
    package var kind: Operation?
    /// The access key that the request's head was found to be signed with; `nil` where that was not found out, and for one
    /// without a signature.
    package var sender: String?
    /// The S3 error code; `nil` for a success.
    public var errorCode: String?
    /// What the access log is to say of it; `nil` where nothing is logged.
    public var access: AccessNote?
    /// What was told of the request; `nil` if nobody watched.
    public var watch: RequestWatch?

    public init(_ status: HTTPResponse.Status, headers: HTTPFields = [:], body: Body = .none) {
        self.status = status
        self.headers = headers
        self.body = body
        kind = nil
        sender = nil
        errorCode = nil
        access = nil
        watch = nil
    }

    /// The S3 API's name of what was asked for: for logs and metrics.
    public var operation: String { kind?.rawValue ?? Operation.unknownName }

    /// An XML document.
    init(_ status: HTTPResponse.Status = .ok, xml: XMLWriter) {
        self.init(status, headers: [.contentType: "application/xml"], body: .bytes(xml.bytes))
    }

    /// Adds where the change that the response reports stands in the log, and on how many volumes.
    mutating func stamp(_ commit: Commit) {
        headers[.holdfastSequence] = commit.sequence.description
        headers[.holdfastReplicas] = String(commit.replicas)
    }
}
