import Model
import S3
import Testing

@Suite struct LoggingRulesTests {
    private static func rules(_ format: String = "") throws -> LoggingRules {
        try LoggingRules(
            stored: Array(
                """
                <BucketLoggingStatus><LoggingEnabled><TargetBucket> logs </TargetBucket><TargetPrefix>p/</TargetPrefix>\
                \(format)</LoggingEnabled></BucketLoggingStatus>
                """.utf8))
    }

    @Test(arguments: [
        "", "<TargetObjectKeyFormat><SimplePrefix/></TargetObjectKeyFormat>",
        "<TargetObjectKeyFormat><PartitionedPrefix/></TargetObjectKeyFormat>",
        "<TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>EventTime</PartitionDateSource></PartitionedPrefix></TargetObjectKeyFormat>",
    ])
    func whatIsWrittenReadsTheSame(format: String) throws {
        let rules = try Self.rules(format)
        #expect(rules.target == "logs" && rules.prefix == "p/")
        #expect(try LoggingRules(stored: rules.document.bytes) == rules)
    }

    @Test func anEmptyStatusAsksForNoLog() throws {
        #expect(try LoggingRules(request: Array("<BucketLoggingStatus/>".utf8)) == nil)
    }

    @Test(arguments: [
        ("", "p/2013-05-25-01-02-03-00000000000000AB"),
        (
            "<TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>DeliveryTime</PartitionDateSource></PartitionedPrefix></TargetObjectKeyFormat>",
            "p/me/eu-1/photos/2013/05/25/2013-05-25-01-02-03-00000000000000AB"
        ),
        (
            "<TargetObjectKeyFormat><PartitionedPrefix><PartitionDateSource>EventTime</PartitionDateSource></PartitionedPrefix></TargetObjectKeyFormat>",
            "p/me/eu-1/photos/2013/05/24/2013-05-24-00-00-00-00000000000000AB"
        ),
    ])
    func aKeySaysWhen(format: String, key: String) throws {
        let events = Timestamp(microseconds: (exampleTime + 45) * 1_000_000)
        let delivery = Timestamp(microseconds: (exampleTime + 86_400 + 3600 + 120 + 3) * 1_000_000)
        let made = try Self.rules(format).key(
            owner: "me", region: "eu-1", source: "photos", events: events, delivery: delivery,
            unique: "00000000000000AB")
        #expect(made == key)
    }
}
