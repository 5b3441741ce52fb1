import HTTPTypes
import Model

/// What the protocol knows of a request that is to be logged: kept beside its response until that has gone out.
public final class AccessNote: Sendable {
    /// Where a request went and who sent it: noted while it is worked at, for it may fail.
    struct Sender {
        let target: RequestTarget
        /// `nil` until it is known, and for anonymous requests.
        var userID: String?

        init(_ target: RequestTarget) { self.target = target }
    }

    /// What a record that is not of the request as a whole says in place of the request's own.
    package struct Part: Sendable {
        let operation: String
        let key: String
        let versionID: String?
        /// `nil` for the response's, which then stands for the part as well.
        var status: Int?
        var errorCode: String?
        var size: UInt64?
    }

    package let bucket: Bucket
    package let rules: LoggingRules
    package let key: String?
    package let requester: String?
    package let versionID: String?
    package let isPresigned: Bool
    package let operation: Operation?
    package let requestID: String
    package let hostID: String
    package let part: Part?
    /// Other records of the same request, maybe of other buckets.
    let further: [AccessNote]

    package init(
        bucket: Bucket, rules: LoggingRules, target: RequestTarget, requester: String?, operation: Operation?,
        requestID: String, hostID: String, part: Part? = nil, further: [AccessNote] = []
    ) {
        self.bucket = bucket
        self.rules = rules
        key = part?.key ?? target.key
        self.part = part
        self.further = further
        self.requester = requester
        versionID = part.map(\.versionID) ?? target.query["versionId"]
        isPresigned = target.query.has("X-Amz-Signature") || target.query.has("Signature")
        self.operation = operation
        self.requestID = requestID
        self.hostID = hostID
    }
}

/// What the transport knows of it when it has gone out.
public struct AccessFacts: Sendable {
    public let remoteAddress: String?
    /// "TLSv1.3"; `nil` without TLS.
    public let tlsVersion: String?
    /// Bytes of the response's body.
    public let bytesSent: UInt64
    public let duration: Duration
    /// From the request to the first byte of its answer.
    public let turnAround: Duration

    public init(
        remoteAddress: String?, tlsVersion: String?, bytesSent: UInt64, duration: Duration,
        turnAround: Duration
    ) {
        self.remoteAddress = remoteAddress
        self.tlsVersion = tlsVersion
        self.bytesSent = bytesSent
        self.duration = duration
        self.turnAround = turnAround
    }
}
