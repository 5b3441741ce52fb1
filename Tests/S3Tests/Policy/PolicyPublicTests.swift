import S3
import Testing

/// Source: Amazon S3 User Guide, "Blocking public access to your Amazon S3 storage", "The meaning of public".
@Suite struct PolicyPublicTests {
    private static func when(_ condition: String) -> String { #""Condition":{\#(condition)}"# }

    private static let isPublic: [String] = [
        "", #""Principal":{"AWS":"*"}"#, #""NotPrincipal":{"AWS":"arn:aws:iam:::user/a"}"#,
        #""Principal":{"AWS":["arn:aws:iam:::user/a","*"]}"#,
        when(#""StringLike":{"aws:SourceVpc":"vpc-*"}"#),
        when(#""StringNotEquals":{"aws:SourceVpc":"vpc-1"}"#),
        when(#""StringEqualsIfExists":{"aws:SourceVpc":"vpc-1"}"#),
        when(#""StringEquals":{"aws:Referer":"http://a/"}"#),
        when(#""StringEquals":{"aws:userid":"${aws:userid}"}"#),
        when(#""StringLike":{"aws:userid":"AROAEXAMPLEID:*"}"#),
        when(#""ForAllValues:StringEquals":{"aws:PrincipalOrgID":"o-1"}"#),
        when(#""StringLike":{"aws:SourceVpc":["vpc-1","vpc-*"]}"#),
        when(#""IpAddress":{"aws:SourceIp":"0.0.0.0/0"}"#),
        when(#""IpAddress":{"aws:SourceIp":"0.0.0.0/1"}"#),
        when(#""IpAddress":{"aws:SourceIp":"128.0.0.0/7"}"#),
        when(#""IpAddress":{"aws:SourceIp":"2001::/31"}"#),
        when(#""IpAddress":{"aws:SourceIp":["192.0.2.0/24","0.0.0.0/0"]}"#),
        when(#""NotIpAddress":{"aws:SourceIp":"192.0.2.0/24"}"#),
        when(#""Bool":{"aws:SecureTransport":"true"}"#),
        when(#""Null":{"aws:SourceIp":"true"}"#),
    ]

    private static let isNotPublic: [String] = [
        #""Effect":"Deny""#, #""Principal":{"AWS":"arn:aws:iam:::user/a"}"#, #""NotPrincipal":"*""#,
        #""Principal":{"Service":"s3.amazonaws.com"}"#,
        when(#""StringEquals":{"aws:SourceVpc":"vpc-91237329"}"#),
        when(#""StringLike":{"aws:SourceVpc":"vpc-91237329"}"#),
        when(#""StringEquals":{"aws:PrincipalOrgID":["o-1","o-2"]}"#),
        when(#""ArnEquals":{"aws:SourceArn":"arn:aws:s3:::source"}"#),
        when(#""StringEquals":{"aws:userid":"AIDA1"}"#),
        when(#""StringEquals":{"aws:SourceAccount":"123456789012"}"#),
        when(#""StringEquals":{"s3:x-amz-server-side-encryption-aws-kms-key-id":"k"}"#),
        when(#""ArnLike":{"s3:DataAccessPointArn":"arn:aws:s3:us-east-1:123456789012:accesspoint/*"}"#),
        when(#""IpAddress":{"aws:SourceIp":"54.240.143.0/24"}"#),
        when(#""IpAddress":{"aws:SourceIp":"10.0.0.0/8"}"#),
        when(#""IpAddress":{"aws:SourceIp":["192.0.2.0/24","2001:db8::/32"]}"#),
        when(#""IpAddress":{"aws:SourceIp":"192.0.2.0/24"},"StringEquals":{"aws:Referer":"x"}"#),
    ]

    @Test(arguments: isPublic.map { ($0, true) } + isNotPublic.map { ($0, false) })
    func publicIsWhatLetsInWhoeverAsks(elements: String, expected: Bool) throws {
        #expect(
            try PolicyFixture.bucketPolicy(PolicyFixture.policy(elements)).isPublic == expected, "\(elements)"
        )
    }
}
