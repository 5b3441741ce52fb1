import Digests
import HTTPTypes
import Model

/// What `x-amz-content-sha256` says of a body.
///
/// Source: Amazon S3 API Reference, "Signature Calculations for the Authorization Header".
package enum PayloadForm: Sendable {
    /// `UNSIGNED-PAYLOAD`
    case unsigned
    /// The file of a browser's form, whose length shows at its end.
    case form
    /// 32 bytes that the body must hash to.
    case hash([UInt8])
    /// `aws-chunked`, each chunk signed or none, with or without trailing headers.
    case chunks(ChunkSigner?, hasTrailer: Bool)

    /// Whether the body stands in frames that are no part of the object.
    var isChunked: Bool { if case .chunks = self { true } else { false } }
}

/// What the signatures of a streamed body's chunks are computed with.
package struct ChunkSigner: Sendable {
    package let key: [UInt8]
    package let time: String
    package let scope: String
    /// The signature of the request's head.
    package let seed: String

    package init(key: [UInt8], time: String, scope: String, seed: String) {
        self.key = key
        self.time = time
        self.scope = scope
        self.seed = seed
    }
}

/// Finds out who sent a request, and that nothing of its head was changed on the way.
package struct Authenticator: Sendable {
    /// Seconds by which a request's clock may be off.
    package static let skewLimit: UInt64 = 15 * 60

    let identities: any IdentitySource
    let region: String
    let clock: @Sendable () -> Timestamp
    let allowsSignatureV2: Bool
    let keys = SigningKeyCache()

    package init(
        identities: any IdentitySource, region: String, allowsSignatureV2: Bool = false,
        clock: @escaping @Sendable () -> Timestamp
    ) {
        self.identities = identities
        self.region = region
        self.allowsSignatureV2 = allowsSignatureV2
        self.clock = clock
    }

    package func authenticate(_ head: HTTPRequest, _ target: RequestTarget) throws -> (Identity, PayloadForm)
    {
        if allowsSignatureV2, SignatureV2.signs(head, target) { return try authenticateV2(head, target) }
        guard let claim = try claim(of: head, target) else {
            return (.anonymous, try anonymousPayload(head))
        }
        try checkTime(claim)
        try checkScope(claim)
        let identity = try holder(of: claim.accessKey)
        guard head.headerFields[.amzSecurityToken] == nil, !target.query.has("X-Amz-Security-Token") else {
            throw Self.noTokens
        }
        try checkSignedHeaders(head, claim)
        let isPresigned = claim.expires != nil
        let hash = try payloadHash(head, target, isPresigned: isPresigned)
        let request = try SignatureV4.canonicalRequest(
            head, target: target, claim, payloadHash: hash)
        let text = SignatureV4.stringToSign(claim, canonicalRequest: request)
        let key = keys.key(for: identity, claim)
        let expected = HMACSHA256.authenticate(text, key: key).hexadecimal
        guard constantTimeEqual(Array(expected.utf8), Array(claim.signature.utf8)) else {
            throw S3Error(
                .signatureDoesNotMatch,
                "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
                details: [
                    ("AWSAccessKeyId", claim.accessKey),
                    ("StringToSign", String(decoding: text, as: UTF8.self)),
                    ("SignatureProvided", claim.signature),
                    ("CanonicalRequest", Self.withoutKeys(String(decoding: request, as: UTF8.self))),
                ])
        }
        let signer = ChunkSigner(
            key: key, time: claim.time, scope: String(claim.scope), seed: claim.signature)
        return (identity, try payloadForm(hash, signer))
    }

    /// Answers are kept in logs that nobody takes for a place of secrets: a customer's key goes into none.
    private static func withoutKeys(_ canonical: String) -> String {
        let names = [HTTPField.Name.amzCustomerKey, .amzSourceCustomerKey].map { $0.canonicalName + ":" }
        guard names.contains(where: { canonical.contains($0) }) else { return canonical }
        return canonical.split(separator: "\n", omittingEmptySubsequences: false).map { line in
            names.first { line.hasPrefix($0) }.map { $0 + "REDACTED" } ?? String(line)
        }.joined(separator: "\n")
    }

    /// - Returns: `nil` for a request that claims nothing: its sender is anonymous.
    private func claim(of head: HTTPRequest, _ target: RequestTarget) throws -> SignatureClaim? {
        let isPresigned = target.query.has("X-Amz-Algorithm") || target.query.has("X-Amz-Signature")
        if let authorization = head.headerFields[.authorization] {
            guard !isPresigned else {
                throw S3Error.invalidArgument(
                    "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified",
                    name: "Authorization", value: authorization)
            }
            return try SignatureClaim(authorization: authorization, head: head)
        }
        if isPresigned { return try SignatureClaim(query: target.query) }
        if target.query.has("AWSAccessKeyId") { throw SignatureV2.refusal }
        // Half of a signature in the query is a mistake, and not the wish to be nobody.
        guard !target.query.items.contains(where: { Self.signatureItems.contains($0.name) }) else {
            throw S3Error(
                .authorizationQueryParametersError,
                "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
            )
        }
        return nil
    }

    private static let signatureItems: Set<String> = [
        "X-Amz-Credential", "X-Amz-SignedHeaders", "X-Amz-Expires",
    ]

    /// What a request without a signature says of its body: nothing, or a hash that a client adds all the same.
    private func anonymousPayload(_ head: HTTPRequest) throws -> PayloadForm {
        guard let hash = head.headerFields[.amzContentSHA256] else { return .unsigned }
        guard !hash.hasPrefix("STREAMING-AWS4-") else {
            throw S3Error(.accessDenied, "A body whose chunks are signed takes a request that is signed.")
        }
        return try payloadForm(hash, nil)
    }

    private func checkTime(_ claim: SignatureClaim) throws {
        guard claim.time.utf8.count == 16, let sent = HTTPDate.compactSeconds(claim.time) else {
            throw S3Error(
                claim.expires == nil ? .accessDenied : .authorizationQueryParametersError,
                "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"")
        }
        let now = clock().seconds
        if let expires = claim.expires {
            guard now <= sent + expires else {
                throw S3Error(
                    .accessDenied, "Request has expired",
                    details: [
                        ("X-Amz-Expires", String(expires)),
                        ("Expires", Timestamp(microseconds: (sent + expires) * 1_000_000).description),
                        ("ServerTime", clock().description),
                    ])
            }
            guard sent <= now + Self.skewLimit else {
                throw S3Error(.accessDenied, "Request is not yet valid")
            }
        } else {
            guard (now > sent ? now - sent : sent - now) <= Self.skewLimit else {
                throw S3Error(
                    .requestTimeTooSkewed,
                    "The difference between the request time and the current time is too large.",
                    details: [
                        ("RequestTime", claim.time), ("ServerTime", clock().description),
                        ("MaxAllowedSkewMilliseconds", String(Self.skewLimit * 1000)),
                    ])
            }
        }
    }

    func checkScope(_ claim: SignatureClaim) throws {
        let isHeader = claim.expires == nil
        let code: S3ErrorCode =
            isHeader ? .authorizationHeaderMalformed : .authorizationQueryParametersError
        let what =
            isHeader
            ? "The authorization header is malformed" : "Error parsing the X-Amz-Credential parameter"
        guard claim.service != "sts" else {
            throw S3Error.notImplemented("The Security Token Service (AssumeRole and its kin)")
        }
        guard claim.service == "s3" else {
            throw S3Error(
                code,
                "\(what); incorrect service \"\(claim.service)\". This endpoint belongs to \"s3\"."
            )
        }
        guard claim.region == region else {
            throw S3Error(
                code,
                "\(what); the region '\(claim.region)' is wrong; expecting '\(region)'",
                details: [("Region", region)])
        }
    }

    /// A header that changes what a request means must be under the signature.
    private func checkSignedHeaders(_ head: HTTPRequest, _ claim: SignatureClaim) throws {
        for field in head.headerFields {
            let name = field.name.canonicalName
            guard name.hasPrefix("x-amz-"), !claim.signedHeaders.contains(name) else {
                continue
            }
            throw S3Error(
                .accessDenied, "There were headers present in the request which were not signed",
                details: [("HeadersNotSigned", name)])
        }
    }

    private func payloadHash(
        _ head: HTTPRequest, _ target: RequestTarget, isPresigned: Bool
    ) throws -> String {
        if let hash = head.headerFields[.amzContentSHA256] { return hash }
        guard isPresigned else {
            throw S3Error(
                .invalidRequest, "Missing required header for this request: x-amz-content-sha256")
        }
        // Some SDKs say it in the query, where it is signed with the rest.
        return target.query["X-Amz-Content-Sha256"] ?? "UNSIGNED-PAYLOAD"
    }

    private func payloadForm(_ hash: String, _ signer: ChunkSigner?) throws -> PayloadForm {
        if let bytes = Hexadecimal.bytes(hash), bytes.count == 32 { return .hash(bytes) }
        switch hash {
        case "UNSIGNED-PAYLOAD": return .unsigned
        case "STREAMING-AWS4-HMAC-SHA256-PAYLOAD": return .chunks(signer, hasTrailer: false)
        case "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER": return .chunks(signer, hasTrailer: true)
        case "STREAMING-UNSIGNED-PAYLOAD-TRAILER": return .chunks(nil, hasTrailer: true)
        case "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER":
            throw S3Error.notImplemented("Signature Version 4A")
        default:
            throw S3Error.invalidArgument(
                "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER, STREAMING-AWS4-HMAC-SHA256-PAYLOAD, STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER or a valid sha256 value.",
                name: "x-amz-content-sha256", value: hash)
        }
    }
}

enum Hexadecimal {
    /// The bytes that the digits spell; `nil` for anything but pairs of hexadecimal digits.
    static func bytes(_ text: some StringProtocol) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(32)
        var high: UInt8?
        for digit in text.utf8 {
            guard let value = value(digit) else { return nil }
            if let first = high {
                bytes.append(first << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        return high == nil ? bytes : nil
    }

    /// What one hexadecimal digit stands for.
    static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
