import Foundation
import HTTPTypes
import Model
import S3
import Testing

/// The examples that AWS publishes.
///
/// Source: Amazon S3 API Reference, "Signing and authenticating REST requests (AWS signature version 2)".
@Suite struct SignatureV2Tests {
    /// 2007-03-27T21:00:00Z, and the night after.
    private static let day: UInt64 = 1_175_029_200
    private static let night: UInt64 = 1_175_046_000

    private static func authenticate(
        _ head: HTTPRequest, at seconds: UInt64 = day, allowed: Bool = true
    ) throws -> (Identity, PayloadForm) {
        let target = try RequestTarget(
            uri: head.path ?? "", host: head.authority, domains: ["s3.amazonaws.com"])
        return try Authenticator(
            identities: ExampleIdentities(), region: "us-east-1", allowsSignatureV2: allowed,
            clock: { Timestamp(microseconds: seconds * 1_000_000) }
        ).authenticate(head, target)
    }

    private static func code(_ head: HTTPRequest, at seconds: UInt64 = day, allowed: Bool = true) -> String? {
        do {
            _ = try authenticate(head, at: seconds, allowed: allowed)
            return nil
        } catch { return (error as? S3Error)?.code.name ?? "\(error)" }
    }

    private static func signed(_ signature: String) -> (String, String) {
        ("Authorization", "AWS \(ExampleIdentities.accessKey):\(signature)")
    }

    private static let host = "johnsmith.s3.amazonaws.com"

    private struct Example: Sendable, CustomTestStringConvertible {
        let testDescription: String
        let seconds: UInt64
        let request: HTTPRequest

        init(
            _ what: String, _ method: HTTPRequest.Method, _ path: String, host: String = host,
            date: String, _ headers: [(String, String)] = [], at seconds: UInt64, _ signature: String
        ) {
            testDescription = what
            self.seconds = seconds
            request = S3Tests.request(
                method, path, host: host, [("Date", date)] + headers + [SignatureV2Tests.signed(signature)])
        }
    }

    private static let examples = [
        Example(
            "Object GET", .get, "/photos/puppy.jpg", date: "Tue, 27 Mar 2007 19:36:42 +0000",
            at: day - 5000, "bWq2s1WEIj+Ydj0vQ697zp+IXMU="),
        Example(
            "Object PUT", .put, "/photos/puppy.jpg", date: "Tue, 27 Mar 2007 21:15:45 +0000",
            [("Content-Type", "image/jpeg"), ("Content-Length", "94328")], at: day + 900,
            "MyyxeRY7whkBe+bq8fHCL/2kKUg="),
        Example(
            "List", .get, "/?prefix=photos&max-keys=50&marker=puppy",
            date: "Tue, 27 Mar 2007 19:42:41 +0000", [("User-Agent", "Mozilla/5.0")], at: day - 5000,
            "htDYFYduRNen8P9ZfE/s9SuKy0U="),
        Example(
            "Fetch", .get, "/?acl", date: "Tue, 27 Mar 2007 19:44:46 +0000", at: day - 5000,
            "c2WLPFtWHVgbEmeEG93a4cG37dM="),
        Example(
            "Upload", .put, "/static.johnsmith.net/db-backup.dat.gz", host: "static.johnsmith.net:8080",
            date: "Tue, 27 Mar 2007 21:06:08 +0000",
            [
                ("x-amz-acl", "public-read"), ("content-type", "application/x-download"),
                ("Content-MD5", "4gJE4saaMU4BqNR0kLY+lw=="), ("X-Amz-Meta-ReviewedBy", "joe@johnsmith.net"),
                ("X-Amz-Meta-ReviewedBy", "jane@johnsmith.net"), ("X-Amz-Meta-FileChecksum", "0x02661779"),
                ("X-Amz-Meta-ChecksumAlgorithm", "crc32"), ("Content-Encoding", "gzip"),
            ], at: day, "ilyl83RwaSoYIEdixDQcA4OnAnc="),
        Example(
            "List all my buckets", .get, "/", host: "s3.amazonaws.com",
            date: "Wed, 28 Mar 2007 01:29:59 +0000", at: night, "qGdzdERIC03wnaRNKh6OqZehG9s="),
        Example(
            "Unicode keys", .get, "/dictionary/fran%C3%A7ais/pr%c3%a9f%c3%a8re", host: "s3.amazonaws.com",
            date: "Wed, 28 Mar 2007 01:49:49 +0000", at: night, "DNEZGsoieTZ92F3bUfSPQcbGmlM="),
    ]

    @Test(arguments: examples) private func anExampleIsTaken(_ example: Example) throws {
        let (identity, payload) = try Self.authenticate(example.request, at: example.seconds)
        #expect(identity.userID == "example")
        if case .unsigned = payload {} else { Issue.record("its body is not signed") }
    }

    @Test(arguments: examples) private func offItIsRefusedByName(_ example: Example) {
        #expect(Self.code(example.request, at: example.seconds, allowed: false) == "InvalidRequest")
    }

    /// The line of the date is empty then.
    @Test func theOtherDateHeaderIsSignedInsteadOfTheFirst() {
        let head = request(
            .delete, "/johnsmith/photos/puppy.jpg", host: "s3.amazonaws.com",
            [
                ("Date", "Tue, 27 Mar 2007 11:20:27 +0000"),
                ("x-amz-date", "Tue, 27 Mar 2007 21:20:26 +0000"),
                Self.signed("R4dJ53KECjStyBO5iTBJZ4XVOaI="),
            ])
        #expect(Self.code(head, at: Self.day + 900) == nil)
    }

    private static func presigned(
        expires: String = "1175139620", signature: String = "NpgCjnDzrM%2BWFzoENXmpNDUsSn8%3D",
        more: String = ""
    ) -> HTTPRequest {
        request(
            .get,
            "/photos/puppy.jpg?AWSAccessKeyId=AKIAIOSFODNN7EXAMPLE&Signature=\(signature)&Expires=\(expires)\(more)",
            host: host)
    }

    @Test func theExampleOfAQueryIsGoodUntilItExpires() {
        #expect(Self.code(Self.presigned()) == nil)
        #expect(Self.code(Self.presigned(), at: 1_175_139_620) == nil)
        #expect(Self.code(Self.presigned(), at: 1_175_139_621) == "AccessDenied")
        #expect(Self.code(Self.presigned(), allowed: false) == "InvalidRequest")
    }

    @Test(arguments: [
        (presigned(expires: "1175139621"), "SignatureDoesNotMatch"),
        (presigned(expires: "soon"), "AccessDenied"), (presigned(expires: "-1"), "AccessDenied"),
        (presigned(expires: "99999999999999999999"), "AccessDenied"),
        (presigned(signature: "AAAA"), "SignatureDoesNotMatch"),
        (presigned(more: "&acl"), "SignatureDoesNotMatch"),
        (presigned(more: "&versionId=1"), "SignatureDoesNotMatch"),
        (presigned(more: "&response-content-type=a"), "SignatureDoesNotMatch"),
        (presigned(more: "&retention"), "InvalidRequest"),
        (presigned(more: "&x-amz-security-token=t"), "InvalidToken"),
        (presigned(more: "&X-Amz-Credential=other"), "InvalidArgument"),
        (request(.get, "/?AWSAccessKeyId=a&Expires=1", host: host), "AccessDenied"),
        (request(.get, "/?AWSAccessKeyId=a&Signature=b", host: host), "AccessDenied"),
    ])
    func whatIsWrongWithAQueryIsSaid(head: HTTPRequest, code: String) {
        #expect(Self.code(head) == code, "\(head.path ?? "")")
    }

    @Test(arguments: ["AWS x", "AWS :x", "AWS x y"])
    func anAuthorizationThatIsNoneIsRefused(_ text: String) {
        let date = ("Date", "Tue, 27 Mar 2007 21:00:00 GMT")
        #expect(
            Self.code(request(.get, "/", host: Self.host, [date, ("Authorization", text)]))
                == "InvalidArgument")
    }

    @Test func theClockMayBeOffByAQuarterOfAnHour() {
        let head = Self.examples[0].request
        let signed = Self.day - 5000 + 2
        #expect(Self.code(head, at: signed + Authenticator.skewLimit) == nil)
        #expect(Self.code(head, at: signed + Authenticator.skewLimit + 1) == "RequestTimeTooSkewed")
        #expect(Self.code(head, at: signed - Authenticator.skewLimit - 1) == "RequestTimeTooSkewed")
        var undated = head
        undated.headerFields[.date] = nil
        #expect(Self.code(undated) == "AccessDenied")
        undated.headerFields[.date] = "yesterday"
        #expect(Self.code(undated) == "AccessDenied")
    }

    @Test func anotherKeyOrAnotherWayBesideIsRefused() {
        var head = Self.examples[0].request
        let time = Self.examples[0].seconds
        head.headerFields[.authorization] = "AWS NOBODY:bWq2s1WEIj+Ydj0vQ697zp+IXMU="
        #expect(Self.code(head, at: time) == "InvalidAccessKeyId")
        var both = Self.presigned()
        both.headerFields[.authorization] = "AWS AKIAIOSFODNN7EXAMPLE:bWq2s1WEIj+Ydj0vQ697zp+IXMU="
        #expect(Self.code(both) == "InvalidArgument")
        var hashed = Self.examples[0].request
        hashed.headerFields[name("x-amz-content-sha256")] = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
        #expect(Self.code(hashed, at: time) == "SignatureDoesNotMatch", "the header is signed too")
    }

    /// RFC 2202, test case 2.
    @Test func theSignatureIsAnHMACOfSHA1() {
        let text = Array("what do ya want for nothing?".utf8)
        #expect(SignatureV2.signature(text, secretKey: "Jefe") == "7/zfauXrL6LSdBbV8YTfnCWafHk=")
    }
}
