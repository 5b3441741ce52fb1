import Digests
import Foundation
import HTTPTypes
import S3
import Testing

/// Source: Amazon S3 User Guide, "Using cross-origin resource sharing".
@Suite struct CORSTests {
    private let s3: S3Fixture

    private static let rules = """
        <CORSConfiguration>
          <CORSRule><ID>first</ID><AllowedOrigin>http://www.example.com</AllowedOrigin>
            <AllowedOrigin>https://*.example.org</AllowedOrigin>
            <AllowedMethod>PUT</AllowedMethod><AllowedMethod>DELETE</AllowedMethod>
            <AllowedHeader>x-amz-*</AllowedHeader><AllowedHeader>Content-Type</AllowedHeader>
            <ExposeHeader>ETag</ExposeHeader><ExposeHeader>x-amz-version-id</ExposeHeader>
            <MaxAgeSeconds>3000</MaxAgeSeconds></CORSRule>
          <CORSRule><AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod></CORSRule>
        </CORSConfiguration>
        """

    init() async throws {
        s3 = try await S3Fixture()
        let made = await s3.send(.put, "/bucket")
        try #require(made.status == .ok, "\(made.text)")
    }

    private func configure(_ xml: String) async -> ServiceResponse {
        let body = Array(xml.utf8)
        let md5 = Data(MD5.hash(body)).base64EncodedString()
        return await s3.send(.put, "/bucket", "cors=", [("content-md5", md5)], body: body)
    }

    private func ask(_ headers: [(String, String)], path: String = "/bucket/key") async -> ServiceResponse {
        let head = request(.options, path, host: "localhost", headers)
        return await s3.service.respond(to: ServiceRequest(head: head, body: Pieces([])))
    }

    private func preflight(_ origin: String, _ method: String, _ headers: String? = nil) async
        -> ServiceResponse
    {
        await ask(
            [("Origin", origin), ("Access-Control-Request-Method", method)]
                + (headers.map { [("Access-Control-Request-Headers", $0)] } ?? []))
    }

    @Test func aConfigurationIsKeptShownAndRemoved() async {
        #expect(await s3.send(.get, "/bucket", "cors=").errorCode == "NoSuchCORSConfiguration")
        #expect(await configure(Self.rules).status == .ok)
        let shown = await s3.send(.get, "/bucket", "cors=")
        #expect(shown.status == .ok && shown.headers[.contentType] == "application/xml")
        #expect(shown.element("ID") == "first" && shown.element("MaxAgeSeconds") == "3000")
        #expect(shown.text.contains("<AllowedOrigin>https://*.example.org</AllowedOrigin>"))
        #expect(shown.text.contains("<AllowedHeader>Content-Type</AllowedHeader>"))
        #expect(await configure(shown.text).status == .ok, "what is shown can be put again")
        #expect(await s3.send(.delete, "/bucket", "cors=").status == .noContent)
        #expect(await s3.send(.get, "/bucket", "cors=").errorCode == "NoSuchCORSConfiguration")
        #expect(await s3.send(.get, "/none", "cors=").errorCode == "NoSuchBucket")
        #expect(
            await s3.send(.put, "/bucket", "cors=", body: Array(Self.rules.utf8)).errorCode
                == "InvalidRequest")
    }

    private static func rule(_ more: String) -> String {
        "<CORSConfiguration><CORSRule>\(more)</CORSRule></CORSConfiguration>"
    }

    private static let good = "<AllowedOrigin>*</AllowedOrigin><AllowedMethod>GET</AllowedMethod>"

    @Test(arguments: [
        ("", "MalformedXML"), ("<CORSConfiguration/>", "MalformedXML"), ("<Other/>", "MalformedXML"),
        ("<CORSConfiguration><Other/></CORSConfiguration>", "MalformedXML"),
        (rule("<AllowedMethod>GET</AllowedMethod>"), "MalformedXML"),
        (rule("<AllowedOrigin>*</AllowedOrigin>"), "MalformedXML"),
        (rule("<AllowedOrigin></AllowedOrigin><AllowedMethod>GET</AllowedMethod>"), "MalformedXML"),
        (rule(good + "<Other>1</Other>"), "MalformedXML"),
        (rule(good + "<MaxAgeSeconds>-1</MaxAgeSeconds>"), "MalformedXML"),
        (rule(good + "<MaxAgeSeconds>long</MaxAgeSeconds>"), "MalformedXML"),
        (rule(good + "<MaxAgeSeconds>1</MaxAgeSeconds><MaxAgeSeconds>1</MaxAgeSeconds>"), "MalformedXML"),
        (rule(good + "<AllowedMethod>PATCH</AllowedMethod>"), "InvalidRequest"),
        (rule(good + "<AllowedMethod>get</AllowedMethod>"), "InvalidRequest"),
        (rule(good + "<AllowedOrigin>http://*.*</AllowedOrigin>"), "InvalidRequest"),
        (rule(good + "<AllowedHeader>*-*</AllowedHeader>"), "InvalidRequest"),
        (rule(good + "<ExposeHeader>x-*</ExposeHeader>"), "InvalidRequest"),
        (rule(good + "<ExposeHeader>a b</ExposeHeader>"), "MalformedXML"),
        (rule(good + "<AllowedOrigin>a\r\nb</AllowedOrigin>"), "MalformedXML"),
        (rule("<ID>\(String(repeating: "i", count: 256))</ID>" + good), "InvalidRequest"),
        (
            "<CORSConfiguration>\(String(repeating: "<CORSRule>\(good)</CORSRule>", count: 101))</CORSConfiguration>",
            "MalformedXML"
        ),
        (
            "<CORSConfiguration>\(String(repeating: " ", count: 70_000))</CORSConfiguration>",
            "MaxMessageLengthExceeded"
        ),
        (
            "<CORSConfiguration>\(String(repeating: "<CORSRule><ID>a</ID>\(good)</CORSRule>", count: 2))</CORSConfiguration>",
            "InvalidRequest"
        ),
    ])
    func aConfigurationThatIsNoneIsRefused(xml: String, code: String) async {
        #expect(await configure(xml).errorCode == code)
        #expect(await s3.send(.get, "/bucket", "cors=").errorCode == "NoSuchCORSConfiguration")
    }

    @Test(
        arguments: [
            ("http://www.example.com", "PUT", nil, true),
            ("http://www.example.com", "DELETE", "x-amz-date", true),
            ("http://www.example.com", "PUT", "X-Amz-Date, content-type", true),
            ("http://www.example.com", "PUT", "authorization", false),
            ("http://www.example.com", "PUT", "x-amz-date,authorization", false),
            ("http://www.example.com", "POST", nil, false), ("http://www.example.com:80", "PUT", nil, false),
            ("https://a.example.org", "PUT", nil, true), ("https://a.b.example.org", "PUT", nil, true),
            ("https://.example.org", "PUT", nil, true), ("https://example.org", "PUT", nil, false),
            ("https://a.example.org.evil.com", "PUT", nil, false),
            ("http://a.example.org", "PUT", nil, false),
            ("null", "GET", nil, true), ("http://anything", "GET", nil, true),
            ("http://anything", "GET", "range", false),
            ("http://anything", "HEAD", nil, false),
        ] as [(String, String, String?, Bool)])
    func theFirstRuleForOriginMethodAndHeadersDecides(
        origin: String, method: String, headers: String?, isAllowed: Bool
    ) async {
        #expect(await configure(Self.rules).status == .ok)
        let answer = await preflight(origin, method, headers)
        #expect(answer.status == (isAllowed ? .ok : .forbidden))
        #expect(answer.errorCode == (isAllowed ? nil : "AccessForbidden"))
        #expect((answer.headers[.accessControlAllowOrigin] != nil) == isAllowed)
    }

    @Test func aPreflightIsToldAllThatTheRuleSays() async {
        #expect(await configure(Self.rules).status == .ok)
        let named = await preflight("https://a.example.org", "PUT", "X-Amz-Date,Content-Type").headers
        #expect(named[.accessControlAllowOrigin] == "https://a.example.org")
        #expect(named[.accessControlAllowMethods] == "PUT, DELETE")
        #expect(named[.accessControlAllowHeaders] == "x-amz-date, content-type")
        #expect(named[.accessControlExposeHeaders] == "ETag, x-amz-version-id")
        #expect(named[.accessControlMaxAge] == "3000" && named[.accessControlAllowCredentials] == "true")
        #expect(named[.vary] == "Origin, Access-Control-Request-Headers, Access-Control-Request-Method")
        let any = await preflight("http://b.example", "GET").headers
        #expect(any[.accessControlAllowOrigin] == "*" && any[.accessControlAllowCredentials] == nil)
        #expect(any[.accessControlMaxAge] == nil && any[.accessControlAllowHeaders] == nil)
    }

    @Test func aPreflightThatCannotBeAnsweredIsRefused() async {
        #expect(
            await preflight("http://a", "GET").element("Message")
                == "CORSResponse: CORS is not enabled for this bucket.")
        #expect(await configure(Self.rules).status == .ok)
        #expect(await ask([("Access-Control-Request-Method", "GET")]).errorCode == "BadRequest")
        #expect(await ask([("Origin", "http://a")]).errorCode == "BadRequest")
        #expect(await preflight("http://a", "OPTIONS").errorCode == "BadRequest")
        let missing = await ask(
            [("Origin", "http://a"), ("Access-Control-Request-Method", "GET")], path: "/no-such-bucket")
        #expect(missing.errorCode == "AccessForbidden" && missing.element("ResourceType") == "BUCKET")
        #expect(missing.element("Message") == "CORSResponse: Bucket not found")
    }

    @Test func anAnswerTellsTheOriginWhetherItMayRead() async {
        #expect(await configure(Self.rules).status == .ok)
        #expect(await s3.send(.put, "/bucket/key", body: [1]).headers[.vary] == nil, "nobody asked")
        let read = await s3.send(.get, "/bucket/key", "", [("origin", "http://b.example")])
        #expect(read.status == .ok && read.headers[.accessControlAllowOrigin] == "*")
        let missing = await s3.send(.get, "/bucket/none", "", [("origin", "http://b.example")])
        #expect(missing.status == .notFound && missing.headers[.accessControlAllowOrigin] == "*")
        let wrong = await s3.send(
            .get, "/bucket/key", "", [("origin", "http://b.example")], signer: Signer(secretKey: "wrong"))
        #expect(wrong.status == .forbidden && wrong.headers[.accessControlAllowOrigin] == "*")
        let other = await s3.send(.put, "/bucket/key", "", [("origin", "http://b.example")], body: [1])
        #expect(other.status == .ok && other.headers[.accessControlAllowOrigin] == nil)
        #expect(other.headers[.vary] != nil)
        let put = await s3.send(.put, "/bucket/key", "", [("origin", "http://www.example.com")], body: [1])
        #expect(put.headers[.accessControlAllowOrigin] == "http://www.example.com")
        #expect(put.headers[.accessControlExposeHeaders] == "ETag, x-amz-version-id")
        #expect(await s3.send(.get, "/none/key", "", [("origin", "http://a")]).headers[.vary] == nil)
    }
}
