import HTTPTypes

extension SignatureClaim {
    /// The claim of the `Authorization` header.
    /// - Throws: `AuthorizationHeaderMalformed`, `InvalidArgument`, `AccessDenied` without a date.
    init(authorization: String, head: HTTPRequest) throws {
        guard authorization.hasPrefix(SignatureV4.algorithm) else {
            let kind = authorization.split(separator: " ").first.map(String.init) ?? ""
            if kind == "AWS" {
                throw S3Error(
                    .invalidRequest,
                    "The authorization mechanism you have provided is not supported. Please use AWS4-HMAC-SHA256."
                )
            }
            throw S3Error.invalidArgument(
                "Unsupported Authorization Type", name: "Authorization", value: authorization)
        }
        var fields: [Substring: String] = [:]
        for field in authorization.dropFirst(SignatureV4.algorithm.count).split(separator: ",") {
            let halves = field.drop { $0 == " " }.split(separator: "=", maxSplits: 1)
            guard halves.count == 2 else { continue }
            fields[halves[0]] = halves[1].trimmingSuffix { $0 == " " }
        }
        func field(_ name: Substring) throws -> String {
            guard let value = fields[name] else {
                throw S3Error(
                    .authorizationHeaderMalformed,
                    "The authorization header is malformed; the authorization header requires three components: Credential, SignedHeaders, and Signature."
                )
            }
            return value
        }
        let time: String
        if let date = head.headerFields[.amzDate] {
            time = date
        } else if let date = head.headerFields[.date], let seconds = HTTPDate.seconds(date) {
            time = HTTPDate.compact(seconds)
        } else {
            throw S3Error(
                .accessDenied, "AWS authentication requires a valid Date or x-amz-date header")
        }
        try self.init(
            credential: try field("Credential"), signedHeaders: try field("SignedHeaders"),
            signature: try field("Signature"), time: time, expires: nil, code: .authorizationHeaderMalformed)
    }

    /// The claim of a presigned request.
    /// - Throws: `AuthorizationQueryParametersError`.
    init(query: Query) throws {
        func item(_ name: String) throws -> String {
            guard let value = query[name] else {
                throw S3Error(
                    .authorizationQueryParametersError,
                    "Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters."
                )
            }
            return value
        }
        guard try item("X-Amz-Algorithm") == SignatureV4.algorithm else {
            throw S3Error(
                .authorizationQueryParametersError,
                "X-Amz-Algorithm only supports \"\(SignatureV4.algorithm)\"")
        }
        guard let expires = UInt64(try item("X-Amz-Expires")), (1...604_800).contains(expires) else {
            throw S3Error(
                .authorizationQueryParametersError,
                "X-Amz-Expires must be a number of seconds from 1 to 604800")
        }
        try self.init(
            credential: try item("X-Amz-Credential"), signedHeaders: try item("X-Amz-SignedHeaders"),
            signature: try item("X-Amz-Signature"), time: try item("X-Amz-Date"), expires: expires,
            code: .authorizationQueryParametersError)
    }

    private init(
        credential: String, signedHeaders: String, signature: String, time: String, expires: UInt64?,
        code: S3ErrorCode
    ) throws {
        // An access key may itself have slashes.
        let parts = credential.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count >= 5, parts[parts.count - 1] == "aws4_request" else {
            throw S3Error(
                code,
                "The Credential is malformed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\"."
            )
        }
        let names = signedHeaders.split(separator: ";").map(String.init)
        guard names.contains("host") else {
            throw S3Error(code, "SignedHeaders must include host.")
        }
        guard names == names.sorted(), names.allSatisfy({ $0 == $0.lowercased() }) else {
            throw S3Error(code, "SignedHeaders must be in lower case and in order.")
        }
        accessKey = parts[..<(parts.count - 4)].joined(separator: "/")
        date = String(parts[parts.count - 4])
        region = String(parts[parts.count - 3])
        service = String(parts[parts.count - 2])
        self.signedHeaders = names
        self.signature = signature
        self.time = time
        self.expires = expires
        guard time.utf8.prefix(8).elementsEqual(date.utf8) else {
            throw S3Error(
                code, "Invalid credential date \"\(date)\". This date is not the same as X-Amz-Date.")
        }
    }
}

extension Substring {
    fileprivate func trimmingSuffix(_ isBlank: (Character) -> Bool) -> String {
        var rest = self
        while let last = rest.last, isBlank(last) { rest.removeLast() }
        return String(rest)
    }
}
