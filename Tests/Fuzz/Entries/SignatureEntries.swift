import HTTPTypes
import S3

/// What a request says of its signature, and the text that is signed.
enum SignatureEntries {
    /// Lines: the header `Authorization`, `x-amz-date`, then the target.
    static func authorization(_ input: [UInt8]) throws {
        let lines = String(decoding: input, as: UTF8.self)
            .split(separator: "\n", maxSplits: 2, omittingEmptySubsequences: false)
        var head = HTTPRequest(method: .get, scheme: "http", authority: "s3.example.com", path: "/")
        if lines.count > 1, let name = HTTPField.Name("x-amz-date") {
            head.headerFields[name] = String(lines[1])
        }
        let claim = try SignatureClaim(authorization: String(lines[0]), head: head)
        let uri = lines.count > 2 ? String(lines[2]) : "/"
        let target = try RequestTarget(uri: uri, host: nil, domains: [])
        _ = try SignatureV4.canonicalRequest(head, target: target, claim, payloadHash: "UNSIGNED-PAYLOAD")
    }

    /// A query.
    static func presigned(_ input: [UInt8]) throws {
        let uri = "/bucket/key?" + String(decoding: input, as: UTF8.self)
        let target = try RequestTarget(uri: uri, host: nil, domains: [])
        let claim = try SignatureClaim(query: target.query)
        let head = HTTPRequest(method: .get, scheme: "http", authority: "s3.example.com", path: uri)
        _ = try SignatureV4.canonicalRequest(head, target: target, claim, payloadHash: "UNSIGNED-PAYLOAD")
    }
}
