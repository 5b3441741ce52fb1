import Digests
import Foundation
import HTTPTypes
import Model
import S3
import Testing

/// The vectors of AWS's Signature Version 4 test suite whose rules are also S3's. Those that normalise paths, or join
/// headers of several lines, have none of S3's rules and are left out.
///
/// Source: AWS General Reference, "Signature Version 4 test suite".
@Suite struct SignatureV4SuiteTests {
    private struct Vector: Sendable, CustomTestStringConvertible {
        let testDescription: String
        var method = HTTPRequest.Method.get
        var path = "/"
        var headers: [(String, String)] = []
        var signed = "host;x-amz-date"
        var body = ""
        let signature: String
    }

    private static let vectors = [
        Vector(
            testDescription: "get-vanilla",
            signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        Vector(
            testDescription: "get-vanilla-query-order-key-case", path: "/?Param2=value2&Param1=value1",
            signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
        Vector(
            testDescription: "get-vanilla-empty-query-key", path: "/?Param1=value1",
            signature: "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb"),
        Vector(
            testDescription: "get-vanilla-query-order-value", path: "/?Param1=value2&Param1=value1",
            signature: "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"),
        Vector(
            testDescription: "get-unreserved",
            path: "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
            signature: "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"),
        Vector(
            testDescription: "get-utf8", path: "/%E1%88%B4",
            signature: "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"),
        Vector(
            testDescription: "get-vanilla-utf8-query", path: "/?%E1%88%B4=bar",
            signature: "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"),
        Vector(
            testDescription: "get-header-key-duplicate",
            headers: [("My-Header1", "value2"), ("My-Header1", "value2"), ("My-Header1", "value1")],
            signed: "host;my-header1;x-amz-date",
            signature: "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"),
        Vector(
            testDescription: "get-header-value-trim",
            headers: [("My-Header1", " value1"), ("My-Header2", " \"a   b   c\"")],
            signed: "host;my-header1;my-header2;x-amz-date",
            signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"),
        Vector(
            testDescription: "post-vanilla", method: .post,
            signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"),
        Vector(
            testDescription: "post-vanilla-query", method: .post, path: "/?Param1=value1",
            signature: "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"),
        Vector(
            testDescription: "post-header-key-sort", method: .post, headers: [("My-Header1", "value1")],
            signed: "host;my-header1;x-amz-date",
            signature: "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"),
        Vector(
            testDescription: "post-x-www-form-urlencoded", method: .post,
            headers: [("Content-Type", "application/x-www-form-urlencoded")],
            signed: "content-type;host;x-amz-date", body: "Param1=value1",
            signature: "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"),
    ]

    @Test(arguments: vectors) private func aVectorIsSignedAsItSays(_ vector: Vector) throws {
        let authorization =
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=\(vector.signed), Signature=\(vector.signature)"
        let head = request(
            vector.method, vector.path, host: "example.amazonaws.com",
            vector.headers + [("X-Amz-Date", "20150830T123600Z"), ("Authorization", authorization)])
        let claim = try SignatureClaim(authorization: authorization, head: head)
        let target = try RequestTarget(uri: vector.path, host: "example.amazonaws.com", domains: [])
        let canonical = try SignatureV4.canonicalRequest(
            head, target: target, claim, payloadHash: SHA256.hash(Array(vector.body.utf8)).hexadecimal)
        let key = SignatureV4.signingKey(
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", date: "20150830", region: "us-east-1",
            service: "service")
        let text = SignatureV4.stringToSign(claim, canonicalRequest: canonical)
        #expect(
            HMACSHA256.authenticate(text, key: key).hexadecimal == vector.signature,
            "\(String(decoding: canonical, as: UTF8.self))")
    }
}
