import S3
import Testing

/// Source: Amazon S3 User Guide, "Examples of Amazon S3 bucket policies" and "Bucket policy examples using condition keys":
/// the policies as they are printed, with the name of the bucket changed.
@Suite struct PolicyExampleTests {
    private static func expect(
        _ text: String, isPublic: Bool = false, _ rows: [(PolicyRequest, Verdict)]
    ) throws {
        let policy = try PolicyFixture.bucketPolicy(text)
        #expect(policy.isPublic == isPublic)
        for (request, verdict) in rows {
            #expect(policy.verdict(on: request) == verdict, "\(request.action) \(request.resource)")
        }
    }

    private static func request(
        _ principal: PolicyPrincipal, _ action: String, _ context: [String: [String]] = [:],
        _ resource: String = "examplebucket/a"
    ) -> PolicyRequest { PolicyFixture.request(principal, "s3:" + action, resource, context) }

    @Test func grantingReadOnlyPermissionToAnAnonymousUser() throws {
        try Self.expect(
            #"""
            {"Version":"2012-10-17","Statement":[{"Sid":"PublicRead","Effect":"Allow","Principal":"*",
            "Action":["s3:GetObject","s3:GetObjectVersion"],"Resource":["arn:aws:s3:::examplebucket/*"]}]}
            """#, isPublic: true,
            [
                (Self.request(.anonymous, "GetObject"), .allowed),
                (Self.request(.anonymous, "PutObject"), .silent),
                (Self.request(.anonymous, "ListBucket", [:], "examplebucket"), .silent),
            ])
    }

    @Test func requiringEncryption() throws {
        let header = "s3:x-amz-server-side-encryption"
        try Self.expect(
            #"""
            {"Version":"2012-10-17","Id":"PutObjPolicy","Statement":[{"Sid":"DenyObjectsThatAreNotSSEKMS",
            "Principal":"*","Effect":"Deny","Action":"s3:PutObject","Resource":"arn:aws:s3:::examplebucket/*",
            "Condition":{"Null":{"s3:x-amz-server-side-encryption-aws-kms-key-id":"true"}}},
            {"Sid":"DenyOther","Principal":"*","Effect":"Deny","Action":"s3:PutObject",
            "Resource":"arn:aws:s3:::examplebucket/*","Condition":{"StringNotEqualsIfExists":{"s3:x-amz-server-side-encryption":"aws:kms"}}}]}
            """#,
            [
                (Self.request(PolicyFixture.alice, "PutObject"), .denied),
                (
                    Self.request(PolicyFixture.alice, "PutObject", [header + "-aws-kms-key-id": ["k"]]),
                    .denied
                ),
                (
                    Self.request(
                        PolicyFixture.alice, "PutObject",
                        [header + "-aws-kms-key-id": ["k"], header: ["AES256"]]), .denied
                ),
                (
                    Self.request(
                        PolicyFixture.alice, "PutObject",
                        [header + "-aws-kms-key-id": ["k"], header: ["aws:kms"]]), .silent
                ),
            ])
    }

    @Test func restrictingAccessToHTTPSRequests() throws {
        try Self.expect(
            #"""
            {"Version":"2012-10-17","Statement":[{"Sid":"RestrictToTLSRequestsOnly","Action":"s3:*","Effect":"Deny",
            "Resource":["arn:aws:s3:::examplebucket","arn:aws:s3:::examplebucket/*"],
            "Condition":{"Bool":{"aws:SecureTransport":"false"}},"Principal":"*"}]}
            """#,
            [
                (Self.request(PolicyFixture.root, "GetObject", ["aws:securetransport": ["false"]]), .denied),
                (Self.request(PolicyFixture.root, "GetObject", ["aws:securetransport": ["true"]]), .silent),
            ])
    }

    @Test func managingAccessBasedOnSpecificAddresses() throws {
        func from(_ address: String) -> PolicyRequest {
            Self.request(PolicyFixture.alice, "GetObject", ["aws:sourceip": [address]])
        }
        try Self.expect(
            #"""
            {"Id":"PolicyId2","Version":"2012-10-17","Statement":[{"Sid":"AllowIPmix","Effect":"Allow","Principal":"*",
            "Action":"s3:*","Resource":["arn:aws:s3:::examplebucket","arn:aws:s3:::examplebucket/*"],
            "Condition":{"IpAddress":{"aws:SourceIp":["192.0.2.0/24","2001:DB8:1234:5678::/64"]},
            "NotIpAddress":{"aws:SourceIp":["203.0.113.0/24","2001:DB8:1234:5678:ABCD::/80"]}}}]}
            """#,
            [
                (from("192.0.2.44"), .allowed), (from("203.0.113.1"), .silent),
                (from("198.51.100.1"), .silent),
                (from("2001:db8:1234:5678::1"), .allowed), (from("2001:db8:1234:5678:abcd::1"), .silent),
            ])
    }

    @Test func managingAccessBasedOnReferrers() throws {
        func referred(_ page: String?) -> PolicyRequest {
            Self.request(.anonymous, "GetObject", page.map { ["aws:referer": [$0]] } ?? [:])
        }
        try Self.expect(
            #"""
            {"Version":"2012-10-17","Id":"HTTP referer policy example","Statement":[{"Sid":"Allow only GET requests originating from www.example.com and example.com.",
            "Effect":"Allow","Principal":"*","Action":["s3:GetObject","s3:GetObjectVersion"],"Resource":"arn:aws:s3:::examplebucket/*",
            "Condition":{"StringLike":{"aws:Referer":["http://www.example.com/*","http://example.com/*"]}}}]}
            """#, isPublic: true,
            [
                (referred("http://example.com/a.html"), .allowed), (referred("http://other.com/"), .silent),
                (referred(nil), .silent),
            ])
    }

    @Test func managingUserAccessToSpecificFolders() throws {
        func asked(_ action: String, _ resource: String, prefix: String? = nil) -> PolicyRequest {
            var context = ["aws:username": ["alice"]]
            if let prefix { context["s3:prefix"] = [prefix] }
            return Self.request(PolicyFixture.alice, action, context, resource)
        }
        try Self.expect(
            #"""
            {"Version":"2012-10-17","Statement":[{"Sid":"AllowStatement1","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/alice"},
            "Action":"s3:ListBucket","Resource":"arn:aws:s3:::examplebucket","Condition":{"StringLike":{"s3:prefix":["","home/","home/${aws:username}/*"]}}},
            {"Sid":"AllowStatement2","Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/alice"},
            "Action":"s3:*","Resource":"arn:aws:s3:::examplebucket/home/${aws:username}/*"}]}
            """#,
            [
                (asked("ListBucket", "examplebucket", prefix: "home/"), .allowed),
                (asked("ListBucket", "examplebucket", prefix: ""), .allowed),
                (asked("ListBucket", "examplebucket", prefix: "home/alice/x"), .allowed),
                (asked("ListBucket", "examplebucket", prefix: "home/bob/"), .silent),
                (asked("ListBucket", "examplebucket"), .silent),
                (asked("PutObject", "examplebucket/home/alice/x"), .allowed),
                (asked("PutObject", "examplebucket/home/bob/x"), .silent),
            ])
    }

    @Test func limitingTheACLAndTheNumberOfKeys() throws {
        try Self.expect(
            #"""
            {"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:user/alice"},
            "Action":"s3:PutObject","Resource":"arn:aws:s3:::examplebucket/*",
            "Condition":{"StringEquals":{"s3:x-amz-acl":["bucket-owner-full-control"]}}},
            {"Sid":"statement1","Effect":"Deny","Principal":{"AWS":"arn:aws:iam::111122223333:user/alice"},"Action":"s3:ListBucket",
            "Resource":"arn:aws:s3:::examplebucket","Condition":{"NumericGreaterThan":{"s3:max-keys":"10"}}}]}
            """#,
            [
                (
                    Self.request(
                        PolicyFixture.alice, "PutObject", ["s3:x-amz-acl": ["bucket-owner-full-control"]]),
                    .allowed
                ),
                (Self.request(PolicyFixture.alice, "PutObject"), .silent),
                (
                    Self.request(PolicyFixture.alice, "ListBucket", ["s3:max-keys": ["11"]], "examplebucket"),
                    .denied
                ),
                (
                    Self.request(PolicyFixture.alice, "ListBucket", ["s3:max-keys": ["10"]], "examplebucket"),
                    .silent
                ),
            ])
    }

    @Test func requiringMFAAndCertainTags() throws {
        try Self.expect(
            #"""
            {"Version":"2012-10-17","Id":"123","Statement":[{"Sid":"","Effect":"Deny","Principal":"*","Action":"s3:*",
            "Resource":"arn:aws:s3:::examplebucket/taxdocuments/*","Condition":{"Null":{"aws:MultiFactorAuthAge":true}}},
            {"Sid":"","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:role/JohnDoe"]},"Action":["s3:GetObject"],
            "Resource":"arn:aws:s3:::examplebucket/*","Condition":{"StringEquals":{"s3:ExistingObjectTag/environment":"production"}}}]}
            """#,
            [
                (Self.request(PolicyFixture.root, "GetObject", [:], "examplebucket/taxdocuments/1"), .denied),
                (Self.request(PolicyFixture.alice, "GetObject"), .silent),
            ])
    }
}
