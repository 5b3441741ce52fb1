import Digests
import Foundation
import HTTPTypes
import Model
import ObjectStore
import S3
import TestSupport
import Testing

/// Requests as clients send them, through the whole protocol.
@Suite struct S3ServiceTests {
    private let s3: S3Fixture

    init() async throws {
        s3 = try await S3Fixture()
        let made = await s3.send(.put, "/bucket")
        try #require(made.status == .ok, "\(made.text)")
    }

    private static func base64(_ bytes: [UInt8]) -> String { Data(bytes).base64EncodedString() }

    private func keys() async -> [String] {
        let listing = await s3.send(.get, "/bucket", "list-type=2")
        return listing.text.components(separatedBy: "<Key>").dropFirst().map {
            $0.components(separatedBy: "</Key>")[0]
        }
    }

    @Test func aRequestWithoutASignatureIsRefused() async {
        let head = request(.get, "/", host: "localhost")
        let response = await s3.service.respond(to: ServiceRequest(head: head, body: Pieces([])))
        #expect(response.status == .forbidden && response.errorCode == "AccessDenied")
        #expect(response.element("Code") == "AccessDenied" && response.element("Resource") == "/")
        #expect(response.headers[.contentType] == "application/xml")
        #expect(response.headers[name("x-amz-request-id")] == response.element("RequestId"))
    }

    /// Whoever let it in has read it: it is let in, and worked at, as the same thing.
    @Test func aTargetThatWasReadIsNotReadAgain() async throws {
        let head = request(.get, "/%zz", host: "localhost")
        var sent = ServiceRequest(head: head, body: Pieces([]))
        let unread = await s3.service.respond(to: sent)
        #expect(unread.status == .badRequest && unread.errorCode == "InvalidURI")
        sent.target = try RequestTarget(uri: "/bucket/key", host: "localhost", domains: [])
        let read = await s3.service.respond(to: sent)
        #expect(read.status == .forbidden && read.errorCode == "AccessDenied")
        #expect(read.kind == .getObject)
    }

    @Test func whoSentARequestIsSaidOnlyWhereASignatureWasGood() async {
        let good = await s3.send(.get, "/bucket/none")
        #expect(good.errorCode == "NoSuchKey" && good.sender == ExampleIdentities.accessKey)
        let denied = await s3.send(as: "carol", .get, "/bucket/none")
        #expect(denied.errorCode == "AccessDenied" && denied.sender == "carol")
        let nobody = await s3.send(as: nil, .get, "/bucket/none")
        #expect(nobody.errorCode == "AccessDenied" && nobody.sender == nil)
        // Each is refused before, or because, its signature is looked at.
        for (signer, code) in [
            (Signer(secretKey: "x"), "SignatureDoesNotMatch"),
            (Signer(accessKey: "nobody"), "InvalidAccessKeyId"),
            (Signer(region: "elsewhere"), "AuthorizationHeaderMalformed"),
            (Signer(time: "20130523T000000Z"), "RequestTimeTooSkewed"),
        ] {
            let forged = await s3.send(.put, "/bucket/key", body: [1], signer: signer)
            #expect(forged.errorCode == code && forged.sender == nil)
        }
    }

    @Test func aWriteNamesItsEventAndItsReplicas() async {
        let put = await s3.send(.put, "/bucket/key", body: [1, 2, 3])
        #expect(put.status == .ok && put.headers[.eTag] == "\"\(MD5.hash([1, 2, 3]).hexadecimal)\"")
        #expect(put.headers[name("x-holdfast-replicas")] == "3")
        #expect((put.headers[name("x-holdfast-sequence")].flatMap { UInt64($0) } ?? 0) > 0)
        #expect(
            put.headers[name("x-amz-checksum-crc64nvme")] != nil
                && put.headers[name("x-amz-checksum-type")] == "FULL_OBJECT")
        let get = await s3.send(.get, "/bucket/key")
        #expect(get.status == .ok && get.headers[.contentLength] == "3")
    }

    @Test func headAnswersWithoutABodyAlsoAnError() async {
        let head = await s3.send(.head, "/bucket/none")
        #expect(head.status == .notFound && head.text.isEmpty && head.errorCode == "NoSuchKey")
    }

    /// The five checksums, in a header: good and bad.
    @Test func aChecksumIsVerifiedKeptAndShown() async throws {
        let body = Array("123456789".utf8)
        for algorithm in EventChecksumAlgorithm.known {
            let header = algorithm.header.canonicalName
            let value = Self.base64(algorithm.digest(body))
            let put = await s3.send(.put, "/bucket/\(algorithm.wireName)", "", [(header, value)], body: body)
            #expect(put.status == .ok && put.headers[algorithm.header] == value)
            let head = await s3.send(
                .head, "/bucket/\(algorithm.wireName)", "", [("x-amz-checksum-mode", "ENABLED")])
            #expect(head.headers[algorithm.header] == value)
            let plain = await s3.send(.head, "/bucket/\(algorithm.wireName)")
            #expect(plain.headers[algorithm.header] == nil)
            let bad = await s3.send(
                .put, "/bucket/bad", "", [(header, Self.base64(algorithm.digest([0])))], body: body)
            #expect(bad.errorCode == "BadDigest")
        }
        #expect(await keys().count == 5, "nothing bad is published")
    }

    @Test func whatABodyIsAnnouncedAsMustBeWhatComes() async {
        let body: [UInt8] = [1, 2, 3]
        let cases: [([(String, String)], String, String)] = [
            ([("content-md5", Self.base64(MD5.hash([0])))], "UNSIGNED-PAYLOAD", "BadDigest"),
            ([("content-md5", "AAAA")], "UNSIGNED-PAYLOAD", "InvalidDigest"),
            ([("content-md5", "!")], "UNSIGNED-PAYLOAD", "InvalidDigest"),
            ([], SHA256.hash([0]).hexadecimal, "XAmzContentSHA256Mismatch"),
            ([("content-length", "4")], "UNSIGNED-PAYLOAD", "IncompleteBody"),
            ([("content-length", "2")], "UNSIGNED-PAYLOAD", "IncompleteBody"),
            ([("content-length", "5368709121")], "UNSIGNED-PAYLOAD", "EntityTooLarge"),
            ([("content-length", "x")], "UNSIGNED-PAYLOAD", "InvalidArgument"),
            ([], "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "MissingContentLength"),
        ]
        for (headers, payload, code) in cases {
            let put = await s3.send(.put, "/bucket/bad", "", headers, body: body, payload: payload)
            #expect(put.errorCode == code, "\(headers)")
        }
        let good = await s3.send(
            .put, "/bucket/good", "", [("content-md5", Self.base64(MD5.hash(body)))], body: body,
            payload: SHA256.hash(body).hexadecimal)
        #expect(good.status == .ok)
        #expect(await keys() == ["good"])
    }

    @Test func aTrailingChecksumIsVerified() async {
        func put(_ trailer: String, announced: String = "x-amz-checksum-crc32") async -> ServiceResponse {
            await s3.send(
                .put, "/bucket/key", "",
                [
                    ("content-encoding", "aws-chunked"), ("x-amz-decoded-content-length", "9"),
                    ("x-amz-trailer", announced),
                ], body: Array("9\r\n123456789\r\n0\r\n\(trailer)\r\n".utf8),
                payload: "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
        }
        #expect(await put("x-amz-checksum-crc32:AAAAAA==\r\n").errorCode == "BadDigest")
        #expect(await put("").errorCode == "MalformedTrailerError")
        #expect(await put("x-amz-checksum-crc32:A\r\n").errorCode == "InvalidRequest")
        #expect(await put("x-amz-checksum-sha1:AAAA\r\n").errorCode == "MalformedTrailerError")
        #expect(await keys().isEmpty)
        let good = await put("x-amz-checksum-crc32:y/Q5Jg==\r\n")
        #expect(good.status == .ok && good.headers[name("x-amz-checksum-crc32")] == "y/Q5Jg==")
        let head = await s3.send(.head, "/bucket/key")
        #expect(head.headers[.contentLength] == "9" && head.headers[.contentEncoding] == nil)
    }

    @Test func rangesAndConditionsOfAGet() async {
        _ = await s3.send(.put, "/bucket/key", body: Array(0..<100))
        let part = await s3.send(.get, "/bucket/key", "", [("range", "bytes=10-19")])
        #expect(part.status == .partialContent && part.headers[.contentLength] == "10")
        #expect(part.headers[.contentRange] == "bytes 10-19/100")
        let none = await s3.send(.get, "/bucket/key", "", [("range", "bytes=100-")])
        #expect(none.status == .rangeNotSatisfiable && none.errorCode == "InvalidRange")
        #expect(none.headers[.contentRange] == "bytes */100")
        let etag = MD5.hash(Array(0..<100)).hexadecimal
        let same = await s3.send(.get, "/bucket/key", "", [("if-none-match", "\"\(etag)\"")])
        #expect(same.status == .notModified && same.text.isEmpty && same.headers[.eTag] == "\"\(etag)\"")
        let other = await s3.send(.get, "/bucket/key", "", [("if-match", "\"x\"")])
        #expect(other.status == .preconditionFailed && other.element("Condition") == "If-Match")
        let both = await s3.send(.get, "/bucket/key", "partNumber=1", [("range", "bytes=0-1")])
        #expect(both.errorCode == "InvalidRequest")
        #expect(await s3.send(.get, "/bucket/key", "partNumber=2").errorCode == "InvalidPartNumber")
        #expect(await s3.send(.get, "/bucket/key", "partNumber=0").errorCode == "InvalidArgument")
    }

    @Test func namesThatCannotBeAreRefused() async {
        #expect(await s3.send(.put, "/ab").errorCode == "InvalidBucketName")
        #expect(await s3.send(.get, "/none/key").errorCode == "NoSuchBucket")
        let long = String(repeating: "k", count: 1025)
        #expect(await s3.send(.put, "/bucket/\(long)").errorCode == "KeyTooLongError")
        #expect(await s3.send(.put, "/bucket/\(long.dropLast())").status == .ok)
        #expect(await s3.send(.get, "/bucket/key", "versionId=").errorCode == "InvalidArgument")
        #expect(await s3.send(.get, "/bucket/key", "versionId=x").errorCode == "InvalidArgument")
        let id = VersionID.random()
        #expect(await s3.send(.get, "/bucket/key", "versionId=\(id)").errorCode == "NoSuchVersion")
    }

    @Test func aBucketIsMadeOnceAndDeletedEmpty() async {
        #expect(await s3.send(.put, "/bucket").errorCode == "BucketAlreadyOwnedByYou")
        var other = Signer()
        other.accessKey = "with/slash"
        other.secretKey = "secret"
        #expect(await s3.send(.put, "/bucket", signer: other).errorCode == "BucketAlreadyExists")
        _ = await s3.send(.put, "/bucket/key", body: [1])
        #expect(await s3.send(.delete, "/bucket").errorCode == "BucketNotEmpty")
        #expect(await s3.send(.delete, "/bucket/key").status == .noContent)
        #expect(await s3.send(.delete, "/bucket/key").status == .noContent, "what is not there is deleted")
        #expect(await s3.send(.delete, "/bucket").status == .noContent)
        #expect(await s3.send(.head, "/bucket").status == .notFound)
    }

    @Test func aListingEncodesNamesWhenAsked() async {
        for key in ["a%01b", "a%20b", "a%26b", "%C3%A9/x"] {
            #expect(await s3.send(.put, "/bucket/\(key)").status == .ok)
        }
        let plain = await s3.send(.get, "/bucket", "list-type=2")
        #expect(plain.text.contains("<Key>a&#x1;b</Key><") && plain.text.contains("<Key>a&amp;b</Key>"))
        let encoded = await s3.send(.get, "/bucket", "delimiter=%2F&encoding-type=url&list-type=2&prefix=")
        #expect(encoded.text.contains("<Key>a%01b</Key>") && encoded.text.contains("<Key>a%26b</Key>"))
        #expect(encoded.text.contains("<Prefix>%C3%A9/</Prefix>") && encoded.element("KeyCount") == "4")
        #expect(await s3.send(.get, "/bucket", "encoding-type=base64").errorCode == "InvalidArgument")
        for bad in ["-1", "x", "2147483648", ""] {
            #expect(
                await s3.send(.get, "/bucket", "max-keys=\(bad)").errorCode == "InvalidArgument", "\(bad)")
        }
        let zero = await s3.send(.get, "/bucket", "max-keys=0")
        #expect(zero.element("MaxKeys") == "0" && zero.element("IsTruncated") == "false")
        #expect(await s3.send(.get, "/bucket", "max-keys=5000").element("MaxKeys") == "1000")
        #expect(
            await s3.send(.get, "/bucket", "continuation-token=&list-type=2").errorCode == "InvalidArgument")
    }

    @Test func zeroKeysOfABucketThatIsNotThereAreAnErrorAllTheSame() async {
        for query in [
            "max-keys=0", "list-type=2&max-keys=0", "max-keys=0&versions=", "max-uploads=0&uploads=",
        ] {
            #expect(await s3.send(.get, "/none", query).errorCode == "NoSuchBucket", "\(query)")
        }
    }

    @Test func manyKeysAreDeletedAndEachIsAnsweredFor() async {
        for key in ["a", "b"] { _ = await s3.send(.put, "/bucket/\(key)", body: [1]) }
        let body = Array(
            "<Delete><Object><Key>a</Key></Object><Object><Key>none</Key></Object><Object><Key>b</Key><VersionId>bad</VersionId></Object></Delete>"
                .utf8)
        #expect(
            await s3.send(.post, "/bucket", "delete=", body: body).errorCode == "InvalidRequest", "no digest")
        let digest = [("content-md5", Self.base64(MD5.hash(body)))]
        let done = await s3.send(.post, "/bucket", "delete=", digest, body: body)
        #expect(done.status == .ok && done.text.contains("<Deleted><Key>a</Key></Deleted>"))
        #expect(done.text.contains("<Deleted><Key>none</Key></Deleted>"))
        #expect(done.text.contains("<Error><Key>b</Key><VersionId>bad</VersionId><Code>NoSuchVersion</Code>"))
        #expect(await keys() == ["b"])
        let empty = Array("<Delete></Delete>".utf8)
        let none = await s3.send(
            .post, "/bucket", "delete=", [("content-md5", Self.base64(MD5.hash(empty)))], body: empty)
        #expect(none.errorCode == "MalformedXML")
    }
}
