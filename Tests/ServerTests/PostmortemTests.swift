import HoldfastServer
import Model
import Testing

/// What somebody else chose is no markup of the report.
@Suite struct PostmortemTests {
    @Test(arguments: [
        ("plain words (and more)", "plain words (and more)"), ("a|b", "a\\|b"), ("[x](y)", "\\[x\\](y)"),
        ("<script>", "\\<script\\>"), ("a\nb", "a\\\\nb"), ("`code`", "\\`code\\`"),
    ])
    func aNameIsTextInMarkdown(_ text: String, _ markdown: String) {
        #expect(text.markdown == markdown)
    }

    @Test func aRestoreIsToldOfItsOwnIncidentAndWhereItWasAskedForNone() {
        var timeline = PostmortemTimeline(incident: 7)
        var lines: [PostmortemTimeline.Line] = []
        for (index, incident) in [UInt64(7), 0, 9].enumerated() {
            var change = EventRestoreEnded()
            change.unit = "restore \(index)"
            change.incident = incident
            var record = EventRecord()
            record.change = .restoreEnded(change)
            lines += timeline.add(
                LoggedEvent(
                    sequence: SequenceNumber(UInt64(20 + index)), epoch: 1,
                    time: Timestamp(microseconds: 1), chain: .genesis, record: record, payloadLength: 0))
        }
        lines += timeline.finish()
        #expect(lines.map(\.sequence) == [SequenceNumber(20), SequenceNumber(21)])
        #expect(lines.allSatisfy { $0.kind == .done && $0.text.contains("restore of restore") })
    }
}
