import HTTPTypes

extension SignatureClaim {
    /// The claim of the `Authorization` header.
    /// - Throws: `AuthorizationHeaderMalformed`, `InvalidArgument`, `AccessDenied` without a date.
    package init(authorization: String, head: HTTPRequest) throws {
        guard authorization.hasPrefix(SignatureV4.algorithm) else {
            let kind = authorization.split(separator: " ").first.map(String.init) ?? ""
            if kind == "AWS" { throw SignatureV2.refusal }
            throw S3Error.invalidArgument(
                "Unsupported Authorization Type", name: "Authorization", value: authorization)
        }
        let fields = Self.fields(of: authorization)
        func field(_ name: String) throws -> String {
            guard let value = fields.first(where: { $0.name.elementsEqual(name.utf8) })?.value else {
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

    /// What stands behind the algorithm of an `Authorization` header, in the order in which it does.
    static func fields(of authorization: String) -> [(name: Substring.UTF8View, value: String)] {
        var fields: [(name: Substring.UTF8View, value: String)] = []
        let blank = UInt8(ascii: " ")
        let rest = authorization.utf8.dropFirst(SignatureV4.algorithm.utf8.count)
        for field in rest.split(separator: UInt8(ascii: ",")) {
            let trimmed = field.drop { $0 == blank }
            guard let equals = trimmed.firstIndex(of: UInt8(ascii: "=")) else { continue }
            var value = trimmed[equals...].dropFirst()
            while value.last == blank { value.removeLast() }
            fields.append((trimmed[..<equals], String(Substring(value))))
        }
        return fields
    }

    /// The claim of a presigned request.
    /// - Throws: `AuthorizationQueryParametersError`.
    package init(query: Query) throws {
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
        let seconds = try item("X-Amz-Expires")
        guard seconds.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let expires = UInt64(seconds),
            (1...604_800).contains(expires)
        else {
            throw S3Error(
                .authorizationQueryParametersError,
                "X-Amz-Expires must be a number of seconds from 1 to 604800")
        }
        try self.init(
            credential: try item("X-Amz-Credential"), signedHeaders: try item("X-Amz-SignedHeaders"),
            signature: try item("X-Amz-Signature"), time: try item("X-Amz-Date"), expires: expires,
            code: .authorizationQueryParametersError)
    }

    init(
        credential: String, signedHeaders: String, signature: String, time: String, expires: UInt64?,
        code: S3ErrorCode
    ) throws {
        // An access key may itself have slashes.
        let parts = credential.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
            .map { Substring($0) }
        guard parts.count >= 5, parts[parts.count - 1] == "aws4_request" else {
            throw S3Error(
                code,
                "The Credential is malformed; expecting \"<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request\"."
            )
        }
        let names = signedHeaders.utf8.split(separator: UInt8(ascii: ";")).map { String(Substring($0)) }
        guard names.contains("host") else {
            throw S3Error(code, "SignedHeaders must include host.")
        }
        let isInOrder = zip(names, names.dropFirst()).allSatisfy {
            !$1.utf8.lexicographicallyPrecedes($0.utf8)
        }
        guard isInOrder, names.allSatisfy({ !$0.utf8.contains(where: Self.isUpperCase) }) else {
            throw S3Error(code, "SignedHeaders must be in lower case and in order.")
        }
        accessKey = String(
            Substring(credential.utf8[..<parts[parts.count - 4].startIndex].dropLast()))
        self.credential = credential
        signedHeaderList = signedHeaders
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

    private static func isUpperCase(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
    }
}
