import Digests
import Foundation
import HTTPTypes
import Model

/// Signature Version 2, for clients that know no other: an HMAC-SHA1 over what matters most of a request. It does not
/// cover the body, the host or most of the query, so a server takes it only if its operator says so.
///
/// Source: Amazon S3 API Reference, "Signing and authenticating REST requests (AWS signature version 2)".
package enum SignatureV2 {
    /// The query items that are signed: "CanonicalizedResource", and those that the SDKs have added since.
    static let signedItems: Set<String> = [
        "accelerate", "acl", "analytics", "cors", "delete", "inventory", "lifecycle", "location", "logging",
        "metrics", "notification", "object-lock", "partNumber", "policy", "replication", "requestPayment",
        "response-cache-control", "response-content-disposition", "response-content-encoding",
        "response-content-language", "response-content-type", "response-expires", "restore", "select",
        "select-type", "tagging", "torrent", "uploadId", "uploads", "versionId", "versioning", "versions",
        "website",
    ]

    /// What a request says of its signature.
    package struct Claim: Sendable {
        package let accessKey: String
        package let signature: String
        /// The line of the date in what is signed: empty if `x-amz-date` is signed instead.
        package let date: String
        /// Seconds since 1970 at which the request was signed, or until which it is good.
        let seconds: UInt64
        package let isPresigned: Bool
    }

    /// Whether a request is signed this way.
    package static func signs(_ head: HTTPRequest, _ target: RequestTarget) -> Bool {
        if let authorization = head.headerFields[.authorization] { return authorization.hasPrefix("AWS ") }
        return target.query.has("AWSAccessKeyId")
    }

    /// - Parameter endsPath: whether a slash is put behind the path.
    package static func stringToSign(
        _ head: HTTPRequest, _ target: RequestTarget, date: String, endsPath: Bool = false
    ) -> [UInt8] {
        var text = "\(head.method.rawValue)\n"
        text += "\(head.headerFields[.contentMD5]?.trimmingBlanks() ?? "")\n"
        text += "\(head.headerFields[.contentType]?.trimmingBlanks() ?? "")\n"
        text += "\(date)\n"
        text += canonicalHeaders(head.headerFields)
        text += canonicalResource(head.path ?? "", target, endsPath: endsPath)
        return Array(text.utf8)
    }

    private static func canonicalHeaders(_ headers: HTTPFields) -> String {
        var values: [String: String] = [:]
        for field in headers where field.name.canonicalName.hasPrefix("x-amz-") {
            let value = field.value.trimmingBlanks()
            values[field.name.canonicalName] =
                values[field.name.canonicalName].map { "\($0),\(value)" } ?? value
        }
        return values.sorted { $0.key.utf8.lexicographicallyPrecedes($1.key.utf8) }
            .map { "\($0.key):\($0.value)\n" }.joined()
    }

    /// The bucket of the host, the path as it was sent, and the items that select what is meant.
    private static func canonicalResource(
        _ uri: String, _ target: RequestTarget, endsPath: Bool
    ) -> String {
        let halves = uri.utf8.split(
            separator: UInt8(ascii: "?"), maxSplits: 1, omittingEmptySubsequences: false
        ).map { String(Substring($0)) }
        var text = target.isVirtualHosted ? "/\(target.bucket ?? "")" : ""
        text += (halves.first ?? "") + (endsPath ? "/" : "")
        guard halves.count == 2 else { return text }
        // From the text and not from the parsed items: `?acl` and `?acl=` are signed as they are sent.
        var items: [(name: String, text: String)] = []
        for item in halves[1].utf8.split(separator: UInt8(ascii: "&")).map({ Substring($0) }) {
            let parts = item.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            guard signedItems.contains(name) else { continue }
            guard parts.count == 2 else {
                items.append((name, name))
                continue
            }
            // The target was made of the same text, so it decodes.
            let value = PercentEncoding.decode(parts[1], plusIsSpace: true) ?? ""
            items.append((name, "\(name)=\(value)"))
        }
        guard !items.isEmpty else { return text }
        items.sort { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        return text + "?" + items.map(\.text).joined(separator: "&")
    }

    package static func signature(_ text: [UInt8], secretKey: String) -> String {
        Data(HMACSHA1.authenticate(text, key: Array(secretKey.utf8))).base64EncodedString()
    }

    static let refusal = S3Error(
        .invalidRequest,
        "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256.")
}

extension SignatureV2.Claim {
    /// - Throws: `InvalidArgument`, `AccessDenied`.
    package init(_ head: HTTPRequest, _ target: RequestTarget) throws {
        let query = target.query
        guard let authorization = head.headerFields[.authorization] else {
            guard let signature = query["Signature"], let expires = query["Expires"],
                let accessKey = query["AWSAccessKeyId"]
            else {
                throw S3Error(
                    .accessDenied,
                    "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters"
                )
            }
            // It would claim two keys.
            if let other = query["X-Amz-Credential"] {
                throw S3Error.invalidArgument(
                    "Only one auth mechanism allowed", name: "X-Amz-Credential", value: other)
            }
            guard expires.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let seconds = UInt64(expires),
                seconds < 1 << 40
            else { throw S3Error(.accessDenied, "Invalid date (should be seconds since epoch): \(expires)") }
            self.init(
                accessKey: accessKey, signature: signature, date: expires, seconds: seconds, isPresigned: true
            )
            return
        }
        guard !query.has("Signature"), !query.has("X-Amz-Algorithm") else {
            throw S3Error.invalidArgument(
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter or the Authorization header should be specified",
                name: "Authorization", value: authorization)
        }
        let claim = authorization.dropFirst("AWS ".count).trimmingBlanks()
        guard let colon = claim.utf8.lastIndex(of: UInt8(ascii: ":")), colon > claim.startIndex else {
            throw S3Error.invalidArgument(
                "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature",
                name: "Authorization", value: authorization)
        }
        let amzDate = head.headerFields[.amzDate]
        let date = amzDate ?? head.headerFields[.date] ?? ""
        guard let seconds = Self.seconds(date) else {
            throw S3Error(
                .accessDenied, "AWS authentication requires a valid Date or x-amz-date header")
        }
        self.init(
            accessKey: String(claim[..<colon]),
            signature: String(Substring(claim.utf8[colon...].dropFirst())),
            date: amzDate == nil ? date.trimmingBlanks() : "", seconds: seconds, isPresigned: false)
    }

    /// Clients write the zone as RFC 822 lets them.
    private static func seconds(_ text: String) -> UInt64? {
        var text = text.trimmingBlanks()
        for zone in [" +0000", " -0000", " UTC"] where text.hasSuffix(zone) {
            text = text.dropLast(zone.count) + " GMT"
        }
        return HTTPDate.seconds(text)
    }
}

extension Authenticator {
    /// Who signed a request with Signature V2.
    func authenticateV2(_ head: HTTPRequest, _ target: RequestTarget) throws -> (Identity, PayloadForm) {
        let claim = try SignatureV2.Claim(head, target)
        try checkTime(claim)
        // A feature that is chosen by an item that is not signed could be chosen by anybody on the way.
        if let item = target.query.items.first(where: {
            Operation.isSubresource($0.name) && !SignatureV2.signedItems.contains($0.name)
        }) {
            throw S3Error(
                .invalidRequest,
                "Signature Version 2 does not cover ?\(item.name). Please use AWS4-HMAC-SHA256.")
        }
        let identity = try holder(of: claim.accessKey)
        guard head.headerFields[.amzSecurityToken] == nil, !target.query.has("x-amz-security-token") else {
            throw Self.noTokens
        }
        let text = SignatureV2.stringToSign(head, target, date: claim.date)
        do {
            try Self.check(
                claim.signature, SignatureV2.signature(text, secretKey: identity.secretKey),
                accessKey: claim.accessKey, text: text)
        } catch {
            // SDKs sign a bucket's path with a slash at its end, whether or not they send one.
            guard target.key == nil, !target.path.hasSuffix("/") else { throw error }
            let other = SignatureV2.stringToSign(head, target, date: claim.date, endsPath: true)
            try Self.check(
                claim.signature, SignatureV2.signature(other, secretKey: identity.secretKey),
                accessKey: claim.accessKey, text: text)
        }
        return (identity, try payloadForm(head))
    }

    private func checkTime(_ claim: SignatureV2.Claim) throws {
        let now = clock().seconds
        if claim.isPresigned {
            guard now <= claim.seconds else {
                throw S3Error(
                    .accessDenied, "Request has expired",
                    details: [
                        ("Expires", Timestamp(microseconds: claim.seconds * 1_000_000).description),
                        ("ServerTime", clock().description),
                    ])
            }
            return
        }
        guard (now > claim.seconds ? now - claim.seconds : claim.seconds - now) <= Self.skewLimit else {
            throw S3Error(
                .requestTimeTooSkewed,
                "The difference between the request time and the current time is too large.",
                details: [
                    ("RequestTime", Timestamp(microseconds: claim.seconds * 1_000_000).description),
                    ("ServerTime", clock().description),
                    ("MaxAllowedSkewMilliseconds", String(Self.skewLimit * 1000)),
                ])
        }
    }

    /// The signature says nothing of the body; a header may.
    private func payloadForm(_ head: HTTPRequest) throws -> PayloadForm {
        switch head.headerFields[.amzContentSHA256] {
        case nil, "UNSIGNED-PAYLOAD": return .unsigned
        case "STREAMING-UNSIGNED-PAYLOAD-TRAILER": return .chunks(nil, hasTrailer: true)
        case .some(let hash):
            guard let bytes = Hexadecimal.bytes(hash), bytes.count == 32 else {
                throw S3Error.invalidArgument(
                    "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, STREAMING-UNSIGNED-PAYLOAD-TRAILER or a valid sha256 value with Signature Version 2.",
                    name: "x-amz-content-sha256", value: hash)
            }
            return .hash(bytes)
        }
    }

    /// - Throws: `SignatureDoesNotMatch`.
    static func check(_ signature: String, _ expected: String, accessKey: String, text: [UInt8]) throws {
        guard constantTimeEqual(Array(expected.utf8), Array(signature.utf8)) else {
            throw S3Error(
                .signatureDoesNotMatch,
                "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
                details: [
                    ("AWSAccessKeyId", accessKey), ("StringToSign", String(decoding: text, as: UTF8.self)),
                    ("SignatureProvided", signature),
                ])
        }
    }

    /// - Throws: `InvalidAccessKeyId`.
    func holder(of accessKey: String) throws -> Identity {
        guard let identity = identities.identity(accessKey: accessKey) else {
            throw S3Error(
                .invalidAccessKeyID, "The AWS Access Key Id you provided does not exist in our records.",
                details: [("AWSAccessKeyId", accessKey)])
        }
        return identity
    }

    static let noTokens = S3Error(
        S3ErrorCode("InvalidToken", 400),
        "The provided token is malformed or otherwise invalid: this store issues no session tokens.")
}

extension RequestTarget {
    /// Whether the bucket is the host's first label and not the path's.
    var isVirtualHosted: Bool { bucket != nil && path == "/" + (key ?? "") }
}

/// RFC 2104 with SHA-1.
private enum HMACSHA1 {
    static func authenticate(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
        var block = key.count > 64 ? SHA1.hash(key) : key
        block += [UInt8](repeating: 0, count: 64 - block.count)
        return SHA1.hash(block.map { $0 ^ 0x5C } + SHA1.hash(block.map { $0 ^ 0x36 } + message))
    }
}
