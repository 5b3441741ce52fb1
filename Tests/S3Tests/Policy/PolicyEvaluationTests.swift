import S3
import Testing

/// Source: IAM User Guide, "Policy evaluation logic" and "IAM JSON policy element reference".
@Suite struct PolicyEvaluationTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let elements: String
        let request: PolicyRequest
        let verdict: Verdict

        init(_ elements: String, _ request: PolicyRequest, _ verdict: Verdict) {
            self.elements = elements
            self.request = request
            self.verdict = verdict
        }
        var testDescription: String { "\(elements) \(request.action) \(request.resource) \(verdict)" }
    }

    private static let alice = PolicyFixture.alice
    private static let aliceID = String(repeating: "a1", count: 32)
    private static func by(_ principal: PolicyPrincipal) -> PolicyRequest { PolicyFixture.request(principal) }
    private static func to(_ action: String) -> PolicyRequest { PolicyFixture.request(alice, action) }
    private static func on(_ resource: String) -> PolicyRequest {
        PolicyFixture.request(alice, "s3:GetObject", resource)
    }

    private static let principals = [
        Row(#""Principal":"*""#, by(alice), .allowed),
        Row(#""Principal":"*""#, by(.anonymous), .allowed),
        Row(#""Principal":{"AWS":"*"}"#, by(.anonymous), .allowed),
        Row(#""Principal":{"AWS":["*"]}"#, by(PolicyFixture.bob), .allowed),
        Row(#""Principal":{"AWS":"arn:aws:iam::123456789012:user/alice"}"#, by(alice), .allowed),
        Row(#""Principal":{"AWS":"arn:aws:iam:::user/alice"}"#, by(alice), .allowed),
        Row(#""Principal":{"AWS":"arn:aws:iam::123456789012:user/Alice"}"#, by(alice), .silent),
        Row(#""Principal":{"AWS":"arn:aws:iam::123456789012:user/alice"}"#, by(PolicyFixture.bob), .silent),
        Row(#""Principal":{"AWS":"arn:aws:iam::123456789012:user/alice"}"#, by(.anonymous), .silent),
        Row(#""Principal":{"AWS":"arn:aws:iam::123456789012:root"}"#, by(PolicyFixture.root), .allowed),
        Row(#""Principal":{"AWS":"123456789012"}"#, by(PolicyFixture.root), .allowed),
        Row(#""Principal":{"AWS":"arn:aws:iam::123456789012:root"}"#, by(alice), .silent),
        Row(#""Principal":{"AWS":"\#(aliceID)"}"#, by(alice), .allowed),
        Row(#""Principal":{"CanonicalUser":"\#(aliceID.uppercased())"}"#, by(alice), .allowed),
        Row(#""Principal":{"CanonicalUser":"\#(aliceID)"}"#, by(PolicyFixture.bob), .silent),
        Row(#""Principal":{"Service":"logging.s3.amazonaws.com"}"#, by(alice), .silent),
        Row(#""Principal":{"Federated":"cognito-identity.amazonaws.com"}"#, by(.anonymous), .silent),
        Row(#""Principal":{"AWS":"arn:aws:iam::123456789012:role/alice"}"#, by(alice), .silent),
        Row(
            #""Principal":{"Service":"s3.amazonaws.com","AWS":["arn:aws:iam:::user/bob","arn:aws:iam:::user/alice"]}"#,
            by(alice), .allowed),
        Row(#""NotPrincipal":{"AWS":"arn:aws:iam:::user/alice"}"#, by(alice), .silent),
        Row(#""NotPrincipal":{"AWS":"arn:aws:iam:::user/alice"}"#, by(PolicyFixture.bob), .allowed),
        Row(#""NotPrincipal":{"AWS":"arn:aws:iam:::user/alice"}"#, by(.anonymous), .allowed),
        Row(#""NotPrincipal":"*""#, by(alice), .silent),
        Row(#""Effect":"Deny","NotPrincipal":{"AWS":"arn:aws:iam:::user/alice"}"#, by(.anonymous), .denied),
        Row(#""Effect":"Deny","NotPrincipal":{"AWS":"arn:aws:iam:::user/alice"}"#, by(alice), .silent),
    ]

    private static let actions = [
        Row(#""Action":"s3:GetObject""#, to("s3:GetObject"), .allowed),
        Row(#""Action":"S3:getobject""#, to("s3:GetObject"), .allowed),
        Row(#""Action":"s3:GetObject""#, to("s3:GetObjectVersion"), .silent),
        Row(#""Action":"s3:GetObject*""#, to("s3:GetObjectVersion"), .allowed),
        Row(#""Action":"s3:*Object""#, to("s3:PutObject"), .allowed),
        Row(#""Action":"s3:?etObject""#, to("s3:GetObject"), .allowed),
        Row(#""Action":"*""#, to("s3:GetObject"), .allowed),
        Row(#""Action":["s3:PutObject","s3:GetObject"]"#, to("s3:GetObject"), .allowed),
        Row(#""Action":["s3:PutObject"]"#, to("s3:GetObject"), .silent),
        Row(#""NotAction":"s3:GetObject""#, to("s3:GetObject"), .silent),
        Row(#""NotAction":"s3:GetObject""#, to("s3:PutObject"), .allowed),
        Row(#""NotAction":["s3:Get*","s3:List*"]"#, to("s3:ListBucket"), .silent),
        Row(#""Effect":"Deny","NotAction":"s3:Get*""#, to("s3:DeleteObject"), .denied),
    ]

    private static let resources = [
        Row(#""Resource":"arn:aws:s3:::examplebucket""#, on("examplebucket"), .allowed),
        Row(#""Resource":"arn:aws:s3:::examplebucket""#, on("examplebucket/a"), .silent),
        Row(#""Resource":"arn:aws:s3:::examplebucket/*""#, on("examplebucket/a/b/c"), .allowed),
        Row(#""Resource":"arn:aws:s3:::examplebucket/*""#, on("examplebucket"), .silent),
        Row(#""Resource":"arn:aws:s3:::examplebucket*""#, on("examplebucket"), .allowed),
        Row(#""Resource":"arn:aws:s3:::examplebucket*""#, on("examplebucket/x"), .allowed),
        Row(
            #""Resource":"arn:aws:s3:::examplebucket/photos/*.jpg""#, on("examplebucket/photos/2/cat.jpg"),
            .allowed),
        Row(
            #""Resource":"arn:aws:s3:::examplebucket/photos/*.jpg""#, on("examplebucket/photos/cat.JPG"),
            .silent),
        Row(#""Resource":"arn:aws:s3:::examplebucket/a?c""#, on("examplebucket/abc"), .allowed),
        Row(#""Resource":"arn:aws:s3:::examplebucket/a?c""#, on("examplebucket/a€c"), .allowed),
        Row(#""Resource":"arn:aws:s3:::examplebucket/a?c""#, on("examplebucket/ac"), .silent),
        Row(#""Resource":"arn:aws:s3:::examplebucket/a*b*c""#, on("examplebucket/a1b2b3c"), .allowed),
        Row(#""Resource":"arn:aws:s3:::examplebucket/a*b*c""#, on("examplebucket/a1c2b"), .silent),
        Row(#""Resource":"arn:aws:s3:::examplebucket/\u00e9""#, on("examplebucket/e\u{301}"), .silent),
        Row(#""NotResource":"arn:aws:s3:::examplebucket/private/*""#, on("examplebucket/private/x"), .silent),
        Row(#""NotResource":"arn:aws:s3:::examplebucket/private/*""#, on("examplebucket/public/x"), .allowed),
        Row(
            #""Effect":"Deny","NotResource":"arn:aws:s3:::examplebucket/p*""#, on("examplebucket/x"), .denied),
    ]

    @Test(arguments: principals + actions + resources)
    func aStatementIsAboutWhatItNames(_ row: Row) throws {
        let policy = try PolicyFixture.bucketPolicy(PolicyFixture.policy(row.elements))
        #expect(policy.verdict(on: row.request) == row.verdict)
    }

    @Test func aDeniedPrincipalStaysDeniedWhateverElseAllows() throws {
        let allow =
            #"{"Effect":"Allow","Principal":"*","Action":"*","Resource":"arn:aws:s3:::examplebucket/*"}"#
        let deny =
            #"{"Effect":"Deny","Principal":{"AWS":"arn:aws:iam:::user/alice"},"Action":"s3:Get*","Resource":"arn:aws:s3:::examplebucket/*"}"#
        for order in [[allow, deny], [deny, allow], [allow, deny, allow]] {
            let policy = try PolicyFixture.bucketPolicy(#"{"Statement":[\#(order.joined(separator: ","))]}"#)
            #expect(policy.verdict(on: Self.by(Self.alice)) == .denied)
            #expect(policy.verdict(on: Self.by(PolicyFixture.bob)) == .allowed)
            #expect(policy.verdict(on: Self.to("s3:PutObject")) == .allowed)
        }
    }

    @Test func aPolicyOfAUserSpeaksOfEveryBucketAndOfVariables() throws {
        let policy = try PolicyFixture.userPolicy(
            #"""
            {"Version":"2012-10-17","Id":"mine","Statement":[
              {"Sid":"1","Effect":"Allow","Action":["s3:ListAllMyBuckets","s3:GetBucketLocation"],"Resource":"*"},
              {"Sid":"2","Effect":"Allow","Action":"s3:*Object","Resource":"arn:aws:s3:::*/home/${aws:username}/*"},
              {"Effect":"Deny","Action":"s3:DeleteObject","Resource":"arn:aws:s3:::archive/*"}]}
            """#)
        let context = ["aws:username": ["alice"]]
        let rows: [(String, String, Verdict)] = [
            ("s3:ListAllMyBuckets", "*", .allowed), ("s3:GetObject", "anybucket/home/alice/x", .allowed),
            ("s3:GetObject", "anybucket/home/bob/x", .silent),
            ("s3:DeleteObject", "archive/home/alice/x", .denied), ("s3:CreateBucket", "new", .silent),
        ]
        for (action, resource, verdict) in rows {
            let request = PolicyFixture.request(Self.alice, action, resource, context)
            #expect(policy.verdict(on: request) == verdict, "\(action) \(resource)")
        }
        #expect(!policy.isPublic)
    }

    @Test func manyWildcardsTakeNoLongerThanTheirLengthTimesTheTexts() throws {
        let pattern = String(repeating: "*a", count: 5000) + "b"
        let policy = try PolicyFixture.bucketPolicy(
            PolicyFixture.policy(#""Resource":"arn:aws:s3:::examplebucket/\#(pattern)""#))
        let clock = ContinuousClock()
        let request = Self.on("examplebucket/" + String(repeating: "a", count: 1000))
        let taken = clock.measure { #expect(policy.verdict(on: request) == .silent) }
        // Trying every way to part the text would not end in the life of the universe.
        #expect(taken < .seconds(10))
    }
}
