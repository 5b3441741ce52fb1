import Model
import S3
import Testing

@Suite struct PolicyParsingTests {
    private static let resource = "arn:aws:s3:::examplebucket/*"
    private static func conditions(_ text: String) -> String {
        PolicyFixture.policy(#""Condition":\#(text)"#)
    }

    /// A policy, and a word of the message that refuses it.
    private static let syntax: [(String, String)] = [
        ("", "valid JSON"), ("x", "valid JSON"), ("[]", "valid JSON"), (#""a""#, "valid JSON"),
        ("{}", "Statement"),
        ("{", "byte 1"), (#"{"Statement":[]}"#, "Statement"), (#"{"Statement":"x"}"#, "Statement"),
        (#"{"Statement":[1]}"#, "Statement"), (PolicyFixture.policy("") + "x", "valid JSON"),
        (#"{"Version":"2012-10-18","Statement":{}}"#, "version"),
        (#"{"Version":2012,"Statement":{}}"#, "version"),
        (#"{"Id":1,"Statement":{}}"#, "Id"), (#"{"Statements":{}}"#, "Statements"),
        (#"{"statement":{}}"#, "statement"),
        (#"{"Version":"2012-10-17","Version":"2012-10-17","Statement":{}}"#, "Version is there twice"),
        (#"{"Id":"a","\u0049d":"b","Statement":{}}"#, "Id is there twice"),
        (String(repeating: #"{"Statement":["#, count: 5000), "too deep"),
        (PolicyFixture.policy(#""Sid":"a","Sid":"b""#), "Sid is there twice"),
        (PolicyFixture.policy(#""Sid":1"#), "Sid"), (PolicyFixture.policy(#""Conditions":{}"#), "Conditions"),
        (PolicyFixture.policy(#""Effect":"allow""#), "effect"),
        (PolicyFixture.policy(#""Effect":["Allow"]"#), "effect"),
        (#"{"Statement":{"Effect":"Allow","Principal":"*","Resource":"\#(resource)"}}"#, "Action"),
        (#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"s3:*"}}"#, "Resource"),
        (#"{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"\#(resource)"}}"#, "Principal"),
        (#"{"Statement":{"Principal":"*","Action":"s3:*","Resource":"\#(resource)"}}"#, "Effect"),
        (PolicyFixture.policy(#""Action":"s3:*","NotAction":"s3:*""#), "NotAction"),
        (PolicyFixture.policy(#""Principal":"*","NotPrincipal":"*""#), "NotPrincipal"),
        (PolicyFixture.policy(#""Resource":"\#(resource)","NotResource":"\#(resource)""#), "NotResource"),
    ]

    private static let names: [(String, String)] = [
        (PolicyFixture.policy(#""Action":"ec2:RunInstances""#), "ec2:RunInstances"),
        (PolicyFixture.policy(#""Action":"GetObject""#), "action"),
        (PolicyFixture.policy(#""Action":"s3:""#), "action"),
        (PolicyFixture.policy(#""Action":"s3:Get Object""#), "action"),
        (PolicyFixture.policy(#""Action":[]"#), "Action"),
        (PolicyFixture.policy(#""Action":[1]"#), "Action"),
        (PolicyFixture.policy(#""Action":{"a":"b"}"#), "Action"),
        (PolicyFixture.policy(#""NotAction":"sts:*""#), "sts:*"),
        (PolicyFixture.policy(#""Resource":"*""#), "resource"),
        (PolicyFixture.policy(#""Resource":[]"#), "Resource"),
        (PolicyFixture.policy(#""Resource":"arn:aws:s3:::otherbucket/*""#), "otherbucket"),
        (PolicyFixture.policy(#""Resource":"arn:aws:s3:::examplebucket2/*""#), "examplebucket2"),
        (PolicyFixture.policy(#""Resource":"arn:aws:s3:::example*""#), "resource"),
        (PolicyFixture.policy(#""Resource":"arn:aws:s3:::examplebucket?""#), "resource"),
        (PolicyFixture.policy(#""Resource":["\#(resource)","arn:aws:s3:::b/*"]"#), "arn:aws:s3:::b/*"),
        (PolicyFixture.policy(#""NotResource":"examplebucket/*""#), "resource"),
        (PolicyFixture.policy(#""Resource":"arn:aws:s3:::examplebucket/${aws:username""#), "variable"),
        (PolicyFixture.policy(#""Resource":"arn:aws:s3:::examplebucket/${}""#), "variable"),
        (PolicyFixture.policy(#""Resource":"arn:aws:s3:::examplebucket/${a, b}""#), "variable"),
        (PolicyFixture.policy(#""Principal":"alice""#), "principal"),
        (PolicyFixture.policy(#""Principal":{}"#), "principal"),
        (PolicyFixture.policy(#""Principal":["*"]"#), "principal"),
        (PolicyFixture.policy(#""Principal":null"#), "principal"),
        (PolicyFixture.policy(#""Principal":{"AWS":"alice"}"#), "alice"),
        (PolicyFixture.policy(#""Principal":{"AWS":"arn:aws:iam::1:user/a"}"#), "principal"),
        (PolicyFixture.policy(#""Principal":{"AWS":"arn:aws:iam:::user/*"}"#), "principal"),
        (PolicyFixture.policy(#""Principal":{"AWS":"arn:aws:iam:::group/a"}"#), "principal"),
        (PolicyFixture.policy(#""Principal":{"AWS":"arn:aws:iam:::user/"}"#), "principal"),
        (PolicyFixture.policy(#""Principal":{"CanonicalUser":"*"}"#), "CanonicalUser"),
        (PolicyFixture.policy(#""Principal":{"User":"a"}"#), "User"),
        (PolicyFixture.policy(#""Principal":{"AWS":[]}"#), "Principal"),
    ]

    private static let operators: [(String, String)] = [
        (conditions("[]"), "Condition"), (conditions(#"{"StringEquals":"a"}"#), "StringEquals"),
        (conditions(#"{"StringIs":{"s3:prefix":"a"}}"#), "StringIs"),
        (conditions(#"{"stringequals":{"s3:prefix":"a"}}"#), "stringequals"),
        (conditions(#"{"NullIfExists":{"s3:prefix":"true"}}"#), "NullIfExists"),
        (conditions(#"{"ForSomeValues:StringEquals":{"s3:prefix":"a"}}"#), "ForSomeValues"),
        (conditions(#"{"StringEquals":{"s3:prefixes":"a"}}"#), "s3:prefixes"),
        (conditions(#"{"StringEquals":{"aws:SourceIP4":"a"}}"#), "aws:SourceIP4"),
        (conditions(#"{"StringEquals":{"prefix":"a"}}"#), "condition key"),
        (conditions(#"{"StringEquals":{"s3:ExistingObjectTag/":"a"}}"#), "condition key"),
        (conditions(#"{"StringEquals":{"s3:prefix":[]}}"#), "value"),
        (conditions(#"{"StringEquals":{"s3:prefix":null}}"#), "value"),
        (conditions(#"{"StringEquals":{"s3:prefix":[["a"]]}}"#), "value"),
        (conditions(#"{"StringEquals":{"s3:prefix":"a","S3:Prefix":"b"}}"#), "twice"),
        (conditions(#"{"StringEquals":{"s3:prefix":"a"},"StringEquals":{}}"#), "twice"),
        (conditions(#"{"StringLike":{"s3:prefix":"${aws:username"}}"#), "variable"),
        (conditions(#"{"NumericEquals":{"s3:max-keys":"ten"}}"#), "ten"),
        (conditions(#"{"NumericEquals":{"s3:max-keys":"0x10"}}"#), "0x10"),
        (conditions(#"{"NumericEquals":{"s3:max-keys":"1e999"}}"#), "1e999"),
        (conditions(#"{"DateEquals":{"aws:CurrentTime":"tomorrow"}}"#), "tomorrow"),
        (conditions(#"{"DateEquals":{"aws:CurrentTime":"2024-02-30"}}"#), "2024-02-30"),
        (conditions(#"{"DateEquals":{"aws:CurrentTime":"2024-02-01T25:00:00Z"}}"#), "25:00"),
        (conditions(#"{"Bool":{"aws:SecureTransport":"yes"}}"#), "yes"),
        (conditions(#"{"Null":{"aws:SourceIp":"null"}}"#), "null"),
        (conditions(#"{"BinaryEquals":{"s3:prefix":"?"}}"#), "BinaryEquals"),
        (conditions(#"{"ArnEquals":{"aws:SourceArn":"examplebucket"}}"#), "ArnEquals"),
        (conditions(#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/33"}}"#), "10.0.0.0/33"),
        (conditions(#"{"IpAddress":{"aws:SourceIp":"10.0.0/8"}}"#), "10.0.0/8"),
        (conditions(#"{"IpAddress":{"aws:SourceIp":"10.0.0.256"}}"#), "10.0.0.256"),
        (conditions(#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/-1"}}"#), "/-1"),
        (conditions(#"{"IpAddress":{"aws:SourceIp":"10.0.0.0/"}}"#), "10.0.0.0/"),
        (conditions(#"{"NotIpAddress":{"aws:SourceIp":"2001:db8::/129"}}"#), "/129"),
        (conditions(#"{"IpAddress":{"aws:SourceIp":"*"}}"#), "*"),
    ]

    @Test(arguments: syntax + names + operators)
    func aPolicyThatSaysNothingClearIsRefusedByName(text: String, word: String) throws {
        let error = PolicyFixture.malformation(text, kind: try PolicyFixture.kind())
        #expect(error?.code.name == "MalformedPolicy" && error?.code.status == 400, "\(text)")
        #expect(error?.message.contains(word) == true, "\(error?.message ?? "accepted"): \(text)")
    }

    @Test(
        arguments: [
            (PolicyFixture.policy(""), "principal"),
            (#"{"Statement":{"Effect":"Allow","Action":"GetObject","Resource":"*"}}"#, "action"),
            (#"{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"bucket/*"}}"#, "resource"),
            (
                #"{"Statement":{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"Bool":{"aws:Secure":"true"}}}}"#,
                "aws:Secure"
            ),
            (
                #"{"Statement":[{"Sid":"a","Effect":"Deny","Action":"*","Resource":"*"},{"Sid":"a","Effect":"Deny","Action":"*","Resource":"*"}]}"#,
                "unique"
            ),
        ])
    func aPolicyOfAUserIsCheckedAsWell(text: String, word: String) {
        let error = PolicyFixture.malformation(text, kind: .user)
        #expect(error?.code.name == "MalformedPolicy", "\(text)")
        #expect(error?.message.contains(word) == true, "\(error?.message ?? "accepted")")
    }

    @Test(arguments: [
        "01", "1.", ".5", "1e", "-", "+1", "NaN", "tru", #""\x""#, #""\u12""#, #""\ud800""#, #""\udc00""#,
        #""\ud800\u0041""#, "\"\u{1}\"", "[1,]", "{\"a\":1,}", "[1 2]", "{a:1}", "{\"a\"}", "'a'", "/**/1",
        "1 1", "\"",
        "\u{FEFF}1", "[", "\u{A0}1",
    ])
    func whatIsNoJSONIsRefused(_ text: String) {
        #expect(throws: JSONFlaw.self) { try JSONValue(parsing: Array(text.utf8)) }
    }

    @Test func whatIsNotUTF8IsRefused() {
        #expect(throws: JSONFlaw.self) { try JSONValue(parsing: [0x22, 0xFF, 0x22]) }
    }

    @Test func stringsAndNumbersOfJSONAreReadAsTheyAre() throws {
        let text = #" [ "\u0041\ud83d\ude00\/\n", -0.50E+2 , 0, true,false,null, {}, [ ] ] "#
        guard case .array(let values) = try JSONValue(parsing: Array(text.utf8)), values.count == 8 else {
            Issue.record("it is a list of eight")
            return
        }
        if case .string(let string) = values[0] {
            #expect(string == "A😀/\n")
        } else {
            Issue.record("a string")
        }
        if case .number(let number) = values[1] {
            #expect(number == "-0.50E+2")
        } else {
            Issue.record("a number")
        }
    }
}
