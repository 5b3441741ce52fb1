import HTTPTypes
import Model
import ObjectStore
import Synchronization

/// How the S3 protocol is spoken.
public struct S3Settings: Sendable {
    /// The region that signatures must name, and that buckets are in.
    public var region = "us-east-1"
    /// Names under which the first label of the `Host` header is a bucket.
    public var domains = ["localhost"]
    /// Whether requests signed with Signature V2 are taken.
    public var allowsSignatureV2 = false
    /// Whether new buckets belong to their owner alone and are blocked to the public, as on Amazon S3 since 2023.
    public var locksNewBuckets = true
    /// How long the days of lifecycle rules are.
    public var lifecycleDaySeconds: UInt64 = 86_400

    public var encryption = EncryptionSettings()

    public init() {}
}

/// The S3 protocol over an object store: a request in, a response out.
///
/// It runs on a thread that may wait for the catalog's file; a request takes one such thread while it works,
/// and none while it waits for bytes or for a commit.
public struct S3Service: Sendable {
    let store: ObjectStore
    let settings: S3Settings
    let authenticator: Authenticator
    /// The records that requests leave for their buckets' access logs.
    public let accessLogs: AccessLogs
    let clock: @Sendable () -> Timestamp
    /// Told of each error whose reason a client is not shown: "request id", operation, reason.
    let onFault: @Sendable (_ requestID: String, _ operation: String, _ reason: String) -> Void

    public init(
        store: ObjectStore, settings: S3Settings, identities: any IdentitySource,
        clock: @escaping @Sendable () -> Timestamp = { .now() },
        onFault: @escaping @Sendable (_ requestID: String, _ operation: String, _ reason: String) -> Void
    ) {
        self.store = store
        self.settings = settings
        self.clock = clock
        self.onFault = onFault
        accessLogs = AccessLogs(store: store, encryption: settings.encryption)
        authenticator = Authenticator(
            identities: identities, region: settings.region, allowsSignatureV2: settings.allowsSignatureV2,
            clock: clock)
    }

    /// Answers a request; every error is an S3 error response.
    public func respond(to request: ServiceRequest) async -> ServiceResponse {
        let requestID = Self.newRequestID()
        let watch = request.watch
        watch?.isCalled(requestID)
        var operation: Operation?
        var sharedTarget: RequestTarget?
        var access: AccessNote.Sender?
        var trail: AccessTrail?
        var sender: String?
        var response: ServiceResponse
        do {
            let target =
                try request.target
                ?? RequestTarget(
                    uri: request.head.path ?? "", host: request.head.authority, domains: settings.domains)
            sharedTarget = target
            watch?.isAbout(target)
            if accessLogs.isUsed { access = AccessNote.Sender(target) }
            // A preflight has no signature, and a form's is among its fields; an unknown operation is told of to
            // known senders only.
            let isUnsigned =
                request.head.method == .options || Self.mayBeForm(request.head, target)
            let (identity, payload) =
                isUnsigned
                ? (.anonymous, .unsigned)
                : try watch.step(RequestWatch.Step.signature) {
                    try authenticator.authenticate(request.head, target)
                }
            sender = identity.isAnonymous ? nil : identity.accessKey
            watch?.isFrom(identity)
            access?.userID = identity.isAnonymous ? nil : identity.userID
            let found: Operation
            do { found = try Operation(request.head, target) } catch
                where identity.isAnonymous && !isUnsigned
            {
                throw Self.accessDenied
            }
            operation = found
            var call = S3Call(
                head: request.head, target: target, identity: identity, requestID: requestID,
                payload: payload, body: request.body, peer: request.peer,
                tlsVersion: request.tlsVersion)
            if access != nil { call.trail = AccessTrail() }
            call.watch = watch
            trail = call.trail
            if found.mayDecideByBody { try await readConditions(of: found, &call) }
            // The sender of a form is known when its fields are read.
            if found != .postObject {
                call.bucketCreated = try watch.step(RequestWatch.Step.catalog) { try authorize(found, call) }
            }
            response = try await performDiscreetly(found, call)
        } catch {
            response = failure(error, request.head, requestID: requestID, operation: operation)
        }
        if let origin = request.head.headerFields[.origin], operation != .preflight, let sharedTarget {
            share(&response, with: origin, request.head, sharedTarget)
        }
        response.kind = operation
        // Who sends a body under another's head, which was seen on the way, is not its sender.
        let isForged = response.errorCode == S3ErrorCode.signatureDoesNotMatch.name
        response.sender = isForged ? nil : sender
        response.headers[.amzRequestID] = requestID
        response.headers[.amzHostID] = hostID
        if watch != nil { response.watch = watch }
        if var access {
            // Who signed a form is known since its fields were read.
            if let sender = trail?.sender { access.userID = sender }
            response.access = accessLogs.note(
                access, operation, trail, requestID: requestID, hostID: hostID)
        }
        return response
    }

    /// The response to a request whose object turned out unreadable before a byte of it was sent.
    public func failure(_ error: any Error, _ head: HTTPRequest, replacing response: ServiceResponse)
        -> ServiceResponse
    {
        let requestID = response.headers[.amzRequestID] ?? Self.newRequestID()
        var failure = failure(error, head, requestID: requestID, operation: response.kind)
        Self.keepSharing(of: response, in: &failure)
        failure.headers[.amzRequestID] = requestID
        failure.headers[.amzHostID] = hostID
        failure.access = response.access
        failure.watch = response.watch
        failure.sender = response.sender
        return failure
    }

    private func failure(
        _ error: any Error, _ head: HTTPRequest, requestID: String, operation: Operation?
    ) -> ServiceResponse {
        let told = S3Error(error)
        if S3Error.isFault(error) {
            onFault(requestID, operation?.rawValue ?? Operation.unknownName, "\(error)")
        }
        var response = ServiceResponse(.init(code: told.code.status), headers: told.headers)
        response.errorCode = told.code.name
        response.kind = operation
        guard head.method != .head, told.code.status != 304 else { return response }
        let document = XMLWriter("Error", isNamespaced: false) { xml in
            xml.element("Code", told.code.name)
            xml.element("Message", told.message)
            for detail in told.details { xml.element(named: detail.name, detail.value) }
            xml.element("Resource", head.path?.split(separator: "?").first ?? "/")
            xml.element("RequestId", requestID)
            xml.element("HostId", hostID)
        }
        response.headers[.contentType] = "application/xml"
        response.body = .bytes(document.bytes)
        return response
    }

    private var hostID: String { store.storeID.description }

    /// Sixteen digits: counted up from a random number, which costs no system call a request.
    private static func newRequestID() -> String {
        let number = lastRequest.wrappingAdd(0x9E37_79B9_7F4A_7C15, ordering: .relaxed).newValue
        return withUnsafeBytes(of: number.bigEndian) { Array($0) }.hexadecimal.uppercased()
    }

    private static let lastRequest = Atomic<UInt64>(UInt64.random(in: .min ... .max))
}
