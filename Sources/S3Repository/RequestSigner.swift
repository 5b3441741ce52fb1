import Digests
import Model
import S3

/// A request to an S3 endpoint, before it is signed.
package struct S3Request: Sendable {
    package let method: String
    /// `nil` for the bucket itself.
    package let key: String?
    package var query: [(name: String, value: String)] = []
    /// Lower case names.
    package var headers: [(name: String, value: String)] = []
    package var body: [UInt8] = []

    package init(
        _ method: String, _ key: String? = nil, query: [(name: String, value: String)] = [],
        headers: [(name: String, value: String)] = [], body: [UInt8] = []
    ) {
        self.method = method
        self.key = key
        self.query = query
        self.headers = headers
        self.body = body
    }
}

/// Signs requests as their client (Signature Version 4), body included: what arrives otherwise than it was sent is
/// refused by the endpoint.
struct RequestSigner: Sendable {
    let location: S3Location
    let credentials: S3Credentials

    struct Signed {
        /// With the query, percent-encoded.
        let target: String
        let headers: [(name: String, value: String)]
    }

    /// - Parameter seconds: the time of the request, since 1970.
    func sign(_ request: S3Request, at seconds: UInt64) -> Signed {
        let time = HTTPDate.compact(seconds)
        let date = String(time.prefix(8))
        let payloadHash = SHA256.hash(request.body).hexadecimal
        var headers = request.headers
        headers.append(("host", location.authority))
        headers.append(("x-amz-content-sha256", payloadHash))
        headers.append(("x-amz-date", time))
        if let token = credentials.sessionToken { headers.append(("x-amz-security-token", token)) }
        headers.sort { $0.name < $1.name }
        let path =
            "/" + PercentEncoding.encode(location.bucket, keepsSlash: false)
            + (request.key.map { "/" + PercentEncoding.encode($0, keepsSlash: true) } ?? "")
        let query = request.query.map {
            (
                PercentEncoding.encode($0.name, keepsSlash: false),
                PercentEncoding.encode($0.value, keepsSlash: false)
            )
        }.sorted { $0 < $1 }.map { "\($0.0)=\($0.1)" }.joined(separator: "&")
        let names = headers.map(\.name).joined(separator: ";")
        let canonical =
            "\(request.method)\n\(path)\n\(query)\n"
            + headers.map { "\($0.name):\($0.value)\n" }.joined() + "\n\(names)\n\(payloadHash)"
        let scope = "\(date)/\(location.region)/s3/aws4_request"
        let text =
            "AWS4-HMAC-SHA256\n\(time)\n\(scope)\n\(SHA256.hash(Array(canonical.utf8)).hexadecimal)"
        let key = SignatureV4.signingKey(
            secret: credentials.secretKey, date: date, region: location.region, service: "s3")
        let signature = HMACSHA256.authenticate(Array(text.utf8), key: key).hexadecimal
        headers.append(
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=\(credentials.accessKey)/\(scope),SignedHeaders=\(names),Signature=\(signature)"
            ))
        return Signed(target: query.isEmpty ? path : "\(path)?\(query)", headers: headers)
    }
}
