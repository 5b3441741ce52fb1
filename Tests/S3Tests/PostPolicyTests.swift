import Foundation
import Model
import S3
import Testing

@Suite struct PostPolicyTests {
    private static let now = Timestamp(microseconds: exampleTime * 1_000_000)
    private static let later = "\"expiration\": \"2013-05-25T00:00:00.000Z\""

    private static func fields(_ values: [(String, String)]) throws -> FormFields {
        var fields = FormFields()
        for (name, value) in values { try fields.add(name, value) }
        return fields
    }

    private static func base64(_ text: String) -> String { Data(text.utf8).base64EncodedString() }

    /// What is wrong, by its code and its message; `nil` for a form that the policy allows.
    private static func flaw(_ json: String, _ values: [(String, String)]) -> String? {
        do {
            _ = try PostPolicy(base64: base64(json)).check(try fields(values), bucket: "bucket", now: now)
            return nil
        } catch {
            guard let error = error as? S3Error else { return "\(error)" }
            return "\(error.code.name): \(error.message)"
        }
    }

    private static func flaw(conditions: String, _ values: [(String, String)]) -> String? {
        flaw("{\(later), \"conditions\": [{\"bucket\": \"bucket\"}, \(conditions)]}", values)
    }

    @Test(
        arguments: [
            ("[\"eq\", \"$key\", \"a\"]", [("key", "a")]), ("{\"key\": \"a\"}", [("key", "a")]),
            ("{\"KEY\": \"a\"}", [("key", "a")]), ("[\"EQ\", \"$Key\", \"a\"]", [("key", "a")]),
            ("[\"starts-with\", \"$key\", \"u/\"]", [("key", "u/a")]),
            ("[\"starts-with\", \"$key\", \"\"]", [("key", "anything")]),
            ("{\"key\": \"a\", \"acl\": \"private\"}", [("key", "a"), ("acl", "private")]),
            ("[\"eq\", \"$key\", \"a\"]", [("key", "a"), ("x-ignore-this", "1")]),
            ("[\"eq\", \"$key\", \"a\"]", [("key", "a"), ("X-Amz-Signature", "1"), ("policy", "p")]),
            ("[\"eq\", \"$key\", \"a\"]", [("key", "a"), ("AWSAccessKeyId", "1"), ("signature", "p")]),
            (
                "{\"key\": \"a\"}, [\"starts-with\", \"$Content-Type\", \"image/\"]",
                [("key", "a"), ("Content-Type", "image/png, image/gif")]
            ),
            (
                "{\"key\": \"a\"}, {\"success_action_status\": 201}",
                [("key", "a"), ("success_action_status", "201")]
            ),
            ("{\"key\": \"\\$5\\u00e9\\v\"}", [("key", "$5é\u{b}")]),
            ("{\"key\": \"a\"}, [\"starts-with\", \"$x-amz-meta-tag\", \"\"]", [("key", "a")]),
            ("{\"key\": \"a\"}, [\"content-length-range\", \"1\", \"10\"]", [("key", "a")]),
        ] as [(String, [(String, String)])])
    func aFormThatKeepsTheConditionsIsAllowed(conditions: String, values: [(String, String)]) {
        #expect(Self.flaw(conditions: conditions, values) == nil)
    }

    @Test(
        arguments: [
            (
                "[\"eq\", \"$key\", \"a\"]", [("key", "b")],
                "Policy Condition failed: [\"eq\", \"$key\", \"a\"]"
            ),
            ("{\"key\": \"a\"}", [("key", "A")], "Policy Condition failed: [\"eq\", \"$key\", \"a\"]"),
            (
                "{\"key\": \"e\u{301}\"}", [("key", "\u{e9}")],
                "Policy Condition failed: [\"eq\", \"$key\", \"e\u{301}\"]"
            ),
            (
                "[\"starts-with\", \"$key\", \"u/\"]", [("key", "v/a")],
                "Policy Condition failed: [\"starts-with\", \"$key\", \"u/\"]"
            ),
            (
                "{\"key\": \"a\"}", [("key", "a"), ("x-amz-meta-b", "1"), ("acl", "private")],
                "Extra input fields: acl, x-amz-meta-b"
            ),
            (
                "{\"key\": \"a\"}, {\"x-amz-meta-b\": \"1\"}", [("key", "a")],
                "Policy Condition failed: [\"eq\", \"$x-amz-meta-b\", \"1\"]"
            ),
            (
                "{\"key\": \"a\"}, [\"starts-with\", \"$Content-Type\", \"image/\"]",
                [("key", "a"), ("Content-Type", "image/png, text/html")],
                "Policy Condition failed: [\"starts-with\", \"$content-type\", \"image/\"]"
            ),
            (
                "{\"key\": \"a\"}, {\"bucket\": \"other\"}", [("key", "a")],
                "Policy Condition failed: [\"eq\", \"$bucket\", \"other\"]"
            ),
        ] as [(String, [(String, String)], String)])
    func aFormThatBreaksAConditionIsDenied(
        conditions: String, values: [(String, String)], reason: String
    ) {
        #expect(
            Self.flaw(conditions: conditions, values)
                == "AccessDenied: Invalid according to Policy: \(reason)")
    }

    @Test func theBucketMustBeCovered() {
        let json = "{\(Self.later), \"conditions\": [{\"key\": \"a\"}]}"
        #expect(
            Self.flaw(json, [("key", "a")])
                == "AccessDenied: Invalid according to Policy: Extra input fields: bucket")
    }

    @Test(
        arguments: [
            ("2013-05-24T00:00:01Z", nil), ("2013-05-24T00:00:00.000Z", "Policy expired."),
            ("2013-05-23T23:59:59Z", "Policy expired."),
        ] as [(String, String?)])
    func aPolicyIsGoodUntilItExpires(expiration: String, reason: String?) {
        let json =
            "{\"expiration\": \"\(expiration)\", \"conditions\": [{\"bucket\": \"bucket\"}, {\"key\": \"a\"}]}"
        #expect(
            Self.flaw(json, [("key", "a")])
                == reason.map { "AccessDenied: Invalid according to Policy: \($0)" })
    }

    @Test(arguments: [
        "", "[]", "{", "null", "{\(later)}", "{\"conditions\": []}",
        "{\"EXPIRATION\": \"x\", \"conditions\": []}",
        "{\(later), \"CONDITIONS\": []}", "{\"expiration\": \"soon\", \"conditions\": []}",
        "{\"expiration\": 5, \"conditions\": []}", "{\(later), \"conditions\": {}}",
        "{\(later), \"conditions\": [{}]}", "{\(later), \"conditions\": [[]]}",
        "{\(later), \"conditions\": [\"key\"]}", "{\(later), \"conditions\": [[\"eq\", \"$key\"]]}",
        "{\(later), \"conditions\": [[\"eq\", \"key\", \"a\"]]}",
        "{\(later), \"conditions\": [[\"ends-with\", \"$key\", \"a\"]]}",
        "{\(later), \"conditions\": [[\"content-length-range\", 0]]}",
        "{\(later), \"conditions\": [[\"content-length-range\", -1, 5]]}",
        "{\(later), \"conditions\": [[\"content-length-range\", \"a\", 5]]}",
        "{\(later), \"conditions\": [{\"key\": [\"a\"]}]}", "{\(later), \"conditions\": [{\"key\": null}]}",
        "{\(later), \"conditions\": \(String(repeating: "[", count: 8000))",
    ])
    func aDocumentThatIsNoPolicyIsRefused(json: String) {
        #expect(Self.flaw(json, [])?.hasPrefix("InvalidPolicyDocument: Invalid Policy: ") == true)
    }

    @Test func lengthsAreThoseThatAllConditionsAllow() throws {
        func lengths(_ conditions: String) throws -> PostPolicy.Lengths? {
            try PostPolicy(
                base64: Self.base64(
                    "{\(Self.later), \"conditions\": [{\"bucket\": \"bucket\"}\(conditions)]}")
            ).check(FormFields(), bucket: "bucket", now: Self.now)
        }
        #expect(try lengths("") == nil)
        #expect(try lengths(", [\"content-length-range\", 5, 10]") == .init(minimum: 5, maximum: 10))
        #expect(
            try lengths(", [\"content-length-range\", 5, 10], [\"content-length-range\", 1, 7]")
                == .init(minimum: 5, maximum: 7))
    }

}
