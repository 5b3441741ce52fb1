import Catalog
import Foundation
import Integrity
import Model
import ObjectStore

/// `holdfast postmortem`: an incident from the log, as Markdown.
///
/// It says nothing that the log does not: what caused it is written as whoever recorded it did, and what was lost as
/// it stands now. It is written a line at a time, however long the incident was.
extension CommandRunner {
    /// Versions of each owner that are named; all of them are in `incident report`.
    private static let namedLimit = 200
    private static let pageCount = 1000

    func postmortem(_ id: UInt64, json: Bool, _ output: any CommandOutput) throws {
        guard id != 0 else { throw IncidentRefusal.noSuchIncident(0) }
        let row = try IncidentReport(store).incident(id)
        let report = try IncidentReport(store).pinned(to: row)
        let totals = try report.totals(row, IncidentScope(), prefixDepth: 0)
        let progress = report.progress(of: row, totals)
        if json {
            return try output.line(try CommandJSON.line(try document(row, report, totals, progress)))
        }
        func line(_ text: String = "") throws { try output.line(text) }
        try line("# Postmortem of incident \(id)")
        try line()
        for text in Self.summary(row, totals, progress, now: .now()) { try line("- " + text) }
        try line()
        try line("## What was lost, and what was not")
        try line()
        try owners(totals, line)
        try named(row, report, line)
        try line("## Timeline")
        try line()
        try line("Times are UTC. Events that say the same within a minute are one line, with their number.")
        try line()
        try line("| time | event | | what |")
        try line("| --- | --- | --- | --- |")
        try timeline(row) {
            try line($0.markdown)
        } progress: {
            output.progress($0)
        }
        try line()
        try line("## What was acknowledged")
        try line()
        let acknowledgements = try report.acknowledgements(of: row)
        if acknowledgements.isEmpty { try line("Nothing, by anybody.") }
        for entry in acknowledgements {
            try line("- \(entry.time): \(IncidentText.scope(entry).markdown)")
        }
        try line()
        try line("## What is to be learned")
        try line()
        try line("For people to write: why it could happen, what would have shown it earlier, what changes.")
    }

    static func summary(
        _ row: IncidentRow, _ totals: IncidentTotals, _ progress: IncidentProgress, now: Timestamp
    ) -> [String] {
        var lines = ["Cause: \(row.reason.markdown) (\(row.causeWord))", "Opened: \(row.opened)"]
        if let closed = row.closedTime {
            lines.append(
                "Closed: \(closed), after \(duration(from: row.opened, to: closed)): \(row.outcome.markdown)")
        } else {
            lines.append(
                "Open since \(duration(from: row.opened, to: now)): \(progress.phase.rawValue), \(Int(progress.part * 100)) % of the versions settled"
            )
        }
        let all = totals.all
        lines.append(
            all.versions == 0
                ? "Versions: none is affected"
                : "Versions: \(all.versions), \(counted(all.bytes, "byte")), of \(counted(totals.owners.count, "owner")): \(all.words)"
        )
        let gone = all.states.reduce(0) { $0 + ($1.key.isGone ? $1.value : 0) }
        lines.append(gone == 0 ? "Lost: nothing" : "Lost: \(counted(gone, "version"))")
        return lines
    }

    private static func duration(from start: Timestamp, to end: Timestamp) -> String {
        IncidentText.duration(
            Double(end.microseconds - min(start.microseconds, end.microseconds)) / 1_000_000)
    }

    private static let columns: [EventAffectedVersion.State] = [
        .detected, .repairing, .repaired, .restored, .olderAvailable, .lost, .removed,
    ]

    private func owners(_ totals: IncidentTotals, _ line: (String) throws -> Void) throws {
        guard !totals.owners.isEmpty else {
            try line("No version of anybody is affected.")
            return try line("")
        }
        let states = Self.columns.filter { totals.all.states[$0, default: 0] > 0 }
        try line("| owner | versions | bytes | " + states.map(\.word).joined(separator: " | ") + " |")
        try line("| --- " + String(repeating: "| ---: ", count: states.count + 2) + "|")
        for (owner, group) in totals.owners.sorted(by: { ($0.key.name, $0.key.id) < ($1.key.name, $1.key.id) }
        ) {
            let cells = states.map { "\(group.states[$0, default: 0])" }.joined(separator: " | ")
            try line("| \(owner.name.markdown) | \(group.versions) | \(group.bytes) | \(cells) |")
        }
        try line("")
    }

    /// The versions that are gone, by owner; of many, the first.
    private func named(
        _ row: IncidentRow, _ report: IncidentReport, _ line: (String) throws -> Void
    ) throws {
        var counts: [String: Int] = [:]
        var texts: [String: [String]] = [:]
        try report.forEach(row, IncidentScope(states: [.lost, .olderAvailable])) { affected in
            let owner = affected.ownerName
            counts[owner, default: 0] += 1
            guard counts[owner, default: 0] <= Self.namedLimit else { return }
            let detail = affected.version.detail.isEmpty ? "" : " (\(affected.version.detail.markdown))"
            texts[owner, default: []].append(
                "- \("\(affected.version.bucket)/\(affected.version.key)".markdown), version \(affected.wireVersionID), \(counted(affected.version.size, "byte")): \(affected.state.word)\(detail)"
            )
        }
        for owner in texts.keys.sorted() {
            try line("### Lost: \(owner.markdown)")
            try line("")
            for text in texts[owner] ?? [] { try line(text) }
            let more = counts[owner, default: 0] - (texts[owner]?.count ?? 0)
            if more > 0 { try line("- and \(more) more: `holdfast incident report` names them all") }
            try line("")
        }
    }

    private func timeline(
        _ row: IncidentRow, _ body: (PostmortemTimeline.Line) throws -> Void, progress: (Double) -> Void
    ) throws {
        var timeline = PostmortemTimeline(incident: row.id)
        let first = SequenceNumber(max(1, row.since == .zero ? row.id : min(row.since.rawValue, row.id)))
        let last = row.closed ?? store.head.sequence
        var next = first
        while next <= last {
            let events = try store.events(from: next, limit: Self.pageCount)
            guard let end = events.last else { break }
            for event in events where event.sequence <= last {
                for line in timeline.add(event) { try body(line) }
            }
            next = end.sequence.next
            progress(
                Double(end.sequence.rawValue - first.rawValue)
                    / Double(max(1, last.rawValue - first.rawValue)))
        }
        for line in timeline.finish() { try body(line) }
    }

    private struct Document: Encodable {
        struct Event: Encodable {
            let time: String
            let until: String
            let event: UInt64
            let count: Int
            let kind: String
            let what: String
        }
        let summary: IncidentSummary
        let timeline: [Event]
    }

    private func document(
        _ row: IncidentRow, _ report: IncidentReport, _ totals: IncidentTotals, _ progress: IncidentProgress
    ) throws -> Document {
        var events: [Document.Event] = []
        try timeline(row) { line in
            events.append(
                .init(
                    time: line.first.description, until: line.last.description,
                    event: line.sequence.rawValue, count: line.count, kind: line.kind.rawValue,
                    what: line.text))
        } progress: { _ in
        }
        let summary = IncidentSummary(row, totals, progress, try report.acknowledgements(of: row))
        return Document(summary: summary, timeline: events)
    }
}

extension PostmortemTimeline.Line {
    package var markdown: String {
        let until =
            last.microseconds - first.microseconds >= 1_000_000 ? " to \(last.description.dropFirst(11))" : ""
        let times = count == 1 ? "" : " (\(count) times)"
        let text = kind == .stated ? "\(count) \(self.text)" : self.text + times
        return "| \(first)\(until) | \(sequence) | \(kind.rawValue) | \(text.markdown) |"
    }
}

extension String {
    /// The text on one line of Markdown, as it is: what somebody else chose is no markup, and ends no cell of a table.
    package var markdown: String {
        var text = ""
        for scalar in printable.unicodeScalars {
            if "\\`*_{}[]<>()#|~&!".unicodeScalars.contains(scalar), needsEscape(scalar) { text += "\\" }
            text.unicodeScalars.append(scalar)
        }
        return text
    }

    /// Parentheses and underscores within words are common and harmless; they mean something only beside brackets,
    /// which are escaped.
    private func needsEscape(_ scalar: UnicodeScalar) -> Bool {
        scalar != "(" && scalar != ")" && scalar != "!" && scalar != "#"
    }
}
