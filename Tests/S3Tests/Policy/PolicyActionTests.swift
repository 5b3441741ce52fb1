import HTTPTypes
import Model
import ObjectStore
import S3
import TestSupport
import Testing

/// Which actions a policy may name.
@Suite struct PolicyActionTests {
    private static let all = "arn:aws:s3:::examplebucket/*"
    private static let bucket = "arn:aws:s3:::examplebucket"

    private static func statement(_ action: String, _ resources: [String], _ effect: String = "Deny")
        -> String
    {
        let list = resources.map { "\"\($0)\"" }.joined(separator: ",")
        return PolicyFixture.policy(#""Effect":"\#(effect)","Action":"\#(action)","Resource":[\#(list)]"#)
    }

    @Test(arguments: [
        "s3:GetObjct", "s3:PutObjectt", "s3:Lst*", "s3:DeleteObjects", "s3:HeadObject", "s3:CopyObject",
        "s3:ListObjects", "s3:ListObjectsV2", "s3:?", "s3:Get*Objects", "iam:*", "kms:Decrypt", "s3express:*",
        "s3-object-lambda:*", "S3:GETOBJECTS", "*:GetItem", "s3:Getobject*x",
    ])
    func anActionThatThereIsNotIsRefused(action: String) throws {
        let bucketPolicy = PolicyFixture.malformation(
            Self.statement(action, [Self.all, Self.bucket]), kind: try PolicyFixture.kind())
        #expect(bucketPolicy?.code.name == "MalformedPolicy")
        #expect(bucketPolicy?.message.contains("Policy has invalid action") == true)
        for element in ["Action", "NotAction"] {
            let text = #"{"Statement":{"Effect":"Deny","\#(element)":["s3:*","\#(action)"],"Resource":"*"}}"#
            let userPolicy = PolicyFixture.malformation(text, kind: .user)
            #expect(userPolicy?.message == "Policy has invalid action: \(action)")
        }
    }

    @Test(arguments: [
        ("s3:GetObject", [bucket]), ("s3:*Object", [bucket]), ("s3:ListBucket", [all]),
        ("s3:ListBucket*", [all, bucket + "/a"]), ("s3:ListBucket", [bucket + "*/x"]),
        ("s3:ListAllMyBuckets", [bucket, all]), ("s3:CreateJob", [bucket + "*"]),
        ("s3:GetBucketPolicy", [bucket + "/"]),
    ])
    func anActionThatNoResourceTakesIsRefused(action: String, resources: [String]) throws {
        let error = PolicyFixture.malformation(
            Self.statement(action, resources), kind: try PolicyFixture.kind())
        #expect(error?.message == "Action does not apply to any resource(s) in statement: \(action)")
    }

    @Test(arguments: [
        ("s3:GetObject", [all]), ("s3:GETOBJECT", [all]), ("s3:ListBucket", [bucket]),
        ("s3:ListBucket", [bucket + "*"]), ("s3:GetObject", [bucket + "*"]), ("s3:*", [bucket]),
        ("s3:*", [all]), ("*", [all]), ("s3:Get*", [bucket]), ("s3:?etObject", [all, bucket]),
        ("s3:ListBucket", [all, bucket]), ("s3:PutBucketPolicy", [bucket + "**"]),
    ])
    func anActionThatAResourceTakesIsTaken(action: String, resources: [String]) throws {
        _ = try PolicyFixture.bucketPolicy(Self.statement(action, resources))
    }

    /// What a less strict server took stays, and the rest of it still counts.
    @Test func aStoredActionThatThereIsNotNeverApplies() throws {
        let text = """
            {"Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:GetObjct","Resource":"\(Self.all)"},
            {"Effect":"Allow","Principal":"*","Action":["s3:ListBucket","s3:GetObject"],"Resource":"\(Self.all)"}]}
            """
        let policy = try PolicyDocument(Array(text.utf8), kind: try PolicyFixture.kind(), isStored: true)
        #expect(policy.verdict(on: PolicyFixture.request()) == .allowed)
        #expect(PolicyFixture.malformation(text, kind: try PolicyFixture.kind()) != nil)
    }

    @Test func everyActionThatIsAskedForIsKnown() throws {
        let known = Dictionary(PolicyActions.all.map { ($0.name, $0.subject) }) { first, _ in first }
        #expect(known.count == PolicyActions.all.count, "each is there once")
        let headers: HTTPFields = [
            name("x-amz-acl"): "private", name("x-amz-tagging"): "a=b",
            name("x-amz-object-lock-mode"): "GOVERNANCE", name("x-amz-object-lock-legal-hold"): "ON",
            name("x-amz-bypass-governance-retention"): "true",
        ]
        for query in ["", "versionId=null", "replication="] {
            for operation in Operation.allCases {
                for need in operation.needs(headers, try Query(query)) {
                    #expect(known[need.action] == (need.isOfObject ? .object : .bucket), "\(need.action)")
                }
            }
        }
    }
}

/// Stored documents that do not read any more.
@Suite struct StoredDocumentTests {
    @Test func rootMendsAPolicyThatCannotBeRead() async throws {
        let fixture = try await S3Fixture()
        #expect(await fixture.send(as: "alice", .put, "/bucket").status == .ok)
        #expect(await fixture.send(as: "alice", .put, "/bucket/key", body: "x").status == .ok)
        let actor = Actor(id: "id-alice", displayName: "", requestID: "")
        let bucket = try BucketName("bucket")
        for mend in [HTTPRequest.Method.put, .delete] {
            _ = try await fixture.store.configureBucket(
                bucket, setting: "policy", value: Array("{".utf8), actor: actor)
            for user in ["root", "alice", "bob", nil] {
                let answer = await fixture.send(as: user, .get, "/bucket/key")
                #expect(
                    answer.status == .forbidden && answer.text.contains("policy cannot be read"),
                    "\(user ?? "")")
            }
            #expect(await fixture.send(as: "alice", .delete, "/bucket", "policy=").status == .forbidden)
            let found = await fixture.send(as: "root", .get, "/bucket", "policy=")
            #expect(found.status == .ok && found.text == "{")
            let body =
                mend == .put
                ? #"{"Statement":{"Effect":"Deny","Principal":"*","Action":"s3:DeleteBucket","Resource":"arn:aws:s3:::bucket"}}"#
                : ""
            #expect(
                await fixture.send(as: "root", mend, "/bucket", "policy=", body: body).status == .noContent)
            #expect(await fixture.send(as: "alice", .get, "/bucket/key").status == .ok)
        }
    }

    /// A setting, and the query that deletes it.
    @Test(arguments: [
        ("lifecycle", "lifecycle="), ("cors", "cors="), ("logging", nil), ("notification", nil), ("acl", nil),
        ("ownershipControls", "ownershipControls="), ("publicAccessBlock", "publicAccessBlock="),
        ("tagging", "tagging="), ("encryption", "encryption="),
    ])
    func aSettingThatCannotBeReadIsInNobodysWay(setting: String, deletion: String?) async throws {
        let fixture = try await S3Fixture()
        #expect(await fixture.send(as: "alice", .put, "/bucket").status == .ok)
        #expect(await fixture.send(as: "alice", .put, "/bucket/key", body: "x").status == .ok)
        _ = try await fixture.store.configureBucket(
            try BucketName("bucket"), setting: setting, value: Array("<no".utf8),
            actor: Actor(id: "id-alice", displayName: "", requestID: ""))
        try fixture.service.accessLogs.findLoggedBuckets()
        #expect(await fixture.send(as: "alice", .get, "/bucket/key").status == .ok)
        #expect(await fixture.send(as: "alice", .get, "/bucket", "list-type=2").status == .ok)
        #expect(await fixture.send(as: "bob", .get, "/bucket/key").status == .forbidden)
        #expect(await fixture.send(as: nil, .get, "/bucket/key").status == .forbidden)
        // Whether it must be enciphered is not known: that is no time to store it plain.
        let put = await fixture.send(as: "alice", .put, "/bucket/other", body: "y")
        #expect(put.status == (setting == "encryption" ? .internalServerError : .ok))
        if let deletion {
            #expect(await fixture.send(as: "alice", .delete, "/bucket", deletion).status == .noContent)
            #expect(await fixture.send(as: "alice", .put, "/bucket/other", body: "y").status == .ok)
        }
    }
}
