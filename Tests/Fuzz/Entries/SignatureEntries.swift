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

    /// Lines: the header `Authorization`, or none if it is empty, `x-amz-date`, the host, then the target.
    static func signatureV2(_ input: [UInt8]) throws {
        let lines = String(decoding: input, as: UTF8.self)
            .split(separator: "\n", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
        func line(_ number: Int) -> String { number < lines.count ? lines[number] : "" }
        let target = try RequestTarget(uri: line(3), host: line(2), domains: ["s3.example.com"])
        var head = HTTPRequest(method: .get, scheme: "http", authority: line(2), path: line(3))
        if !line(0).isEmpty { head.headerFields[.authorization] = line(0) }
        if !line(1).isEmpty, let name = HTTPField.Name("x-amz-date") { head.headerFields[name] = line(1) }
        guard SignatureV2.signs(head, target) else { return }
        let claim = try SignatureV2.Claim(head, target)
        for endsPath in [false, true] {
            let text = SignatureV2.stringToSign(head, target, date: claim.date, endsPath: endsPath)
            try require(
                SignatureV2.signature(text, secretKey: "secret")
                    == SignatureV2.signature(text, secretKey: "secret"), "the same signature twice")
        }
        try require(!claim.accessKey.isEmpty || claim.isPresigned, "somebody signs a request")
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
