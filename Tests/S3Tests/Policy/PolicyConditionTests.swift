import S3
import Testing

/// Source: IAM User Guide, "IAM JSON policy elements: Condition operators" and "… Conditions with multiple context keys or
/// values".
@Suite struct PolicyConditionTests {
    struct Row: Sendable, CustomTestStringConvertible {
        let condition: String
        let context: [String: [String]]
        let holds: Bool
        var version = "2012-10-17"

        init(
            _ condition: String, _ context: [String: [String]], _ holds: Bool, version: String = "2012-10-17"
        ) {
            self.condition = condition
            self.context = context
            self.holds = holds
            self.version = version
        }
        var testDescription: String { "\(condition) \(context) \(holds)" }
    }

    private static let strings = [
        Row(#""StringEquals":{"s3:prefix":"a"}"#, ["s3:prefix": ["a"]], true),
        Row(#""StringEquals":{"s3:prefix":"a"}"#, ["s3:prefix": ["A"]], false),
        Row(#""StringEquals":{"s3:prefix":"a"}"#, [:], false),
        Row(#""StringEquals":{"S3:Prefix":"a"}"#, ["s3:prefix": ["a"]], true),
        Row(#""StringEquals":{"s3:prefix":["x","a"]}"#, ["s3:prefix": ["a"]], true),
        Row(#""StringEquals":{"s3:prefix":""}"#, ["s3:prefix": [""]], true),
        Row(#""StringEquals":{"s3:prefix":"a*"}"#, ["s3:prefix": ["ab"]], false),
        Row(#""StringEquals":{"s3:prefix":"a*"}"#, ["s3:prefix": ["a*"]], true),
        Row(#""StringNotEquals":{"s3:prefix":"a"}"#, ["s3:prefix": ["a"]], false),
        Row(#""StringNotEquals":{"s3:prefix":"a"}"#, ["s3:prefix": ["b"]], true),
        Row(#""StringNotEquals":{"s3:prefix":"a"}"#, [:], true),
        Row(#""StringNotEquals":{"s3:prefix":["a","b"]}"#, ["s3:prefix": ["b"]], false),
        Row(#""StringEqualsIgnoreCase":{"s3:prefix":"Straße"}"#, ["s3:prefix": ["STRAßE"]], true),
        Row(#""StringNotEqualsIgnoreCase":{"s3:prefix":"AB"}"#, ["s3:prefix": ["ab"]], false),
        Row(#""StringLike":{"s3:prefix":"home/*"}"#, ["s3:prefix": ["home/x/y"]], true),
        Row(#""StringLike":{"s3:prefix":"home/*"}"#, ["s3:prefix": ["Home/x"]], false),
        Row(#""StringLike":{"s3:prefix":"?at"}"#, ["s3:prefix": ["éat"]], true),
        Row(#""StringLike":{"s3:prefix":"?at"}"#, ["s3:prefix": ["at"]], false),
        Row(#""StringNotLike":{"s3:prefix":"home/*"}"#, ["s3:prefix": ["home/x"]], false),
        Row(#""StringNotLike":{"s3:prefix":"home/*"}"#, ["s3:prefix": ["etc"]], true),
        Row(#""StringEqualsIfExists":{"s3:prefix":"a"}"#, [:], true),
        Row(#""StringEqualsIfExists":{"s3:prefix":"a"}"#, ["s3:prefix": ["b"]], false),
        Row(#""StringEquals":{"s3:ExistingObjectTag/Team":"x"}"#, ["s3:existingobjecttag/team": ["x"]], true),
        Row(#""StringEquals":{"s3:prefix":"a","s3:delimiter":"/"}"#, ["s3:prefix": ["a"]], false),
        Row(
            #""StringEquals":{"s3:prefix":"a","s3:delimiter":"/"}"#,
            ["s3:prefix": ["a"], "s3:delimiter": ["/"]], true),
        Row(
            #""StringEquals":{"s3:prefix":"a"},"StringLike":{"s3:delimiter":"?"}"#,
            ["s3:prefix": ["a"], "s3:delimiter": ["//"]], false),
    ]

    private static let sets = [
        Row(#""ForAnyValue:StringEquals":{"aws:TagKeys":["a","b"]}"#, ["aws:tagkeys": ["b", "c"]], true),
        Row(#""ForAnyValue:StringEquals":{"aws:TagKeys":["a","b"]}"#, ["aws:tagkeys": ["c"]], false),
        Row(#""ForAnyValue:StringEquals":{"aws:TagKeys":"a"}"#, [:], false),
        Row(#""ForAnyValue:StringNotEquals":{"aws:TagKeys":"a"}"#, ["aws:tagkeys": ["a", "c"]], true),
        Row(#""ForAnyValue:StringNotEquals":{"aws:TagKeys":"a"}"#, ["aws:tagkeys": ["a"]], false),
        Row(#""ForAnyValue:StringNotEquals":{"aws:TagKeys":"a"}"#, [:], false),
        Row(#""ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}"#, ["aws:tagkeys": ["a", "b"]], true),
        Row(#""ForAllValues:StringEquals":{"aws:TagKeys":["a","b"]}"#, ["aws:tagkeys": ["a", "c"]], false),
        Row(#""ForAllValues:StringEquals":{"aws:TagKeys":"a"}"#, [:], true),
        Row(#""ForAllValues:StringEquals":{"aws:TagKeys":"a"}"#, ["aws:tagkeys": []], true),
        Row(#""ForAllValues:StringNotEquals":{"aws:TagKeys":"a"}"#, ["aws:tagkeys": ["b", "a"]], false),
        Row(#""ForAllValues:StringNotLike":{"aws:TagKeys":"a*"}"#, ["aws:tagkeys": ["b", "c"]], true),
        Row(#""ForAnyValue:StringLikeIfExists":{"aws:TagKeys":"a*"}"#, [:], true),
    ]

    private static let numbers = [
        Row(#""NumericEquals":{"s3:max-keys":"10"}"#, ["s3:max-keys": ["10"]], true),
        Row(#""NumericEquals":{"s3:max-keys":10}"#, ["s3:max-keys": ["10.0"]], true),
        Row(#""NumericEquals":{"s3:max-keys":"10"}"#, ["s3:max-keys": ["ten"]], false),
        Row(#""NumericNotEquals":{"s3:max-keys":"10"}"#, ["s3:max-keys": ["11"]], true),
        Row(#""NumericNotEquals":{"s3:max-keys":["10","11"]}"#, ["s3:max-keys": ["11"]], false),
        Row(#""NumericLessThan":{"s3:max-keys":"10"}"#, ["s3:max-keys": ["10"]], false),
        Row(#""NumericLessThan":{"s3:max-keys":"10"}"#, ["s3:max-keys": ["9"]], true),
        Row(#""NumericLessThanEquals":{"s3:max-keys":"10"}"#, ["s3:max-keys": ["10"]], true),
        Row(#""NumericGreaterThan":{"s3:max-keys":"-1.5e1"}"#, ["s3:max-keys": ["-14"]], true),
        Row(#""NumericGreaterThanEquals":{"s3:max-keys":"10"}"#, ["s3:max-keys": ["9"]], false),
        Row(#""NumericLessThanEqualsIfExists":{"s3:max-keys":"10"}"#, [:], true),
        Row(#""NumericLessThanEquals":{"s3:max-keys":"10"}"#, [:], false),
    ]

    private static let now = ["aws:currenttime": ["2024-03-01T12:00:00Z"]]
    private static let dates = [
        Row(#""DateEquals":{"aws:CurrentTime":"2024-03-01T12:00:00Z"}"#, now, true),
        Row(#""DateEquals":{"aws:CurrentTime":"2024-03-01T14:00:00+02:00"}"#, now, true),
        Row(#""DateEquals":{"aws:CurrentTime":"2024-03-01T12:00Z"}"#, now, true),
        Row(#""DateEquals":{"aws:CurrentTime":"1709294400"}"#, now, true),
        Row(#""DateEquals":{"aws:EpochTime":1709294400}"#, ["aws:epochtime": ["1709294400"]], true),
        Row(#""DateNotEquals":{"aws:CurrentTime":"2024-03-01T12:00:00Z"}"#, now, false),
        Row(#""DateLessThan":{"aws:CurrentTime":"2024-03-02"}"#, now, true),
        Row(#""DateLessThan":{"aws:CurrentTime":"2024-03-01"}"#, now, false),
        Row(#""DateLessThanEquals":{"aws:CurrentTime":"2024-03-01T12:00:00Z"}"#, now, true),
        Row(#""DateGreaterThan":{"aws:CurrentTime":"2024-03-01T11:59:59.999Z"}"#, now, true),
        Row(#""DateGreaterThanEquals":{"aws:CurrentTime":"2024-03-01T12:00:01Z"}"#, now, false),
        Row(#""DateLessThan":{"aws:CurrentTime":"2024-03-02"}"#, ["aws:currenttime": ["soon"]], false),
    ]

    private static let others = [
        Row(#""Bool":{"aws:SecureTransport":"true"}"#, ["aws:securetransport": ["true"]], true),
        Row(#""Bool":{"aws:SecureTransport":false}"#, ["aws:securetransport": ["true"]], false),
        Row(#""Bool":{"aws:SecureTransport":"False"}"#, ["aws:securetransport": ["false"]], true),
        Row(#""Bool":{"aws:SecureTransport":"true"}"#, [:], false),
        Row(#""BoolIfExists":{"aws:MultiFactorAuthPresent":"true"}"#, [:], true),
        Row(#""Null":{"aws:MultiFactorAuthAge":"true"}"#, [:], true),
        Row(#""Null":{"aws:MultiFactorAuthAge":true}"#, ["aws:multifactorauthage": ["1"]], false),
        Row(#""Null":{"aws:MultiFactorAuthAge":"false"}"#, ["aws:multifactorauthage": ["1"]], true),
        Row(#""Null":{"aws:MultiFactorAuthAge":"false"}"#, [:], false),
        Row(#""BinaryEquals":{"s3:if-match":"QmluYXJ5"}"#, ["s3:if-match": ["QmluYXJ5"]], true),
        Row(#""BinaryEquals":{"s3:if-match":"QmluYXJ5"}"#, ["s3:if-match": ["Binary"]], false),
        Row(
            #""ArnLike":{"aws:SourceArn":"arn:aws:s3:::examplebucket"}"#,
            ["aws:sourcearn": ["arn:aws:s3:::examplebucket"]], true),
        Row(
            #""ArnEquals":{"aws:PrincipalArn":"arn:aws:iam::*:user/a*"}"#,
            ["aws:principalarn": ["arn:aws:iam::123456789012:user/alice"]], true),
        Row(
            #""ArnLike":{"aws:PrincipalArn":"arn:*:user/alice:::"}"#,
            ["aws:principalarn": ["arn:aws:iam::123456789012:user/alice"]], false),
        Row(
            #""ArnLike":{"aws:PrincipalArn":"arn:aws:iam:*:user/alice:*"}"#,
            ["aws:principalarn": ["arn:aws:iam::123456789012:user/alice"]], false),
        Row(
            #""ArnNotLike":{"aws:PrincipalArn":"arn:aws:iam::*:user/*"}"#,
            ["aws:principalarn": ["arn:aws:iam::123456789012:role/x"]], true),
    ]

    private static func from(_ address: String) -> [String: [String]] { ["aws:sourceip": [address]] }
    private static let addresses = [
        Row(#""IpAddress":{"aws:SourceIp":"192.0.2.0/24"}"#, from("192.0.2.255"), true),
        Row(#""IpAddress":{"aws:SourceIp":"192.0.2.0/24"}"#, from("192.0.3.0"), false),
        Row(#""IpAddress":{"aws:SourceIp":"192.0.2.7"}"#, from("192.0.2.7"), true),
        Row(#""IpAddress":{"aws:SourceIp":"192.0.2.128/25"}"#, from("192.0.2.127"), false),
        Row(#""IpAddress":{"aws:SourceIp":"0.0.0.0/0"}"#, from("8.8.8.8"), true),
        Row(#""IpAddress":{"aws:SourceIp":"0.0.0.0/0"}"#, from("2001:db8::1"), false),
        Row(#""IpAddress":{"aws:SourceIp":"192.0.2.0/24"}"#, from("::ffff:192.0.2.1"), true),
        Row(
            #""IpAddress":{"aws:SourceIp":["10.0.0.0/8","2001:db8:1234:5678::/64"]}"#,
            from("2001:db8:1234:5678::9"), true),
        Row(#""IpAddress":{"aws:SourceIp":"2001:db8::/33"}"#, from("2001:db8:8000::"), false),
        Row(#""IpAddress":{"aws:SourceIp":"192.0.2.0/24"}"#, from("somewhere"), false),
        Row(#""IpAddress":{"aws:SourceIp":"192.0.2.0/24"}"#, [:], false),
        Row(#""NotIpAddress":{"aws:SourceIp":"192.0.2.0/24"}"#, from("192.0.2.1"), false),
        Row(#""NotIpAddress":{"aws:SourceIp":"192.0.2.0/24"}"#, from("198.51.100.1"), true),
        Row(
            #""NotIpAddress":{"aws:SourceIp":["192.0.2.0/24","198.51.100.0/24"]}"#, from("198.51.100.1"),
            false),
    ]

    private static let named = ["aws:username": ["alice"], "s3:prefix": ["home/alice/x"]]
    private static let variables = [
        Row(#""StringLike":{"s3:prefix":"home/${aws:username}/*"}"#, named, true),
        Row(#""StringLike":{"s3:prefix":"home/${AWS:UserName}/*"}"#, named, true),
        Row(#""StringLike":{"s3:prefix":"home/${aws:username}/*"}"#, named, false, version: "2008-10-17"),
        Row(
            #""StringEquals":{"s3:prefix":"${aws:username}"}"#, ["s3:prefix": ["${aws:username}"]], true,
            version: "2008-10-17"),
        Row(#""StringLike":{"s3:prefix":"home/${aws:username}/*"}"#, ["s3:prefix": ["home//x"]], false),
        Row(
            #""StringLike":{"s3:prefix":"home/${aws:username, 'all'}/*"}"#, ["s3:prefix": ["home/all/x"]],
            true),
        Row(#""StringLike":{"s3:prefix":"${aws:username,'}'}"}"#, ["s3:prefix": ["}"]], true),
        Row(#""StringNotLike":{"s3:prefix":"home/${aws:username}/*"}"#, ["s3:prefix": ["etc"]], false),
        Row(#""StringLike":{"s3:prefix":"a${*}b"}"#, ["s3:prefix": ["a*b"]], true),
        Row(#""StringLike":{"s3:prefix":"a${*}b"}"#, ["s3:prefix": ["axb"]], false),
        Row(#""StringEquals":{"s3:prefix":"${$}{x}${?}"}"#, ["s3:prefix": ["${x}?"]], true),
        // What a variable stands for has no wildcards.
        Row(
            #""StringLike":{"s3:prefix":"${aws:username}"}"#, ["aws:username": ["*"], "s3:prefix": ["x"]],
            false),
        Row(
            #""StringEquals":{"s3:prefix":"${aws:TagKeys}"}"#,
            ["aws:tagkeys": ["a", "b"], "s3:prefix": ["a"]], false),
        Row(
            #""StringEqualsIgnoreCase":{"s3:prefix":"X${aws:username}"}"#,
            ["aws:username": ["Bob"], "s3:prefix": ["xbOB"]], true),
    ]

    @Test(arguments: strings + sets + numbers + dates + others + addresses + variables)
    func aConditionHoldsAsItsOperatorSays(_ row: Row) throws {
        let text = PolicyFixture.policy(#""Condition":{\#(row.condition)}"#, version: row.version)
        let request = PolicyFixture.request(
            PolicyFixture.alice, "s3:ListBucket", "examplebucket", row.context)
        #expect(try PolicyFixture.bucketPolicy(text).verdict(on: request) == (row.holds ? .allowed : .silent))
    }

    @Test func aVariableWithoutAValueNeverMakesMoreAllowed() throws {
        let request = PolicyFixture.request()
        for (effect, verdict) in [("Allow", Verdict.silent), ("Deny", .denied)] {
            let elements =
                #""Effect":"\#(effect)","NotResource":"arn:aws:s3:::examplebucket/${aws:username}/*""#
            let policy = try PolicyFixture.bucketPolicy(PolicyFixture.policy(elements))
            #expect(policy.verdict(on: request) == verdict)
            let condition =
                #""Effect":"\#(effect)","Condition":{"StringNotEquals":{"aws:userid":"${aws:username}"}}"#
            let conditional = try PolicyFixture.bucketPolicy(PolicyFixture.policy(condition))
            let identified = PolicyFixture.request(
                PolicyFixture.alice, "s3:GetObject", "examplebucket/a", ["aws:userid": ["id"]])
            #expect(conditional.verdict(on: identified) == verdict)
        }
    }
}
