import Digests
import Foundation
import HTTPTypes
import Model
import ObjectStore
import S3
import Testing

/// What a decision is about is what is then done, however a request is written.
@Suite struct DecisionFactsTests {
    private let s3: S3Fixture

    init() async throws {
        s3 = try await S3Fixture()
        for (who, bucket) in [("alice", "/bucket"), ("bob", "/of-bob")] {
            let made = await s3.send(as: who, .put, bucket)
            try #require(made.errorCode == nil, "\(made.text)")
        }
    }

    private static func statement(
        _ effect: String, _ action: String, _ condition: String = "{}", resource: String = "bucket/*",
        to who: String = "*"
    ) -> String {
        """
        {"Version": "2012-10-17", "Statement": [{"Effect": "\(effect)", "Principal": {"AWS": "\(who)"}, \
        "Action": "\(action)", "Resource": "arn:aws:s3:::\(resource)", "Condition": \(condition)}]}
        """
    }

    private func put(_ policy: String, of bucket: String = "/bucket", as owner: String = "alice") async {
        let response = await s3.send(as: owner, .put, bucket, "policy=", body: policy)
        #expect(response.errorCode == nil, "\(response.text)")
    }

    private static let bob = "arn:aws:iam:::user/bob"

    @Test func theActionOfEachAbsentSettingIsItsOwn() async {
        let actions = [
            "analytics": "GetAnalyticsConfiguration",
            "intelligent-tiering": "GetIntelligentTieringConfiguration",
            "inventory": "GetInventoryConfiguration", "metrics": "GetMetricsConfiguration",
            "replication": "GetReplicationConfiguration", "website": "GetBucketWebsite",
        ]
        for (allowed, action) in actions {
            await put(Self.statement("Allow", "s3:\(action)", resource: "bucket", to: Self.bob))
            for asked in actions.keys {
                let response = await s3.send(as: "bob", .get, "/bucket", "\(asked)=")
                #expect((response.errorCode != "AccessDenied") == (asked == allowed), "\(action): \(asked)")
            }
        }
    }

    /// Amazon S3 User Guide, "Enforce conditional writes on Amazon S3 buckets".
    @Test func whatMakesAnObjectCannotBeDressedAsAPart() async throws {
        await put(
            Self.statement(
                "Deny", "s3:PutObject",
                #"{"Null": {"s3:if-none-match": "true"}, "Bool": {"s3:ObjectCreationOperation": "true"}}"#))
        func code(_ method: HTTPRequest.Method, _ query: String, _ isConditional: Bool, _ body: String = "x")
            async -> String?
        {
            await s3.send(
                as: "alice", method, "/bucket/k", query, isConditional ? [("if-none-match", "*")] : [],
                body: body
            ).errorCode
        }
        #expect(await code(.put, "", false) == "AccessDenied")
        #expect(await code(.put, "partNumber=1", false) == "AccessDenied")
        #expect(await code(.put, "x=1", false) == "AccessDenied")
        let created = await s3.send(as: "alice", .post, "/bucket/k", "uploads=")
        let upload = try #require(created.element("UploadId"))
        let part = await s3.send(
            as: "alice", .put, "/bucket/k", "partNumber=1&uploadId=\(upload)", body: "part")
        let etag = try #require(part.headers[.eTag])
        let complete =
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>\(etag)</ETag></Part></CompleteMultipartUpload>"
        for query in ["uploadId=\(upload)", "partNumber=1&uploadId=\(upload)"] {
            #expect(await code(.post, query, false, complete) == "AccessDenied")
        }
        #expect(await s3.send(as: "root", .head, "/bucket/k").status == .notFound)
        #expect(await code(.post, "uploadId=\(upload)", true, complete) == nil)
        #expect(await code(.put, "", true) == "PreconditionFailed")
        await put(
            Self.statement(
                "Deny", "s3:PutObject", #"{"StringNotEquals": {"s3:if-match": "\"right\""}}"#))
        #expect(await code(.put, "", true) == "AccessDenied")
        let matched = await s3.send(
            as: "alice", .put, "/bucket/k", "", [("if-match", "\"right\"")], body: "x")
        #expect(matched.errorCode == "PreconditionFailed", "the policy lets it through to the object")
    }

    @Test func theVersionIsThatOfTheSourceAndOfEachOfManyKeys() async throws {
        _ = await s3.send(
            as: "alice", .put, "/bucket", "versioning=",
            body: "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
        var versions: [String] = []
        for body in ["1", "2"] {
            let made = await s3.send(as: "alice", .put, "/bucket/k", body: body)
            versions.append(try #require(made.headers[name("x-amz-version-id")]))
        }
        for action in ["GetObjectVersion", "DeleteObjectVersion"] {
            await put(
                Self.statement(
                    "Allow", "s3:\(action)", #"{"StringEquals": {"s3:VersionId": "\#(versions[0])"}}"#,
                    to: Self.bob))
            for (version, allowed) in zip(versions, [true, false]) {
                if action == "GetObjectVersion" {
                    let source = [("x-amz-copy-source", "bucket/k?versionId=\(version)")]
                    let copy = await s3.send(as: "bob", .put, "/of-bob/k", "", source)
                    #expect((copy.errorCode == nil) == allowed, "\(copy.text)")
                } else {
                    let body =
                        "<Delete><Object><Key>k</Key><VersionId>\(version)</VersionId></Object></Delete>"
                    // An item of the query that the operation does not look at is nothing to the policy either.
                    let response = await s3.send(
                        as: "bob", .post, "/bucket", "delete=&versionId=\(versions[0])",
                        [("content-md5", S3Fixture.md5(body))], body: body)
                    #expect(response.text.contains("AccessDenied") != allowed, "\(response.text)")
                }
            }
        }
    }

    @Test(arguments: ["secret/k", "/secret/k", "%73ecret/k", "secret%2Fk", "%2Fsecret/k"])
    func theSourceOfACopyHasOneNameHoweverItIsWritten(source: String) async {
        _ = await s3.send(as: "alice", .put, "/secret")
        _ = await s3.send(as: "alice", .put, "/secret/k", body: "x")
        await put(
            Self.statement("Deny", "s3:PutObject", #"{"StringLike": {"s3:x-amz-copy-source": "secret/*"}}"#))
        let copy = await s3.send(as: "alice", .put, "/bucket/c", "", [("x-amz-copy-source", source)])
        #expect(copy.errorCode == "AccessDenied", "\(copy.text)")
        await put(
            Self.statement("Deny", "s3:PutObject", #"{"StringLike": {"s3:x-amz-copy-source": "other/*"}}"#))
        #expect(
            await s3.send(as: "alice", .put, "/bucket/c", "", [("x-amz-copy-source", source)]).errorCode
                == nil)
    }

    @Test func tagsThatACopyTakesAlongAreReadAndPut() async {
        func copy(_ headers: [(String, String)] = []) async -> String? {
            await s3.send(
                as: "bob", .put, "/of-bob/k", "", [("x-amz-copy-source", "bucket/k")] + headers
            ).errorCode
        }
        _ = await s3.send(as: "alice", .put, "/bucket/k", "", [("x-amz-tagging", "team=red")], body: "x")
        await put(Self.statement("Allow", "s3:GetObject", to: Self.bob))
        #expect(await copy() == "AccessDenied")
        #expect(await copy([("x-amz-tagging-directive", "REPLACE")]) == nil, "they stay where they are")
        #expect(!(await s3.send(as: "bob", .get, "/of-bob/k", "tagging=").text.contains("red")))
        await put(Self.statement("Allow", "s3:GetObject*", to: Self.bob))
        #expect(await copy() == nil)
        #expect(await s3.send(as: "bob", .get, "/of-bob/k", "tagging=").text.contains("red"))
    }

    @Test func theTagsOfACopyAreThoseItGetsAndNotWhatAHeaderSays() async {
        for team in ["red", "blue"] {
            _ = await s3.send(
                as: "bob", .put, "/of-bob/\(team)", "", [("x-amz-tagging", "team=\(team)")], body: "x")
        }
        await put(
            Self.statement(
                "Allow", "s3:PutObject*", #"{"StringEquals": {"s3:RequestObjectTag/team": "blue"}}"#,
                to: Self.bob))
        func copy(_ source: String, _ headers: [(String, String)] = []) async -> String? {
            await s3.send(
                as: "bob", .put, "/bucket/k", "", [("x-amz-copy-source", "of-bob/\(source)")] + headers
            ).errorCode
        }
        let says = [("x-amz-tagging", "team=blue")]
        #expect(await copy("red", says) == "AccessDenied")
        #expect(await copy("red") == "AccessDenied")
        #expect(await copy("blue") == nil)
        #expect(await copy("red", says + [("x-amz-tagging-directive", "REPLACE")]) == nil)
    }

    // MARK: How a request is signed

    private static func form(_ fields: [(String, String)], _ content: String = "hello") -> String {
        fields.map { "--XX\r\nContent-Disposition: form-data; name=\"\($0.0)\"\r\n\r\n\($0.1)\r\n" }.joined()
            + "--XX\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n\(content)\r\n--XX--\r\nepilogue"
    }

    private static let formType = ("content-type", "multipart/form-data; boundary=XX")
    private static let alice = Signer(accessKey: "alice", secretKey: "secret of alice")

    private static func signed(key: String, _ signer: Signer) -> [(String, String)] {
        let credential = "\(signer.accessKey)/\(signer.scope)"
        let policy = Data(
            """
            {"expiration": "2013-05-25T00:00:00Z", "conditions": [{"bucket": "bucket"}, {"key": "\(key)"},
            {"x-amz-algorithm": "AWS4-HMAC-SHA256"}, {"x-amz-credential": "\(credential)"},
            {"x-amz-date": "\(signer.time)"}]}
            """.utf8
        ).base64EncodedString()
        return [
            ("key", key), ("policy", policy), ("x-amz-algorithm", "AWS4-HMAC-SHA256"),
            ("x-amz-credential", credential), ("x-amz-date", signer.time),
            ("x-amz-signature", HMACSHA256.authenticate(Array(policy.utf8), key: signer.key).hexadecimal),
        ]
    }

    @Test func aFormUnderASignedHeaderIsTheOneThatWasSigned() async {
        let body = Self.form([("key", "k")])
        let hash = SHA256.hash(Array(body.utf8)).hexadecimal
        func post(_ body: String) async -> ServiceResponse {
            await s3.send(
                .post, "/bucket", "", [Self.formType], body: Array(body.utf8), payload: hash,
                signer: Self.alice)
        }
        let forgeries = [
            Self.form([("key", "k")], "olleh"), Self.form([("key", "other")]),
            body.replacingOccurrences(of: "epilogue", with: "epilog"),
        ]
        for other in forgeries {
            #expect(await post(other).errorCode == "XAmzContentSHA256Mismatch", "\(other)")
        }
        #expect(!(await s3.send(as: "alice", .get, "/bucket").text.contains("<Key>")))
        #expect(await post(body).status == .noContent)
        #expect(await s3.send(as: "alice", .head, "/bucket/k").headers[.contentLength] == "5")
    }

    private func formStatus(_ fields: [(String, String)], signer: Signer? = nil) async -> Int {
        let body = Array(Self.form(fields).utf8)
        if let signer {
            return await s3.send(.post, "/bucket", "", [Self.formType], body: body, signer: signer).status
                .code
        }
        let head = request(
            .post, "/bucket", host: "localhost", [Self.formType, ("content-length", String(body.count))])
        return await s3.service.respond(to: ServiceRequest(head: head, body: Pieces([body]))).status.code
    }

    private func presignedStatus(_ signer: Signer) async -> Int {
        let items = [
            "X-Amz-Algorithm=AWS4-HMAC-SHA256",
            "X-Amz-Credential=\(signer.accessKey)%2F\(signer.scope.replacingOccurrences(of: "/", with: "%2F"))",
            "X-Amz-Date=\(signer.time)", "X-Amz-Expires=86400", "X-Amz-SignedHeaders=host",
        ]
        let query = items.joined(separator: "&")
        let signature = signer.signature(
            "PUT\n/bucket/k\n\(query)\nhost:localhost\n\nhost\nUNSIGNED-PAYLOAD")
        let head = request(
            .put, "/bucket/k?\(query)&X-Amz-Signature=\(signature)", host: "localhost",
            [("content-length", "1")])
        return await s3.service.respond(to: ServiceRequest(head: head, body: Pieces([[1]]))).status.code
    }

    @Test func aPolicyKnowsHowAWriteWasSigned() async {
        let kinds = ["REST-HEADER", "REST-QUERY-STRING", "POST"]
        for kind in kinds {
            await put(
                Self.statement("Deny", "s3:PutObject", #"{"StringNotEquals": {"s3:authType": "\#(kind)"}}"#))
            let header = await s3.send(as: "alice", .put, "/bucket/k", body: "x").status.code
            let statuses = [
                header, await presignedStatus(Self.alice),
                await formStatus(Self.signed(key: "k", Self.alice)),
            ]
            let allowed = statuses.map { $0 < 300 }
            #expect(allowed == kinds.map { $0 == kind }, "\(kind): \(statuses)")
            #expect(
                await formStatus([("key", "k")], signer: Self.alice) == (kind == kinds[0] ? 204 : 403),
                "a form without a policy is signed by its request")
        }
    }

    /// Amazon S3 API Reference, "Amazon S3 Signature Version 4 Authentication Specific Policy Keys": in milliseconds.
    @Test func aPolicyKnowsHowOldASignatureIs() async {
        await put(
            Self.statement("Deny", "s3:PutObject", #"{"NumericGreaterThan": {"s3:signatureAge": "300000"}}"#))
        for (time, isFresh) in [("20130523T235501Z", true), ("20130523T235459Z", false)] {
            var signer = Self.alice
            signer.time = time
            let header = await s3.send(.put, "/bucket/k", body: [1], signer: signer)
            let statuses = [
                header.status.code, await presignedStatus(signer),
                await formStatus(Self.signed(key: "k", signer)),
            ]
            #expect(statuses.allSatisfy { ($0 < 300) == isFresh }, "\(time): \(statuses)")
            // A date that is no part of the signature's form does not make it younger.
            let forged = await s3.send(
                .put, "/bucket/k", "X-Amz-Date=20130524T000000Z", body: [1], signer: signer)
            #expect((forged.status.code < 300) == isFresh)
        }
    }
}
