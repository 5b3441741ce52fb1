import Digests
import Foundation
import HTTPTypes
import Model
import S3
import Testing

/// Source: Amazon S3 API Reference, "POST Object" and "Browser-Based Uploads Using POST".
@Suite struct FormUploadTests {
    private let s3: S3Fixture

    init() async throws {
        s3 = try await S3Fixture()
        let made = await s3.send(.put, "/bucket")
        try #require(made.status == .ok, "\(made.text)")
    }

    private static let credential = "\(Signer().accessKey)/\(Signer().scope)"

    /// The fields that sign a policy, and the conditions that cover them.
    private static func signed(
        _ conditions: String, signer: Signer = Signer(), expiration: String = "2013-05-25T00:00:00Z"
    ) -> [(String, String)] {
        let credential = "\(signer.accessKey)/\(signer.scope)"
        let policy = Data(
            """
            {"expiration": "\(expiration)", "conditions": [{"bucket": "bucket"}, \(conditions),
            {"x-amz-algorithm": "AWS4-HMAC-SHA256"}, {"x-amz-credential": "\(credential)"},
            {"x-amz-date": "\(signer.time)"}]}
            """.utf8
        ).base64EncodedString()
        return [
            ("policy", policy), ("x-amz-algorithm", "AWS4-HMAC-SHA256"), ("x-amz-credential", credential),
            ("x-amz-date", signer.time),
            ("x-amz-signature", HMACSHA256.authenticate(Array(policy.utf8), key: signer.key).hexadecimal),
        ]
    }

    private func post(
        _ fields: [(String, String)], _ content: String = "hello", fileName: String = "a.txt",
        path: String = "/bucket", type: String = "multipart/form-data; boundary=XX"
    ) async -> ServiceResponse {
        var text = fields.map {
            "--XX\r\nContent-Disposition: form-data; name=\"\($0.0)\"\r\n\r\n\($0.1)\r\n"
        }.joined()
        text +=
            "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"\(fileName)\"\r\n\r\n\(content)\r\n--XX--\r\n"
        let body = Array(text.utf8)
        let head = request(
            .post, path, host: "localhost",
            [("content-type", type), ("content-length", String(body.count))])
        return await s3.service.respond(to: ServiceRequest(head: head, body: Pieces([body])))
    }

    private func keys() async -> [String] {
        let listing = await s3.send(.get, "/bucket", "list-type=2")
        return listing.text.components(separatedBy: "<Key>").dropFirst().map {
            $0.components(separatedBy: "</Key>")[0]
        }
    }

    @Test func aSignedFormIsPutWithItsFields() async {
        let answer = await post(
            [("key", "in/${filename}"), ("Content-Type", "text/plain"), ("x-amz-meta-a", "1")]
                + Self.signed(
                    "[\"starts-with\", \"$key\", \"in/\"], [\"starts-with\", \"$Content-Type\", \"text/\"], {\"x-amz-meta-a\": \"1\"}, [\"content-length-range\", 1, 5]"
                ))
        #expect(answer.status == .noContent && answer.text.isEmpty, "\(answer.text)")
        #expect(answer.headers[.location] == "http://localhost/bucket/in/a.txt")
        #expect(answer.headers[.eTag] == "\"\(MD5.hash(Array("hello".utf8)).hexadecimal)\"")
        #expect(answer.headers[name("x-holdfast-replicas")] == "3" && answer.operation == "PostObject")
        let head = await s3.send(.head, "/bucket/in/a.txt")
        #expect(head.headers[.contentType] == "text/plain" && head.headers[.contentLength] == "5")
        #expect(head.headers[name("x-amz-meta-a")] == "1")
    }

    @Test(arguments: [
        ("200", 200), ("201", 201), ("204", 204), ("404", 204), ("", 204), ("two hundred", 204),
    ])
    func theFormSaysWhatItsSuccessIs(status: String, code: Int) async {
        let answer = await post(
            [("key", "a & b"), ("success_action_status", status)]
                + Self.signed("{\"key\": \"a & b\"}, [\"starts-with\", \"$success_action_status\", \"\"]"))
        #expect(answer.status.code == code, "\(answer.text)")
        if code == 201 {
            #expect(answer.element("Location") == "http://localhost/bucket/a%20%26%20b")
            #expect(answer.element("Bucket") == "bucket" && answer.element("Key") == "a &amp; b")
            #expect(answer.element("ETag") == "&quot;\(MD5.hash(Array("hello".utf8)).hexadecimal)&quot;")
        }
    }

    @Test(
        arguments: [
            ("http://a.example/page", "http://a.example/page?bucket=bucket&key=k%2F1&etag=%22e%22"),
            ("https://a.example/?x=1", "https://a.example/?x=1&bucket=bucket&key=k%2F1&etag=%22e%22"),
            ("http://a.example/?x=1&", "http://a.example/?x=1&bucket=bucket&key=k%2F1&etag=%22e%22"),
            ("http://a.example/p#there", "http://a.example/p?bucket=bucket&key=k%2F1&etag=%22e%22#there"),
            ("", nil), ("nonsense", nil), ("javascript:alert(1)", nil), ("file:///etc/passwd", nil),
            ("http://", nil), ("http://a.example/\r\nX: 1", nil), ("http://a.example/é", nil),
            ("//a.example", nil),
        ] as [(String, String?)])
    func anAddressGetsWhatWasStored(address: String, redirect: String?) throws {
        let bucket = try BucketName("bucket")
        #expect(S3Service.redirect(address, key: "k/1", in: bucket, etag: "\"e\"") == redirect)
    }

    @Test func aBrowserIsSentOn() async {
        let page = "http://a.example/done"
        let answer = await post(
            [("key", "k"), ("success_action_redirect", page)]
                + Self.signed("{\"key\": \"k\"}, {\"success_action_redirect\": \"\(page)\"}"))
        #expect(answer.status == .seeOther, "\(answer.text)")
        #expect(answer.headers[.location]?.hasPrefix("\(page)?bucket=bucket&key=k&etag=%22") == true)
    }

    @Test func theFileIsAsLongAsThePolicySays() async {
        func code(_ content: String) async -> String? {
            await post(
                [("key", "k")] + Self.signed("{\"key\": \"k\"}, [\"content-length-range\", 3, 5]"), content
            )
            .errorCode
        }
        #expect(await code("12") == "EntityTooSmall")
        #expect(await code("123456") == "EntityTooLarge")
        #expect(await code(String(repeating: "1", count: 200_000)) == "EntityTooLarge")
        #expect(await keys().isEmpty, "nothing refused is published")
        #expect(await code("123") == nil)
        #expect(await code("12345") == nil)
    }

    @Test func aChecksumAmongTheFieldsIsVerified() async {
        func code(_ field: String, _ value: String) async -> String? {
            await post(
                [("key", "k"), (field, value)] + Self.signed("{\"key\": \"k\"}, {\"\(field)\": \"\(value)\"}")
            ).errorCode
        }
        let good = Data(SHA256.hash(Array("hello".utf8))).base64EncodedString()
        let bad = Data(SHA256.hash([0])).base64EncodedString()
        #expect(await code("x-amz-checksum-sha256", bad) == "BadDigest")
        #expect(await code("Content-MD5", Data(MD5.hash([0])).base64EncodedString()) == "BadDigest")
        #expect(await keys().isEmpty)
        #expect(await code("x-amz-checksum-sha256", good) == nil)
        let head = await s3.send(.head, "/bucket/k", "", [("x-amz-checksum-mode", "ENABLED")])
        #expect(head.headers[name("x-amz-checksum-sha256")] == good)
    }

    private static func change(_ fields: [(String, String)], _ name: String, _ value: String?) -> [(
        String, String
    )] {
        fields.compactMap { $0.0 == name ? value.map { (name, $0) } : $0 }
    }

    @Test func whatIsWrongWithAFormIsSaid() async {
        let good = [("key", "k")] + Self.signed("{\"key\": \"k\"}")
        let cases: [(String, [(String, String)], String)] = [
            ("nothing signed", [("key", "k")], "AccessDenied"),
            ("no key", Array(good.dropFirst()), "InvalidArgument"),
            ("an empty key", Self.change(good, "key", ""), "InvalidArgument"),
            ("another key", Self.change(good, "key", "other"), "AccessDenied"),
            ("a field more", good + [("acl", "private")], "AccessDenied"),
            ("a field twice", good + [("key", "k")], "InvalidArgument"),
            ("no policy", Self.change(good, "policy", nil), "InvalidArgument"),
            ("another policy", Self.change(good, "policy", "e30="), "SignatureDoesNotMatch"),
            ("no signature", Self.change(good, "x-amz-signature", nil), "InvalidArgument"),
            ("a bad signature", Self.change(good, "x-amz-signature", "00"), "SignatureDoesNotMatch"),
            ("no credential", Self.change(good, "x-amz-credential", nil), "InvalidArgument"),
            ("no date", Self.change(good, "x-amz-date", nil), "InvalidArgument"),
            ("a bad date", Self.change(good, "x-amz-date", "today"), "InvalidArgument"),
            (
                "another date", Self.change(good, "x-amz-date", "20130525T000000Z"),
                "AuthorizationQueryParametersError"
            ),
            ("another algorithm", Self.change(good, "x-amz-algorithm", "AWS4-ECDSA"), "InvalidArgument"),
            ("a token", good + [("x-amz-security-token", "t")], "InvalidToken"),
            ("a policy alone", [("key", "k"), ("policy", "e30=")], "InvalidArgument"),
            (
                "another region",
                [("key", "k")] + Self.signed("{\"key\": \"k\"}", signer: Signer(region: "mars-1")),
                "AuthorizationQueryParametersError"
            ),
            (
                "nobody's key",
                [("key", "k")] + Self.signed("{\"key\": \"k\"}", signer: Signer(accessKey: "NOBODY")),
                "InvalidAccessKeyId"
            ),
            (
                "a wrong secret",
                [("key", "k")] + Self.signed("{\"key\": \"k\"}", signer: Signer(secretKey: "wrong")),
                "SignatureDoesNotMatch"
            ),
            (
                "too late",
                [("key", "k")] + Self.signed("{\"key\": \"k\"}", expiration: "2013-05-23T00:00:00Z"),
                "AccessDenied"
            ),
            (
                "Signature V2",
                [("key", "k"), ("AWSAccessKeyId", "a"), ("policy", "e30="), ("signature", "s")],
                "InvalidRequest"
            ),
            (
                "too long a key",
                [("key", String(repeating: "k", count: 1025))]
                    + Self.signed("[\"starts-with\", \"$key\", \"\"]"),
                "KeyTooLongError"
            ),
        ]
        for (what, fields, code) in cases {
            let answer = await post(fields)
            #expect(answer.errorCode == code, "\(what): \(answer.text)")
        }
        #expect(await keys().isEmpty)
        #expect(await post(good, path: "/none").errorCode == "NoSuchBucket")
        let typed = await post(good, type: "text/plain")
        #expect(typed.status.code == 412 && typed.errorCode == "PreconditionFailed")
        #expect(await post(good).status == .noContent)
    }

    /// The form that AWS's document signs.
    @Test func theExampleOfASignedPolicyIsTaken() throws {
        let lines = [
            "{ \"expiration\": \"2015-12-30T12:00:00.000Z\",", "  \"conditions\": [",
            "    {\"bucket\": \"sigv4examplebucket\"},", "    [\"starts-with\", \"$key\", \"user/user1/\"],",
            "    {\"acl\": \"public-read\"},",
            "    {\"success_action_redirect\": \"http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html\"},",
            "    [\"starts-with\", \"$Content-Type\", \"image/\"],",
            "    {\"x-amz-meta-uuid\": \"14365123651274\"},",
            "    {\"x-amz-server-side-encryption\": \"AES256\"},",
            "    [\"starts-with\", \"$x-amz-meta-tag\", \"\"],", "",
            "    {\"x-amz-credential\": \"AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request\"},",
            "    {\"x-amz-algorithm\": \"AWS4-HMAC-SHA256\"},",
            "    {\"x-amz-date\": \"20151229T000000Z\" }", "  ]", "}",
        ]
        var fields = FormFields()
        for (name, value) in [
            ("key", "user/user1/${filename}"), ("acl", "public-read"),
            ("success_action_redirect", "http://sigv4examplebucket.s3.amazonaws.com/successful_upload.html"),
            ("Content-Type", "image/jpeg"), ("x-amz-meta-uuid", "14365123651274"),
            ("x-amz-server-side-encryption", "AES256"),
            ("X-Amz-Credential", "AKIAIOSFODNN7EXAMPLE/20151229/us-east-1/s3/aws4_request"),
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"), ("X-Amz-Date", "20151229T000000Z"),
            ("x-amz-meta-tag", ""),
            ("Policy", Data(lines.joined(separator: "\r\n").utf8).base64EncodedString()),
            ("X-Amz-Signature", "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e"),
        ] { try fields.add(name, value) }
        let authenticator = Authenticator(
            identities: ExampleIdentities(), region: "us-east-1", clock: { Timestamp.now() })
        let (identity, policy) = try authenticator.authenticate(form: fields)
        #expect(identity.userID == "example")
        // 2015-12-30T11:59:59Z
        let now = Timestamp(microseconds: 1_451_476_799_000_000)
        #expect(try policy?.check(fields.namingFile(), bucket: "sigv4examplebucket", now: now) == nil)
        #expect(throws: S3Error.self) {
            try policy?.check(
                fields, bucket: "sigv4examplebucket", now: Timestamp(microseconds: 1_451_476_800_000_000))
        }
    }

    @Test func anOldSignatureOfAPolicyIsTakenWhereItIsAllowed() throws {
        let policy = Data("{\"expiration\": \"2013-05-25T00:00:00Z\", \"conditions\": []}".utf8)
            .base64EncodedString()
        func authenticate(_ signature: String, allowed: Bool) throws -> Identity {
            var fields = FormFields()
            for (name, value) in [
                ("AWSAccessKeyId", ExampleIdentities.accessKey), ("policy", policy), ("signature", signature),
            ] { try fields.add(name, value) }
            return try Authenticator(
                identities: ExampleIdentities(), region: "us-east-1", allowsSignatureV2: allowed,
                clock: { Timestamp.now() }
            ).authenticate(form: fields).0
        }
        let good = SignatureV2.signature(Array(policy.utf8), secretKey: ExampleIdentities.secretKey)
        #expect(try authenticate(good, allowed: true).userID == "example")
        #expect(throws: S3Error.self) { try authenticate(good, allowed: false) }
        #expect(throws: S3Error.self) { try authenticate("AAAA", allowed: true) }
    }
}
