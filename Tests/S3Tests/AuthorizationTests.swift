import Foundation
import HTTPTypes
import Model
import S3
import Testing

/// Who may do what: Alice owns the bucket, Bob is another user, nobody sends no signature.
@Suite struct AuthorizationTests {
    /// A request, by a name that says what it is.
    private static let requests: [String: (method: HTTPRequest.Method, path: String, query: String)] = [
        "list": (.get, "/bucket", "list-type=2"), "head bucket": (.head, "/bucket", ""),
        "versions": (.get, "/bucket", "versions="), "uploads": (.get, "/bucket", "uploads="),
        "get": (.get, "/bucket/key", ""), "head": (.head, "/bucket/key", ""),
        "put": (.put, "/bucket/new", ""), "delete": (.delete, "/bucket/gone", ""),
        "get acl": (.get, "/bucket/key", "acl="), "get bucket acl": (.get, "/bucket", "acl="),
        "get policy": (.get, "/bucket", "policy="), "location": (.get, "/bucket", "location="),
        "tagging": (.get, "/bucket", "tagging="),
    ]

    private static func grant(
        _ action: String, _ resource: String, to who: String = "*", _ effect: String = "Allow"
    )
        -> String
    {
        """
        {"Version": "2012-10-17", "Statement": [{"Effect": "\(effect)", "Principal": {"AWS": "\(who)"}, \
        "Action": "\(action)", "Resource": "arn:aws:s3:::\(resource)"}]}
        """
    }

    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        var bucketACL: String?
        var objectACL: String?
        var policy: String?
        var block: String?
        /// Who may, by request.
        let allowed: [String: Set<String>]
        var testDescription: String { name }
    }

    private static let everybody: Set = ["root", "alice", "bob", "nobody"]
    private static let owners: Set = ["root", "alice"]
    private static let users: Set = ["root", "alice", "bob"]

    static let cases: [Case] = [
        Case(
            name: "a private bucket is its owner's and root's",
            allowed: [
                "list": owners, "head bucket": owners, "versions": owners, "uploads": owners, "get": owners,
                "head": owners, "put": owners, "delete": owners, "get acl": owners,
                "get bucket acl": owners, "location": owners,
            ]),
        Case(
            name: "public-read of a bucket lets everybody list and nobody read",
            bucketACL: "public-read",
            allowed: [
                "list": everybody, "head bucket": everybody, "versions": everybody, "get": owners,
                "put": owners, "delete": owners, "get bucket acl": owners, "location": owners,
            ]),
        Case(
            name: "public-read-write lets everybody write and delete too",
            bucketACL: "public-read-write",
            allowed: [
                "list": everybody, "put": everybody, "delete": everybody, "get": owners, "get acl": owners,
            ]),
        Case(
            name: "authenticated-read is for whoever has a key",
            bucketACL: "authenticated-read", objectACL: "authenticated-read",
            allowed: ["list": users, "get": users, "head": users, "put": owners, "get acl": owners]),
        Case(
            name: "public-read of an object lets everybody read it and nothing else",
            objectACL: "public-read",
            allowed: ["list": owners, "get": everybody, "head": everybody, "put": owners, "get acl": owners]),
        Case(
            name: "a grant by id is for that user",
            bucketACL: "x-amz-grant-write: id=\"id-bob\", id=\"id-alice\"",
            objectACL: "x-amz-grant-read-acp: id=\"id-bob\"",
            allowed: ["list": owners, "put": users, "get": owners, "get acl": users]),
        Case(
            name: "ignored public lists give nothing",
            bucketACL: "public-read-write", objectACL: "public-read",
            block: "IgnorePublicAcls",
            allowed: ["list": owners, "put": owners, "get": owners]),
        Case(
            name: "a policy for everybody lets everybody",
            policy: grant("s3:GetObject", "bucket/*"),
            allowed: ["get": everybody, "head": everybody, "list": owners, "put": owners]),
        Case(
            name: "a policy for one user lets that user",
            policy: grant("s3:*", "bucket/*", to: "arn:aws:iam::000000000000:user/bob"),
            allowed: ["get": users, "put": users, "delete": users, "list": owners, "get acl": users]),
        Case(
            name: "an explicit denial counts before owner, root and lists",
            objectACL: "public-read", policy: grant("s3:GetObject", "bucket/*", "Deny"),
            allowed: ["get": [], "head": [], "put": owners, "list": owners]),
        Case(
            name: "a denial of everything leaves the policy to root",
            policy: grant("s3:*", "bucket*", "Deny"),
            allowed: ["list": [], "get": [], "get policy": ["root"], "location": []]),
        Case(
            name: "a restricted public policy does not let strangers",
            policy: grant("s3:GetObject", "bucket/*"), block: "RestrictPublicBuckets",
            allowed: ["get": users, "list": owners]),
    ]

    private static func header(_ acl: String) -> (String, String) {
        let halves = acl.split(separator: ":", maxSplits: 1)
        return halves.count == 2
            ? (String(halves[0]), halves[1].trimmingCharacters(in: .whitespaces)) : ("x-amz-acl", acl)
    }

    @Test(arguments: cases)
    func whoMayDoWhat(of item: Case) async throws {
        let s3 = try await S3Fixture(locksNewBuckets: false)
        func must(_ response: ServiceResponse, _ what: String) {
            #expect(response.errorCode == nil, "\(what): \(response.text)")
        }
        must(await s3.send(as: "alice", .put, "/bucket"), "create")
        for key in ["key", "gone"] {
            must(
                await s3.send(
                    as: "alice", .put, "/bucket/\(key)", "", item.objectACL.map { [Self.header($0)] } ?? [],
                    body: "x"), "put")
        }
        if let acl = item.bucketACL {
            must(await s3.send(as: "alice", .put, "/bucket", "acl=", [Self.header(acl)]), "acl")
        }
        if let policy = item.policy {
            must(await s3.send(as: "alice", .put, "/bucket", "policy=", body: policy), "policy")
        }
        if let block = item.block {
            let document =
                "<PublicAccessBlockConfiguration><\(block)>true</\(block)></PublicAccessBlockConfiguration>"
            must(await s3.send(as: "root", .put, "/bucket", "publicAccessBlock=", body: document), "block")
        }
        for (name, allowed) in item.allowed.sorted(by: { $0.key < $1.key }) {
            let request = try #require(Self.requests[name])
            for who in ["root", "alice", "bob", "nobody"] {
                let response = await s3.send(
                    as: who == "nobody" ? nil : who, request.method, request.path, request.query)
                let isDenied = response.status == .forbidden
                #expect(
                    isDenied == !allowed.contains(who), "\(item.name): \(who), \(name): \(response.status)")
                if isDenied { #expect(response.errorCode == "AccessDenied") }
            }
        }
    }

    @Test func aMissingKeyIsToldOnlyToThoseWhoMayList() async throws {
        let s3 = try await S3Fixture(locksNewBuckets: false)
        _ = await s3.send(as: "alice", .put, "/bucket")
        _ = await s3.send(
            as: "alice", .put, "/bucket", "policy=",
            body: Self.grant("s3:GetObject", "bucket/*"))
        let told: [(who: String?, code: String)] = [
            ("alice", "NoSuchKey"), ("root", "NoSuchKey"), ("bob", "AccessDenied"), (nil, "AccessDenied"),
        ]
        for (who, code) in told {
            #expect(await s3.send(as: who, .get, "/bucket/none").errorCode == code)
            #expect(await s3.send(as: who, .head, "/bucket/none").errorCode == code)
        }
        _ = await s3.send(as: "alice", .put, "/bucket", "acl=", [("x-amz-acl", "public-read")])
        for who in ["alice", "bob", nil] {
            #expect(await s3.send(as: who, .get, "/bucket/none").errorCode == "NoSuchKey")
        }
    }

    /// A list names its owner among those whom it grants something.
    @Test(arguments: ["private", "public-read", "authenticated-read"])
    func anOwnerWhomPoliciesBindGetsNoMoreFromLists(acl: String) async throws {
        let s3 = try await S3Fixture(locksNewBuckets: false)
        func code(_ who: String?, _ method: HTTPRequest.Method, _ path: String, _ query: String = "")
            async -> String?
        {
            await s3.send(as: who, method, path, query, body: method == .put ? "x" : "").errorCode
        }
        let made = await s3.send(as: "dan", .put, "/of-dan", "", [("x-amz-acl", acl)])
        #expect(made.errorCode == nil, "\(made.text)")
        #expect(await code("dan", .put, "/of-dan/in/k") == nil)
        let listed = await s3.send(as: "root", .put, "/of-dan/in/k", "acl=", [("x-amz-acl", acl)])
        #expect(listed.errorCode == nil)
        #expect(await code("dan", .put, "/of-dan/out") == "AccessDenied")
        #expect(await code("dan", .delete, "/of-dan/in/k") == "AccessDenied")
        #expect(await code("dan", .get, "/of-dan/in/k", "acl=") == "AccessDenied")
        #expect(await code("dan", .put, "/of-dan/in/k", "acl=") == "AccessDenied")
        // What everybody may, Dan may as well.
        let isOpen = acl != "private"
        #expect((await code("dan", .get, "/of-dan/in/k") == nil) == isOpen)
        #expect((await code("dan", .get, "/of-dan") == nil) == isOpen)
        #expect((await code("dan", .get, "/of-dan/in/none") == "NoSuchKey") == isOpen)
        #expect((await code("bob", .get, "/of-dan/in/k") == nil) == isOpen)
    }

    @Test func aMissingBucketIsToldToKnownSenders() async throws {
        let s3 = try await S3Fixture()
        #expect(await s3.send(as: "bob", .get, "/nowhere").errorCode == "NoSuchBucket")
        #expect(await s3.send(as: nil, .get, "/nowhere").errorCode == "AccessDenied")
        #expect(await s3.send(as: nil, .get, "/").errorCode == "AccessDenied")
        #expect(await s3.send(as: nil, .put, "/nowhere").errorCode == "AccessDenied")
        #expect(await s3.send(as: nil, .get, "/nowhere", "torrent=").errorCode == "AccessDenied")
    }

    @Test func everybodySeesTheirOwnBucketsAndRootAll() async throws {
        let s3 = try await S3Fixture()
        _ = await s3.send(as: "alice", .put, "/of-alice")
        _ = await s3.send(as: "bob", .put, "/of-bob")
        func names(_ who: String) async -> [Bool] {
            let text = await s3.send(as: who, .get, "/").text
            return ["of-alice", "of-bob"].map { text.contains("<Name>\($0)</Name>") }
        }
        #expect(await names("alice") == [true, false])
        #expect(await names("bob") == [false, true])
        #expect(await names("carol") == [false, false])
        #expect(await names("root") == [true, true])
    }

    @Test func anExpectedOwnerMustBeTheOwner() async throws {
        let s3 = try await S3Fixture()
        _ = await s3.send(as: "alice", .put, "/bucket")
        let expected: [(owner: String, code: String?)] = [
            ("id-alice", nil), ("id-bob", "AccessDenied"), ("", "AccessDenied"),
        ]
        for (owner, code) in expected {
            let headers = [("x-amz-expected-bucket-owner", owner)]
            for who in ["alice", "root"] {
                #expect(await s3.send(as: who, .get, "/bucket", "", headers).errorCode == code)
            }
            let source = [("x-amz-copy-source", "bucket/key"), ("x-amz-source-expected-bucket-owner", owner)]
            _ = await s3.send(as: "alice", .put, "/bucket/key", body: "x")
            #expect(await s3.send(as: "alice", .put, "/bucket/copy", "", source).errorCode == code)
        }
    }

    @Test func aCopyTakesRightsOnBothSides() async throws {
        let s3 = try await S3Fixture(locksNewBuckets: false)
        _ = await s3.send(as: "alice", .put, "/of-alice")
        _ = await s3.send(as: "bob", .put, "/of-bob")
        _ = await s3.send(as: "alice", .put, "/of-alice/private", body: "x")
        _ = await s3.send(
            as: "alice", .put, "/of-alice/public", "", [("x-amz-acl", "public-read")], body: "x")
        func copy(_ source: String, _ target: String) async -> String? {
            await s3.send(as: "bob", .put, target, "", [("x-amz-copy-source", source)]).errorCode
        }
        #expect(await copy("of-alice/private", "/of-bob/k") == "AccessDenied")
        #expect(await copy("of-alice/none", "/of-bob/k") == "AccessDenied")
        #expect(await copy("of-alice/public", "/of-bob/k") == nil)
        #expect(await copy("of-alice/public", "/of-alice/k") == "AccessDenied")
        let acl = await s3.send(as: "bob", .get, "/of-bob/k", "acl=")
        #expect(!acl.text.contains("AllUsers"), "rights are not copied")
    }

    @Test func eachOfManyKeysIsDecidedOnItsOwn() async throws {
        let s3 = try await S3Fixture()
        _ = await s3.send(as: "alice", .put, "/bucket")
        _ = await s3.send(
            as: "root", .delete, "/bucket", "publicAccessBlock=")
        _ = await s3.send(
            as: "alice", .put, "/bucket", "policy=",
            body: Self.grant("s3:DeleteObject", "bucket/free/*"))
        for key in ["free/a", "kept/a"] { _ = await s3.send(as: "alice", .put, "/bucket/\(key)", body: "x") }
        let body = "<Delete><Object><Key>free/a</Key></Object><Object><Key>kept/a</Key></Object></Delete>"
        for who in ["bob", nil] {
            let response = await s3.send(
                as: who, .post, "/bucket", "delete=",
                [("content-md5", S3Fixture.md5(body))], body: body)
            #expect(response.status == .ok && response.text.contains("<Deleted><Key>free/a</Key></Deleted>"))
            #expect(response.text.contains("<Key>kept/a</Key><Code>AccessDenied</Code>"))
        }
        #expect(await s3.send(as: "alice", .head, "/bucket/kept/a").status == .ok)
    }
}
