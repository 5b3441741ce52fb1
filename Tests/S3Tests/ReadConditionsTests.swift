import HTTPTypes
import Model
import ObjectStore
import S3
import Testing

@Suite struct ReadConditionsTests {
    private static let modified: UInt64 = 784_111_777
    private static let then = "Sun, 06 Nov 1994 08:49:37 GMT"
    private static let before = "Sun, 06 Nov 1994 08:49:36 GMT"
    private static let after = "Sun, 06 Nov 1994 08:49:38 GMT"

    private static func version() -> ObjectVersion {
        var record = EventVersionPublished()
        record.etag = "abc"
        return ObjectVersion(
            sequence: SequenceNumber(1), published: Timestamp(microseconds: modified * 1_000_000 + 500_000),
            record: record)
    }

    private static func outcome(_ conditions: ReadConditions) -> String {
        switch conditions.check(version()) {
        case .holds: "holds"
        case .notModified: "not modified"
        case .failed(let name): name
        }
    }

    /// If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since; a blank for none.
    @Test(arguments: [
        (["", "", "", ""], "holds"), (["\"abc\"", "", "", ""], "holds"), (["abc", "", "", ""], "holds"),
        (["*", "", "", ""], "holds"), (["\"x\", \"abc\"", "", "", ""], "holds"),
        (["W/\"abc\"", "", "", ""], "holds"),
        (["\"x\"", "", "", ""], "If-Match"), (["\"ABC\"", "", "", ""], "If-Match"),
        (["\"ab\"", "", "", ""], "If-Match"),
        (["", then, "", ""], "holds"), (["", after, "", ""], "holds"),
        (["", before, "", ""], "If-Unmodified-Since"),
        (["", "nonsense", "", ""], "holds"), (["", "", "\"abc\"", ""], "not modified"),
        (["", "", "*", ""], "not modified"),
        (["", "", "\"x\"", ""], "holds"), (["", "", "\"x\",\"abc\"", ""], "not modified"),
        (["", "", "", then], "not modified"), (["", "", "", after], "not modified"),
        (["", "", "", before], "holds"),
        (["", "", "", "nonsense"], "holds"), (["\"abc\"", before, "", ""], "holds"),
        (["\"x\"", after, "", ""], "If-Match"),
        (["", "", "\"abc\"", before], "not modified"), (["", "", "\"x\"", after], "holds"),
        (["\"x\"", "", "\"abc\"", ""], "If-Match"), (["\"abc\"", "", "\"abc\"", ""], "not modified"),
        (["", before, "\"abc\"", ""], "If-Unmodified-Since"), (["", then, "", then], "not modified"),
        (["", "", "", "Sunday, 06-Nov-94 08:49:37 GMT"], "not modified"),
        (["", "", "", "Sun Nov  6 08:49:37 1994"], "not modified"),
    ])
    func conditionsAreCheckedInTheirOrder(values: [String], expected: String) throws {
        let names = ["if-match", "if-unmodified-since", "if-none-match", "if-modified-since"]
        var headers = HTTPFields()
        var source = HTTPFields()
        for (field, value) in zip(names, values) where !value.isEmpty {
            headers[name(field)] = value
            source[name("x-amz-copy-source-" + field)] = value
        }
        #expect(Self.outcome(ReadConditions(headers)) == expected)
        #expect(Self.outcome(ReadConditions(copySource: source)) == expected)
        #expect(
            Self.outcome(ReadConditions(source)) == "holds", "those of a copy's source are not the object's")
    }

    @Test func aConditionsRightSideIsAStarOrTags() {
        #expect(ETagCondition(header: " * ") == .any)
        #expect(ETagCondition(header: "\"a\" , W/\"b\",c") == .tags(["a", "b", "c"]))
        #expect(ETagCondition(header: "\"*\"") == .tags(["*"]))
    }
}
