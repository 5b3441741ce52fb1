import Digests
import HTTPTypes
import Model

/// What a request's signature says of itself: "Credential", "SignedHeaders" and "Signature".
package struct SignatureClaim: Sendable {
    /// `AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request`
    let credential: String
    let accessKey: String
    /// `20130524`
    let date: String
    let region: String
    let service: String
    let signedHeaders: [String]
    /// As the request has it: `host;x-amz-date`
    let signedHeaderList: String
    let signature: String
    /// `20130524T000000Z`
    let time: String
    /// Set for a presigned request: seconds from `time` for which it is good.
    let expires: UInt64?

    var scope: Substring { Substring(credential.utf8.dropFirst(accessKey.utf8.count + 1)) }
}

/// Signature Version 4.
///
/// Source: Amazon S3 API Reference, "Authenticating Requests (AWS Signature Version 4)".
package enum SignatureV4 {
    static let algorithm = "AWS4-HMAC-SHA256"
    static let emptyHash = SHA256.hash([UInt8]()).hexadecimal

    /// Everything that is signed of a request, but its body.
    package static func canonicalRequest(
        _ head: HTTPRequest, target: RequestTarget, _ claim: SignatureClaim, payloadHash: String
    ) throws -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(1024)
        bytes += head.method.rawValue.utf8
        bytes.append(0x0A)
        PercentEncoding.append(target.path, keepsSlash: true, to: &bytes)
        bytes.append(0x0A)
        appendQuery(target.query, isPresigned: claim.expires != nil, to: &bytes)
        bytes.append(0x0A)
        for name in claim.signedHeaders {
            bytes += name.utf8
            bytes.append(UInt8(ascii: ":"))
            try appendHeader(name, head, to: &bytes)
            bytes.append(0x0A)
        }
        bytes.append(0x0A)
        bytes += claim.signedHeaderList.utf8
        bytes.append(0x0A)
        bytes += payloadHash.utf8
        return bytes
    }

    private static func appendQuery(_ query: Query, isPresigned: Bool, to bytes: inout [UInt8]) {
        guard !query.items.isEmpty else { return }
        var items: [(name: [UInt8], value: [UInt8])] = []
        for item in query.items where !(isPresigned && item.name == "X-Amz-Signature") {
            var name: [UInt8] = []
            var value: [UInt8] = []
            PercentEncoding.append(item.name, keepsSlash: false, to: &name)
            PercentEncoding.append(item.value, keepsSlash: false, to: &value)
            items.append((name, value))
        }
        items.sort {
            $0.name == $1.name
                ? $0.value.lexicographicallyPrecedes($1.value) : $0.name.lexicographicallyPrecedes($1.name)
        }
        for (index, item) in items.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: "&")) }
            bytes += item.name
            bytes.append(UInt8(ascii: "="))
            bytes += item.value
        }
    }

    private static func appendHeader(_ name: String, _ head: HTTPRequest, to bytes: inout [UInt8]) throws {
        if name == "host" {
            bytes += (head.authority ?? "").utf8
            return
        }
        var isFirst = true
        for field in head.headerFields where field.name.canonicalName == name {
            if !isFirst { bytes.append(UInt8(ascii: ",")) }
            isFirst = false
            appendTrimmed(field.value, to: &bytes)
        }
        guard isFirst, HTTPField.Name(name) == nil else { return }
        throw S3Error(.authorizationHeaderMalformed, "SignedHeaders names '\(name)', which is no header.")
    }

    /// Blanks at the ends go, runs of them within become one.
    private static func appendTrimmed(_ value: String, to bytes: inout [UInt8]) {
        var blanks = false
        let start = bytes.count
        for byte in value.utf8 {
            if byte == 0x20 || byte == 0x09 {
                blanks = true
            } else {
                if blanks, bytes.count > start { bytes.append(0x20) }
                blanks = false
                bytes.append(byte)
            }
        }
    }

    package static func stringToSign(_ claim: SignatureClaim, canonicalRequest: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(192)
        bytes += algorithm.utf8
        bytes.append(0x0A)
        bytes += claim.time.utf8
        bytes.append(0x0A)
        bytes += claim.scope.utf8
        bytes.append(0x0A)
        bytes += SHA256.hash(canonicalRequest).hexadecimal.utf8
        return bytes
    }

    package static func signingKey(secret: String, date: String, region: String, service: String) -> [UInt8] {
        let dateKey = HMACSHA256.authenticate(Array(date.utf8), key: Array("AWS4\(secret)".utf8))
        let regionKey = HMACSHA256.authenticate(Array(region.utf8), key: dateKey)
        let serviceKey = HMACSHA256.authenticate(Array(service.utf8), key: regionKey)
        return HMACSHA256.authenticate(Array("aws4_request".utf8), key: serviceKey)
    }
}

/// Signing keys that were computed before: a key is good for a day, and costs four HMACs.
final class SigningKeyCache: Sendable {
    private struct Entry: Sendable {
        let secretKey: String
        let key: [UInt8]
    }

    private static let limit = 1024
    /// By the credential of the requests that they sign.
    private let entries = ReadMostly<[String: Entry]>([:])

    func key(for identity: Identity, _ claim: SignatureClaim) -> [UInt8] {
        // A key that was deleted and made again has another secret.
        if let entry = entries.read({ $0[claim.credential] }), entry.secretKey == identity.secretKey {
            return entry.key
        }
        let key = SignatureV4.signingKey(
            secret: identity.secretKey, date: claim.date, region: claim.region, service: claim.service)
        entries.change {
            if $0.count >= Self.limit { $0.removeAll() }
            $0[claim.credential] = Entry(secretKey: identity.secretKey, key: key)
        }
        return key
    }
}
