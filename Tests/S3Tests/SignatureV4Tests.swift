import Foundation
import HTTPTypes
import Model
import S3
import Testing

/// The examples that AWS publishes.
///
/// Source: Amazon S3 API Reference, "Signature Calculations for the Authorization Header: Transferring Payload in
/// a Single Chunk" and "Authenticating Requests: Using Query Parameters".
@Suite struct SignatureV4Tests {
    static let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    private static let credential = "AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request"

    private func authenticate(
        _ head: HTTPRequest, at seconds: UInt64 = exampleTime, region: String = "us-east-1"
    )
        throws -> (Identity, PayloadForm)
    {
        let target = try RequestTarget(
            uri: head.path ?? "", host: head.authority, domains: ["s3.amazonaws.com"])
        let authenticator = Authenticator(
            identities: ExampleIdentities(), region: region,
            clock: { Timestamp(microseconds: seconds * 1_000_000) })
        return try authenticator.authenticate(head, target)
    }

    private func code(_ head: HTTPRequest, at seconds: UInt64 = exampleTime) -> String? {
        do {
            _ = try authenticate(head, at: seconds)
            return nil
        } catch { return (error as? S3Error)?.code.name ?? "\(error)" }
    }

    private static func authorization(_ names: String, _ signature: String) -> (String, String) {
        (
            "Authorization",
            "AWS4-HMAC-SHA256 Credential=\(credential),SignedHeaders=\(names),Signature=\(signature)"
        )
    }

    private static let getObject = request(
        .get, "/test.txt",
        [
            authorization(
                "host;range;x-amz-content-sha256;x-amz-date",
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"),
            ("Range", "bytes=0-9"), ("x-amz-content-sha256", empty), ("x-amz-date", "20130524T000000Z"),
        ])

    @Test func theGetObjectExample() throws {
        let (identity, payload) = try authenticate(Self.getObject)
        #expect(identity.userID == "example")
        guard case .hash(let hash) = payload else {
            Issue.record("the payload is a hash")
            return
        }
        #expect(hash.hexadecimal == Self.empty)
    }

    @Test func thePutObjectExample() throws {
        let hash = "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072"
        _ = try authenticate(
            request(
                .put, "/test%24file.text",
                [
                    Self.authorization(
                        "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
                        "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"),
                    ("Date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-date", "20130524T000000Z"),
                    ("x-amz-storage-class", "REDUCED_REDUNDANCY"), ("x-amz-content-sha256", hash),
                ]))
    }

    @Test(arguments: [
        ("/?lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
        ("/?max-keys=2&prefix=J", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
        ("/?prefix=J&max-keys=2", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"),
    ])
    func theExamplesOfBuckets(path: String, signature: String) throws {
        _ = try authenticate(
            request(
                .get, path,
                [
                    Self.authorization("host;x-amz-content-sha256;x-amz-date", signature),
                    ("x-amz-content-sha256", Self.empty), ("x-amz-date", "20130524T000000Z"),
                ]))
    }

    private static func presigned(
        expires: String = "86400", date: String = "20130524T000000Z",
        signature: String = "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
    ) -> HTTPRequest {
        request(
            .get,
            "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=\(credential.replacingOccurrences(of: "/", with: "%2F"))&X-Amz-Date=\(date)&X-Amz-Expires=\(expires)&X-Amz-SignedHeaders=host&X-Amz-Signature=\(signature)"
        )
    }

    @Test func thePresignedExample() throws {
        let (identity, payload) = try authenticate(Self.presigned())
        #expect(identity.accessKey == ExampleIdentities.accessKey)
        guard case .unsigned = payload else {
            Issue.record("a presigned body is unsigned")
            return
        }
    }

    @Test func aPresignedRequestIsGoodFromItsDateUntilItExpires() {
        let skew = Authenticator.skewLimit
        #expect(code(Self.presigned(), at: exampleTime + 86_400) == nil)
        #expect(code(Self.presigned(), at: exampleTime + 86_401) == "AccessDenied")
        #expect(code(Self.presigned(), at: exampleTime - skew) == nil)
        #expect(code(Self.presigned(), at: exampleTime - skew - 1) == "AccessDenied")
    }

    @Test(arguments: ["0", "-1", "604801", "x", "", "1.5"])
    func anExpiryOutsideAWeekIsRefused(expires: String) {
        #expect(code(Self.presigned(expires: expires)) == "AuthorizationQueryParametersError")
    }

    @Test(arguments: [
        "", "20130524", "2013-05-24T00:00:00Z", "20130525T000000Z", "20130524T000000", "+130524T000000Z",
    ])
    func aPresignedDateThatIsNoneIsRefused(date: String) {
        #expect(code(Self.presigned(date: date)) == "AuthorizationQueryParametersError")
    }

    @Test(arguments: [
        "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders",
        "X-Amz-Signature",
    ])
    func everyParameterOfAPresignedRequestIsNeeded(parameter: String) {
        let path = Self.presigned().path ?? ""
        let items = path.split(separator: "?")[1].split(separator: "&").filter {
            !$0.hasPrefix(parameter + "=")
        }
        #expect(
            code(request(.get, "/test.txt?" + items.joined(separator: "&")))
                == "AuthorizationQueryParametersError")
    }

    @Test func theClockMayBeOffByAQuarterOfAnHour() {
        let skew = Authenticator.skewLimit
        #expect(code(Self.getObject, at: exampleTime + skew) == nil)
        #expect(code(Self.getObject, at: exampleTime - skew) == nil)
        #expect(code(Self.getObject, at: exampleTime + skew + 1) == "RequestTimeTooSkewed")
        #expect(code(Self.getObject, at: exampleTime - skew - 1) == "RequestTimeTooSkewed")
    }

    /// A request that is signed as AWS says, with one thing wrong that `change` does to what is sent.
    private func signed(
        _ signer: Signer = Signer(), _ method: HTTPRequest.Method = .get, path: String = "/key",
        canonicalPath: String? = nil, query: String = "", canonicalQuery: String? = nil,
        headers: [(String, String)] = [], canonicalHeaders: [(String, String)]? = nil,
        payload: String = "UNSIGNED-PAYLOAD", change: (String) -> String = { $0 }
    ) -> HTTPRequest {
        let common = [("x-amz-date", signer.time), ("x-amz-content-sha256", payload)]
        let host = "examplebucket.s3.amazonaws.com"
        let authorization = signer.authorization(
            method.rawValue, canonicalPath ?? path, query: canonicalQuery ?? query,
            headers: (canonicalHeaders ?? headers) + common + [("host", host)], payload: payload)
        return request(
            method, query.isEmpty ? path : "\(path)?\(query)", host: host,
            headers + common + [("authorization", change(authorization))])
    }

    @Test(arguments: [
        ("/", "/"), ("/a%20b", "/a%20b"), ("/a+b", "/a%2Bb"), ("/a%2fb", "/a/b"), ("/%7Ea", "/~a"),
        ("/a*b'(c)!", "/a%2Ab%27%28c%29%21"), ("/%c3%a9", "/%C3%A9"), ("/a//b/../c/.", "/a//b/../c/."),
        ("/e%CC%81", "/e%CC%81"), ("/%F4%8F%BF%BF", "/%F4%8F%BF%BF"),
        ("/a%3Fb%23%26=:@$,;", "/a%3Fb%23%26%3D%3A%40%24%2C%3B"),
        ("/%00%01%7F", "/%00%01%7F"),
    ])
    func aPathIsSignedDecodedAndEncodedAgain(path: String, canonical: String) throws {
        _ = try authenticate(signed(path: path, canonicalPath: canonical))
    }

    @Test(arguments: [
        ("acl", "acl="), ("acl=", "acl="), ("b=2&a=1", "a=1&b=2"), ("a=2&a=1", "a=1&a=2"),
        ("a=1&a=1", "a=1&a=1"),
        ("a&a=", "a=&a="), ("a-b=1&a=1&aB=2", "a=1&a-b=1&aB=2"), ("p=a%2Fb", "p=a%2Fb"), ("p=a/b", "p=a%2Fb"),
        ("p=a+b", "p=a%20b"), ("p=a%20b", "p=a%20b"), ("p=%2B", "p=%2B"), ("p=a=b", "p=a%3Db"),
        ("%61=%62", "a=b"), ("a=1&&b=2", "a=1&b=2"), ("=v", "=v"),
        ("p=%C3%A9&p=%65%CC%81", "p=%C3%A9&p=e%CC%81"),
        ("a%3D=1&a=2", "a=2&a%3D=1"),
    ])
    func aQueryIsSignedEncodedAndInOrder(query: String, canonical: String) throws {
        _ = try authenticate(signed(query: query, canonicalQuery: canonical))
    }

    @Test func headersAreSignedTrimmedAndJoined() throws {
        _ = try authenticate(
            signed(
                headers: [
                    ("x-amz-meta-a", "  one   two\t three "), ("x-amz-meta-b", "1"), ("x-amz-meta-b", "2"),
                    ("x-amz-meta-c", ""),
                ],
                canonicalHeaders: [
                    ("x-amz-meta-a", "one two three"), ("x-amz-meta-b", "1,2"), ("x-amz-meta-c", ""),
                ]))
    }

    @Test func anAccessKeyMayHaveSlashes() throws {
        var signer = Signer()
        signer.accessKey = "with/slash"
        signer.secretKey = "secret"
        #expect(try authenticate(signed(signer)).0.userID == "other")
    }

    @Test func theDateHeaderWillDoWithoutTheOtherOne() throws {
        let date = "Fri, 24 May 2013 00:00:00 GMT"
        let host = "examplebucket.s3.amazonaws.com"
        let authorization = Signer().authorization(
            "GET", "/key",
            headers: [("date", date), ("host", host), ("x-amz-content-sha256", "UNSIGNED-PAYLOAD")],
            payload: "UNSIGNED-PAYLOAD")
        let head = request(
            .get, "/key",
            [("date", date), ("x-amz-content-sha256", "UNSIGNED-PAYLOAD"), ("authorization", authorization)])
        _ = try authenticate(head)
        var undated = head
        undated.headerFields[.date] = nil
        #expect(code(undated) == "AccessDenied")
    }

    @Test func whatIsWrongWithASignatureIsSaid() {
        #expect(code(request(.get, "/key")) == nil, "nobody is an anonymous sender")
        #expect(
            code(signed { $0.replacingOccurrences(of: "AWS4-HMAC-SHA256", with: "AWS4-ECDSA") })
                == "InvalidArgument")
        #expect(code(request(.get, "/key", [("authorization", "AWS AKIA:sig")])) == "InvalidRequest")
        #expect(code(request(.get, "/key", [("authorization", "Basic YTpi")])) == "InvalidArgument")
        #expect(code(request(.get, "/key?AWSAccessKeyId=a&Signature=b&Expires=1")) == "InvalidRequest")
        for part in ["Credential", "SignedHeaders", "Signature"] {
            #expect(
                code(signed { $0.replacingOccurrences(of: "\(part)=", with: "Other=") })
                    == "AuthorizationHeaderMalformed")
        }
        #expect(
            code(signed { $0.replacingOccurrences(of: "aws4_request", with: "aws4") })
                == "AuthorizationHeaderMalformed")
        #expect(
            code(signed { $0.replacingOccurrences(of: "20130524/us", with: "20130525/us") })
                == "AuthorizationHeaderMalformed")
        #expect(
            code(signed { $0.replacingOccurrences(of: "20130524/us", with: "/us") })
                == "AuthorizationHeaderMalformed")
        #expect(
            code(signed { $0.replacingOccurrences(of: "20130524/us", with: "2013/us") })
                == "AuthorizationHeaderMalformed")
        #expect(
            code(signed { $0.replacingOccurrences(of: "host;", with: "") }) == "AuthorizationHeaderMalformed")
        #expect(code(signed { String($0.dropLast()) + "X" }) == "SignatureDoesNotMatch")
        #expect(code(signed { String($0.dropLast()) }) == "SignatureDoesNotMatch")
    }

    @Test func whoAndWhereItIsSignedForIsChecked() {
        #expect(code(signed(Signer(region: "mars-1"))) == "AuthorizationHeaderMalformed")
        #expect(code(signed(Signer(service: "ec2"))) == "AuthorizationHeaderMalformed")
        #expect(code(signed(Signer(service: "sts"))) == "NotImplemented")
        #expect(code(signed(Signer(accessKey: "NOBODY"))) == "InvalidAccessKeyId")
        #expect(code(signed(Signer(secretKey: "wrong"))) == "SignatureDoesNotMatch")
        #expect(code(signed(headers: [("x-amz-security-token", "t")])) == "InvalidToken")
    }

    @Test func anythingSignedThatWasChangedOnTheWayIsRefused() {
        var head = signed(
            .init(), .put, query: "a=1", headers: [("x-amz-meta-a", "1"), ("content-type", "text/plain")])
        #expect(code(head) == nil)
        for change in [
            { $0.method = .delete }, { $0.path = "/other?a=1" }, { $0.path = "/key?a=2" },
            { $0.path = "/key" },
            { $0.path = "/key?a=1&b" }, { $0.authority = "other.s3.amazonaws.com" },
            { $0.headerFields[name("x-amz-meta-a")] = "2" }, { $0.headerFields[.contentType] = "text/html" },
            { $0.headerFields[name("x-amz-content-sha256")] = Self.empty },
        ] as [(inout HTTPRequest) -> Void] {
            var changed = head
            change(&changed)
            #expect(code(changed) == "SignatureDoesNotMatch", "\(changed)")
        }
        head.headerFields[name("x-amz-meta-new")] = "1"
        #expect(code(head) == "AccessDenied", "an x-amz- header that was not signed")
    }

    @Test func twoWaysOfSigningAtOnceAreRefused() {
        var head = Self.presigned()
        head.headerFields[.authorization] = Self.getObject.headerFields[.authorization]
        #expect(code(head) == "InvalidArgument")
    }

    @Test func aMismatchShowsWhatWasToBeSigned() throws {
        do {
            _ = try authenticate(signed(Signer(secretKey: "wrong"), path: "/a%20b"))
            Issue.record("it was taken")
        } catch let error as S3Error {
            let details = Dictionary(uniqueKeysWithValues: error.details.map { ($0.name, $0.value) })
            #expect(details["CanonicalRequest"]?.hasPrefix("GET\n/a%20b\n\nhost:examplebucket") == true)
            #expect(details["StringToSign"]?.hasPrefix("AWS4-HMAC-SHA256\n20130524T000000Z\n") == true)
            #expect(details["AWSAccessKeyId"] == ExampleIdentities.accessKey)
        }
    }

    @Test func theFormOfTheBodyIsSaidByItsHash() throws {
        func form(_ payload: String) throws -> PayloadForm { try authenticate(signed(payload: payload)).1 }
        if case .unsigned = try form("UNSIGNED-PAYLOAD") {} else { Issue.record("unsigned") }
        if case .chunks(.some, hasTrailer: false) = try form("STREAMING-AWS4-HMAC-SHA256-PAYLOAD") {
        } else {
            Issue.record("signed chunks")
        }
        if case .chunks(.some, hasTrailer: true) = try form("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER") {
        } else {
            Issue.record("signed chunks with a trailer")
        }
        if case .chunks(nil, hasTrailer: true) = try form("STREAMING-UNSIGNED-PAYLOAD-TRAILER") {
        } else {
            Issue.record("unsigned chunks")
        }
        #expect(code(signed(payload: "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD")) == "NotImplemented")
        for payload in ["", "abc", Self.empty + "00", String(Self.empty.dropLast()) + "g"] {
            #expect(code(signed(payload: payload)) == "InvalidArgument")
        }
        var head = signed()
        head.headerFields[name("x-amz-content-sha256")] = nil
        #expect(code(head) == "InvalidRequest")
    }
}
