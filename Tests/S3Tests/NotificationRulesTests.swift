import S3
import Testing

/// The rules one by one are in Tests/EndToEnd/test_settings_of_buckets.py.
@Suite struct NotificationRulesTests {
    private static func read(_ content: String) throws -> NotificationRules {
        try NotificationRules(Array("<NotificationConfiguration>\(content)</NotificationConfiguration>".utf8))
    }

    private static let queue =
        "<Queue>arn:aws:sqs:eu-1:123456789012:q</Queue><Event>s3:ObjectCreated:*</Event><Event>s3:ObjectAcl:Put</Event>"

    @Test func aWildcardStandsForItsFamily() throws {
        let rules = try Self.read("<QueueConfiguration>\(Self.queue)</QueueConfiguration>")
        #expect(
            rules.configurations.first?.kinds == [
                "s3:ObjectCreated:Put", "s3:ObjectCreated:Post", "s3:ObjectCreated:Copy",
                "s3:ObjectCreated:CompleteMultipartUpload", "s3:ObjectAcl:Put",
            ])
    }

    @Test func whatIsWrittenReadsTheSame() throws {
        let rules = try Self.read(
            """
            <QueueConfiguration>\(Self.queue)<Filter><S3Key><FilterRule><Name>PREFIX</Name><Value> &lt;a </Value></FilterRule>\
            </S3Key></Filter></QueueConfiguration><EventBridgeConfiguration/>
            """)
        #expect(rules.configurations.first?.prefix == " <a " && rules.tellsEventBridge)
        #expect(try NotificationRules(rules.document.bytes) == rules)
    }

    @Test func nothingIsNothing() throws {
        #expect(try Self.read("").isEmpty)
        #expect(try !Self.read("<EventBridgeConfiguration/>").isEmpty)
    }

    @Test func filtersAreComparedByBytes() throws {
        // One character each, of which neither begins with the other as text.
        func configuration(_ prefix: String) -> String {
            "<QueueConfiguration>\(Self.queue)<Filter><S3Key><FilterRule><Name>prefix</Name><Value>\(prefix)</Value></FilterRule></S3Key></Filter></QueueConfiguration>"
        }
        #expect(throws: S3Error.self) { try Self.read(configuration("e") + configuration("e\u{301}")) }
    }
}
