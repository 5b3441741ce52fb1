import Model

/// How pages say times and sizes.
enum PageText {
    /// "2026-01-31 12:00 UTC".
    static func moment(_ time: Timestamp) -> String {
        let text = time.description
        return "\(text.prefix(10)) \(text.dropFirst(11).prefix(5)) UTC"
    }

    /// "1.5 MB".
    static func size(_ bytes: UInt64) -> String {
        guard bytes >= 1000 else { return "\(bytes) B" }
        var value = Double(bytes)
        var unit = 0
        let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"]
        while value >= 999.5, unit < units.count - 1 {
            value /= 1000
            unit += 1
        }
        let tenths = (value * 10).rounded() / 10
        return value < 10 ? "\(tenths) \(units[unit])" : "\(Int(value.rounded())) \(units[unit])"
    }

    /// "12 min ago", of a moment that may be a little ahead of the clock.
    static func ago(_ time: Timestamp, _ now: Timestamp) -> String {
        let seconds = now.seconds(since: time)
        return seconds < 1 ? "just now" : "\(span(seconds)) ago"
    }

    /// "in 5 min".
    static func until(_ time: Timestamp, _ now: Timestamp) -> String {
        let seconds = time.seconds(since: now)
        return seconds < 1 ? "now" : "in \(span(seconds))"
    }

    /// Rounded to what is there, where ``IncidentText/duration(_:)`` promises no less.
    private static func span(_ seconds: Double) -> String {
        switch seconds {
        case ..<90: "\(Int(seconds)) s"
        case ..<5400: "\(Int((seconds / 60).rounded())) min"
        case ..<172_800: "\(Int((seconds / 3600).rounded())) h"
        default: "\(Int((seconds / 86_400).rounded())) days"
        }
    }

    static func percent(_ part: Double) -> Int { Int((min(1, max(0, part)) * 100).rounded(.down)) }

    static func shortened(_ text: String, to count: Int) -> String {
        text.unicodeScalars.count <= count
            ? text : String(String.UnicodeScalarView(text.unicodeScalars.prefix(count - 1))) + "…"
    }
}
