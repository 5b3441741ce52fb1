import Model
import ObjectStore
import S3
import Testing

private let day: UInt64 = 86_400_000_000
/// 2026-01-15T10:30:00Z, the example of the S3 User Guide but for the year.
private let start: UInt64 = 1_768_473_000_000_000

private func configuration(_ rules: String...) throws -> LifecycleConfiguration {
    let body = rules.map { "<Rule><Status>Enabled</Status>\($0)</Rule>" }.joined()
    return try LifecycleConfiguration(Array("<LifecycleConfiguration>\(body)</LifecycleConfiguration>".utf8))
}

private let all = "<Filter/>"
private let afterThreeDays = "<Expiration><Days>3</Days></Expiration>"
private let markers = "<Expiration><ExpiredObjectDeleteMarker>true</ExpiredObjectDeleteMarker></Expiration>"
private func noncurrent(_ newer: Int) -> String {
    let kept = newer == 0 ? "" : "<NewerNoncurrentVersions>\(newer)</NewerNoncurrentVersions>"
    return
        "<NoncurrentVersionExpiration><NoncurrentDays>3</NoncurrentDays>\(kept)</NoncurrentVersionExpiration>"
}

/// A version published at `start`, and a rule, `hours` later.
private struct Example: Sendable, CustomTestStringConvertible {
    var rule: String
    var hours: UInt64
    var kind: Expiry.Kind?
    var key = "logs/a"
    var size: UInt64 = 100
    var isMarker = false
    var isReplaced = false
    var newer = 0
    var isAlone = true
    var tags: [String: String] = [:]

    var testDescription: String { "\(rule) after \(hours) h: \(String(describing: kind))" }
}

private let tagged = "<Filter><Tag><Key>k</Key><Value>v</Value></Tag></Filter>"
private let sized =
    "<Filter><And><ObjectSizeGreaterThan>99</ObjectSizeGreaterThan><ObjectSizeLessThan>101</ObjectSizeLessThan></And></Filter>"

private let examples = [
    // 10:30 and three days is rounded up to the midnight after: 85.5 hours.
    Example(rule: all + afterThreeDays, hours: 85, kind: nil),
    Example(rule: all + afterThreeDays, hours: 86, kind: .current),
    Example(rule: "<Prefix>logs/</Prefix>" + afterThreeDays, hours: 86, kind: .current),
    Example(rule: "<Filter><Prefix>log/</Prefix></Filter>" + afterThreeDays, hours: 86, kind: nil),
    Example(rule: tagged + afterThreeDays, hours: 86, kind: nil),
    Example(rule: tagged + afterThreeDays, hours: 86, kind: .current, tags: ["k": "v", "l": "w"]),
    Example(rule: tagged + afterThreeDays, hours: 86, kind: nil, tags: ["k": "w"]),
    Example(rule: sized + afterThreeDays, hours: 86, kind: .current, size: 100),
    Example(rule: sized + afterThreeDays, hours: 86, kind: nil, size: 99),
    Example(rule: sized + afterThreeDays, hours: 86, kind: nil, size: 101),
    Example(
        rule: all + "<Expiration><Date>2026-01-16T00:00:00Z</Date></Expiration>", hours: 13, kind: nil),
    Example(
        rule: all + "<Expiration><Date>2026-01-16T00:00:00Z</Date></Expiration>", hours: 14, kind: .current),
    // A current marker hides: only when it hides nothing it goes, by age if the rule has one.
    Example(rule: all + afterThreeDays, hours: 86, kind: nil, isMarker: true, isAlone: false),
    Example(rule: all + afterThreeDays, hours: 86, kind: .marker, isMarker: true),
    Example(rule: all + afterThreeDays, hours: 85, kind: nil, isMarker: true),
    Example(rule: all + markers, hours: 0, kind: .marker, isMarker: true),
    Example(rule: all + markers, hours: 99, kind: nil, isMarker: true, isAlone: false),
    Example(rule: all + markers, hours: 99, kind: nil),
    Example(rule: sized + afterThreeDays, hours: 86, kind: nil, isMarker: true),
    // Noncurrent ones, replaced at `start`.
    Example(rule: all + afterThreeDays, hours: 999, kind: nil, isReplaced: true),
    Example(rule: all + noncurrent(0), hours: 85, kind: nil, isReplaced: true),
    Example(rule: all + noncurrent(0), hours: 86, kind: .noncurrent(newer: 0), isReplaced: true),
    Example(rule: all + noncurrent(0), hours: 86, kind: nil),
    Example(rule: all + noncurrent(2), hours: 86, kind: nil, isReplaced: true, newer: 1),
    Example(rule: all + noncurrent(2), hours: 86, kind: .noncurrent(newer: 2), isReplaced: true, newer: 2),
    Example(
        rule: all + noncurrent(0), hours: 86, kind: .noncurrent(newer: 0), isMarker: true, isReplaced: true),
]

@Suite struct LifecycleRulesTests {
    @Test(arguments: examples)
    private func aVersionIsDueWhenItsRuleSaysSoAndNotBefore(_ example: Example) throws {
        let published = Timestamp(microseconds: start)
        let facts = VersionFacts(
            key: example.key, size: example.size, isDeleteMarker: example.isMarker,
            published: example.isReplaced ? Timestamp(microseconds: start - day) : published,
            replaced: example.isReplaced ? published : nil, newerNoncurrent: example.newer,
            isAlone: example.isAlone)
        let due = try configuration(example.rule).due(
            facts, now: Timestamp(microseconds: start + example.hours * 3_600_000_000), LifecycleCalendar()
        ) { example.tags }
        #expect(due?.kind == example.kind)
    }

    @Test func aRuleThatIsOffDoesNothing() throws {
        let off = try LifecycleConfiguration(
            Array(
                "<LifecycleConfiguration><Rule><Status>Disabled</Status><Filter/>\(afterThreeDays)</Rule></LifecycleConfiguration>"
                    .utf8))
        let facts = VersionFacts(
            key: "k", size: 1, isDeleteMarker: false, published: Timestamp(microseconds: start),
            replaced: nil,
            newerNoncurrent: 0, isAlone: true)
        #expect(
            off.due(facts, now: Timestamp(microseconds: start + 99 * day), LifecycleCalendar()) { [:] } == nil
        )
    }

    @Test func whatIsKeptReadsBackTheSame() throws {
        let rules = try configuration(
            "<ID>a &amp; b</ID>" + sized + afterThreeDays,
            "<ID>c</ID><Filter><And><Prefix>p&lt;</Prefix><Tag><Key>k</Key><Value/></Tag></And></Filter>"
                + noncurrent(7))
        #expect(try LifecycleConfiguration(rules.document) == rules)
    }

    @Test(arguments: [
        (["logs/a", "logs/b"], "logs/"), (["a", ""], ""), (["ü", "ú"], ""), (["same", "same"], "same"),
    ])
    func onlyKeysThatSomeRuleIsForAreLookedAt(prefixes: [String], common: String) throws {
        var rules = try configuration(all + afterThreeDays)
        let rule = rules.rules[0]
        rules.rules = prefixes.map {
            var rule = rule
            rule.filter.prefix = $0
            return rule
        }
        #expect(rules.commonPrefix == common)
    }

    @Test func daysThatWouldEndTheCalendarNeverEnd() {
        let time = LifecycleCalendar().time(Int(Int32.max), after: Timestamp(microseconds: .max - day))
        #expect(time == Timestamp(microseconds: .max))
    }
}
