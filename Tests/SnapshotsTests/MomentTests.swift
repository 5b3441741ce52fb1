import Foundation
import Snapshots
import Testing

@Suite struct MomentTests {
    @Test(arguments: [
        ("17", Moment.event(17)),
        ("90s", .ago(microseconds: 90_000_000)),
        ("10m", .ago(microseconds: 600_000_000)),
        ("10m ago", .ago(microseconds: 600_000_000)),
        ("2d", .ago(microseconds: 172_800_000_000)),
        ("1w", .ago(microseconds: 604_800_000_000)),
        ("1970-01-01T00:00:00Z", .time(microseconds: 0)),
        ("2026-11-25T02:09:00Z", .time(microseconds: 1_795_572_540_000_000)),
        ("2026-11-25t02:09:00z", .time(microseconds: 1_795_572_540_000_000)),
        ("2026-11-25 03:09:00+01:00", .time(microseconds: 1_795_572_540_000_000)),
        ("2026-11-24T20:39:00-05:30", .time(microseconds: 1_795_572_540_000_000)),
        ("2024-02-29T00:00:00Z", .time(microseconds: 1_709_164_800_000_000)),
        // What the log shows ends where the next one begins.
        ("2026-11-25T02:09:00.123Z", .time(microseconds: 1_795_572_540_123_999)),
        ("2026-11-25T02:09:00.123456789Z", .time(microseconds: 1_795_572_540_123_456)),
    ])
    func momentsAreReadAsPeopleWriteThem(_ text: String, _ moment: Moment) {
        #expect(Moment(text) == moment)
    }

    @Test(arguments: [
        "", "-1", "yesterday", "10x", "m", "1.5h", "2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z",
        "2026-11-25T24:00:00Z", "2026-11-25T02:09:00", "2026-11-25", "2026-11-25T02:09:00.Z",
        "1969-12-31T23:59:59Z", "2026-11-25T02:09:00+25:00", "99999999999d",
    ])
    func whatNamesNoMomentIsRefused(_ text: String) {
        #expect(Moment(text) == nil)
    }
}
