import Catalog
import Integrity
import Model

/// An incident for people: what it is, how far it is, and whose versions it affects.
enum IncidentText {
    static func summary(
        _ row: IncidentRow, _ totals: IncidentTotals, _ progress: IncidentProgress,
        _ acknowledgements: [AcknowledgementRow]
    ) -> [String] {
        var lines = [title(row)]
        if let closed = row.closedTime {
            lines.append("  closed \(closed): \(row.outcome)")
        } else if row.id != 0 {
            let left = progress.secondsLeft.map { ", about \(duration($0)) left" } ?? ""
            lines.append(
                "  \(progress.phase.rawValue), \(Int(progress.part * 100)) % of the versions settled\(left)")
        }
        lines.append("  \(group(totals.all))")
        for (heading, entries) in lists(totals) where !entries.isEmpty {
            lines.append(heading)
            for (name, counts) in entries { lines.append("  \(name)  \(group(counts))") }
        }
        for acknowledgement in acknowledgements {
            lines.append("acknowledged \(acknowledgement.time): \(scope(acknowledgement))")
        }
        return lines.map(\.printable)
    }

    private static func title(_ row: IncidentRow) -> String {
        guard row.id != 0 else { return "no incident: \(row.reason)" }
        return "incident \(row.id), opened \(row.opened): \(row.reason)"
    }

    private static func lists(
        _ totals: IncidentTotals
    ) -> [(String, [(String, IncidentTotals.Group)])] {
        var prefixes = totals.prefixes.sorted { $0.key < $1.key }.map {
            ("\($0.key.bucket)/\($0.key.prefix)", $0.value)
        }
        if totals.otherPrefixes.versions > 0 { prefixes.append(("(others)", totals.otherPrefixes)) }
        return [
            ("by owner", totals.owners.sorted { $0.key.name < $1.key.name }.map { ($0.key.name, $0.value) }),
            ("by bucket", totals.buckets.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }),
            ("by prefix", prefixes),
        ]
    }

    private static func group(_ group: IncidentTotals.Group) -> String {
        guard group.versions > 0 else { return "no version is affected" }
        let seen = group.acknowledged == 0 ? "" : "; \(group.acknowledged) acknowledged"
        return "\(counted(group.versions, "version")), \(counted(group.bytes, "byte")): \(group.words)\(seen)"
    }

    static func scope(_ acknowledgement: AcknowledgementRow) -> String {
        var parts: [String] = []
        if !acknowledgement.owner.isEmpty { parts.append("owner \(acknowledgement.owner)") }
        if !acknowledgement.key.isEmpty {
            parts.append("\(acknowledgement.bucket)/\(acknowledgement.key)")
        } else if !acknowledgement.bucket.isEmpty {
            parts.append("bucket \(acknowledgement.bucket)")
        }
        let what = parts.isEmpty ? "all of it" : parts.joined(separator: ", ")
        return acknowledgement.note.isEmpty ? what : "\(what) (\(acknowledgement.note))"
    }

    /// "40 s", "12 min", "3 h", "2 days".
    static func duration(_ seconds: Double) -> String {
        switch seconds {
        case ..<90: "\(Int(seconds.rounded(.up))) s"
        case ..<5400: "\(Int((seconds / 60).rounded(.up))) min"
        case ..<172_800: "\(Int((seconds / 3600).rounded(.up))) h"
        default: "\(Int((seconds / 86_400).rounded(.up))) days"
        }
    }
}

/// RFC 4180, and no cell that a spreadsheet would take for a formula: who chose a key is not who opens the file.
package enum CSVText {
    /// Without the line's end, which the writer of lines adds; RFC 4180 has CR before it.
    package static func row(_ cells: [String]) -> String { cells.map(cell).joined(separator: ",") + "\r" }

    package static func cell(_ text: String) -> String {
        let isFormula =
            text.unicodeScalars.first.map {
                "=+-@\t\r\u{FF1D}\u{FF0B}\u{FF0D}\u{FF20}".unicodeScalars.contains($0)
            } ?? false
        let safe = isFormula ? "'" + text : text
        let isPlain = safe.utf8.allSatisfy { $0 != 0x22 && $0 != 0x2C && $0 != 0x0A && $0 != 0x0D }
        guard !isPlain || isFormula || safe.hasPrefix(" ") || safe.hasSuffix(" ") else { return safe }
        return "\"" + safe.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"")
            + "\""
    }
}
