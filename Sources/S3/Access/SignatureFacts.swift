import HTTPTypes

/// How a request was signed, as policies ask for it.
///
/// Source: Amazon S3 API Reference, "Amazon S3 Signature Version 4 Authentication Specific Policy Keys".
struct SignatureFacts: Sendable {
    /// `s3:authType`
    let kind: String
    let isOld: Bool
    /// As Signature V4 writes it.
    let time: String?

    /// `s3:signatureversion`
    var version: String { isOld ? "AWS" : "AWS4-HMAC-SHA256" }

    /// Of a form whose policy is signed.
    init(_ fields: FormFields) {
        kind = "POST"
        isOld = fields["x-amz-algorithm"] == nil
        time = fields["x-amz-date"]
    }

    /// Of a request whose signature was found good.
    init(_ head: HTTPRequest, _ query: Query) {
        if let authorization = head.headerFields[.authorization] {
            kind = "REST-HEADER"
            isOld = authorization.hasPrefix("AWS ")
            time =
                head.headerFields[.amzDate]
                ?? head.headerFields[.date].flatMap { HTTPDate.seconds($0) }.map { HTTPDate.compact($0) }
        } else {
            kind = "REST-QUERY-STRING"
            isOld = query.has("AWSAccessKeyId")
            time = query["X-Amz-Date"]
        }
    }
}

extension S3Call {
    /// `nil` for a request that nobody signed.
    var signature: SignatureFacts? {
        identity.isAnonymous ? nil : formSignature ?? SignatureFacts(head, query)
    }
}
