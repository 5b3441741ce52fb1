import Catalog
import Integrity
import Model

/// A page that can be sent to the owner of the files as it is: one HTML file that needs no other, in plain words, ready
/// to print.
package struct IncidentPage: IncidentDocument {
    /// Files that are whole and were so all along are counted; so many are named.
    static let goodLimit = 1000

    let sections = [
        IncidentSection(
            states: [.lost], title: "Lost",
            explanation:
                "We could not recover these files. They are still listed, and reading one gives an error. If you have a copy, please upload it again."
        ),
        IncidentSection(
            states: [.olderAvailable], title: "Lost, but an older version is there",
            explanation:
                "This state of these files could not be recovered. An earlier version of each is whole, and can be read by its version id."
        ),
        IncidentSection(
            states: [.detected, .repairing, .unspecified], title: "Not repaired yet",
            explanation:
                "One or more of the copies that we keep of each of these files are damaged or missing. We are working on them. Most can be read as usual meanwhile."
        ),
        IncidentSection(
            states: [.restored], title: "Restored from a backup",
            explanation: "These files came back from a backup and were checked to be what you uploaded."),
        IncidentSection(
            states: [.repaired], title: "Repaired",
            explanation:
                "A copy of each of these files was damaged or missing, and was made again from a good copy. Nothing of them was lost, and you need do nothing."
        ),
        IncidentSection(
            states: [.removed], title: "Deleted meanwhile",
            explanation: "These files were deleted before they were repaired."),
    ]

    private static let style: HTML = """
        body{font:16px/1.5 system-ui,sans-serif;color:#1b1f24;background:#fff;max-width:60rem;margin:2rem auto;padding:0 1rem}
        h1{font-size:1.6rem;line-height:1.25;margin:0 0 .5rem}h2{font-size:1.2rem;margin:2rem 0 .25rem}
        p{margin:.5rem 0}.meta{color:#57606a}
        ul.totals{list-style:none;padding:0;margin:1rem 0;display:flex;flex-wrap:wrap;gap:.75rem}
        ul.totals li{border:1px solid #d0d7de;border-radius:.5rem;padding:.5rem .9rem}
        ul.totals b{display:block;font-size:1.4rem}
        li.bad{border-color:#cf222e;color:#a40e26}
        table{border-collapse:collapse;width:100%;margin:.5rem 0;table-layout:fixed}
        th,td{text-align:left;padding:.35rem .5rem;border-bottom:1px solid #d0d7de;vertical-align:top;overflow-wrap:anywhere}
        th.size,td.size{text-align:right;width:7rem;white-space:nowrap}th.what,td.what{width:32%}
        footer{margin-top:3rem;color:#57606a;font-size:.85rem}
        @media print{body{margin:0;max-width:none;font-size:11pt}tr{break-inside:avoid}thead{display:table-header-group}h2{break-after:avoid}}
        """

    func head(_ content: IncidentContent) -> [String] {
        let all = content.totals.all
        let owner = content.totals.owners.keys.map(\.name).sorted().joined(separator: ", ")
        let title = "Your files and incident \(content.incident.id)"
        var lines: [HTML] = [
            "<!DOCTYPE html>", "<html lang=\"en\">", "<head>", "<meta charset=\"utf-8\">",
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">",
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            "<title>\(title)</title>", "<style>\(Self.style)</style>", "</head>", "<body>",
            "<h1>What happened to your files</h1>",
            "<p class=\"meta\">For \(owner). Incident \(content.incident.id), as of \(PageText.moment(content.made)).</p>",
            "<p>\(story(content.incident))</p>",
            "<p>It concerns \(Self.files(all.versions)) of yours, \(PageText.size(all.bytes)) together. \(verdict(content))</p>",
            "<ul class=\"totals\">",
        ]
        for section in sections {
            let count = Self.count(all, section)
            guard count > 0 else { continue }
            let isBad = section.states.contains(where: \.isGone)
            lines.append(
                "<li\(isBad ? " class=\"bad\"" as HTML : "")><b>\(count)</b>\(section.title)</li>")
        }
        lines.append("</ul>")
        return lines.map(\.text)
    }

    private func story(_ incident: IncidentRow) -> String {
        let moment = PageText.moment(incident.opened)
        return switch incident.cause {
        case .volume:
            "On \(moment) one of the disks on which we keep copies of your files failed or was out of reach. We keep every file on several disks."
        case .findings:
            "On \(moment) our checks found several damaged copies of files. We keep every file on several disks, and check them all the time."
        case .operator: "On \(moment) we began to look into a problem: \(incident.reason)."
        case .unspecified, .UNRECOGNIZED: "Our checks found single damaged copies of files."
        }
    }

    private func verdict(_ content: IncidentContent) -> String {
        let all = content.totals.all
        let lost = all.states.reduce(0) { $0 + ($1.key.isGone ? $1.value : 0) }
        let open = all.versions - all.settled
        var sentences: [String] = []
        if lost > 0 { sentences.append("\(Self.files(lost)) could not be recovered.") }
        if open > 0 {
            let left = content.progress.secondsLeft.map {
                ", which should take about \(IncidentText.duration($0)) more"
            }
            sentences.append(
                "\(Self.files(open)) \(open == 1 ? "is" : "are") still being looked after\(left ?? "").")
        }
        if lost == 0, open == 0 { sentences.append("Nothing of them was lost.") }
        return sentences.joined(separator: " ")
    }

    func open(_ section: IncidentSection, count: Int, _ content: IncidentContent) -> [String] {
        guard count > 0 else { return [] }
        let lines: [HTML] = [
            "<h2>\(section.title) (\(count))</h2>",
            "<p>\(section.explanation)</p>",
            "<table><thead><tr><th>File</th><th class=\"size\">Size</th><th class=\"what\">\(Self.column(section))</th></tr></thead><tbody>",
        ]
        return lines.map(\.text)
    }

    func row(_ line: AffectedLine, number: Int, _ section: IncidentSection) -> String? {
        if section.states.contains(.repaired), number >= Self.goodLimit { return nil }
        let version: HTML =
            line.version.nullVersion ? "" : "<br><small>version \(line.wireVersionID)</small>"
        let name = "\(line.version.bucket)/\(line.version.key)"
        let row: HTML =
            "<tr><td><bdi>\(name)</bdi>\(version)</td><td class=\"size\">\(PageText.size(line.version.size))</td><td class=\"what\">\(what(line))</td></tr>"
        return row.text
    }

    private static func column(_ section: IncidentSection) -> String {
        if section.states.contains(.repaired) || section.states.contains(.restored) {
            return "Made again from"
        }
        if section.states.contains(.olderAvailable) { return "What is there" }
        return "What we know"
    }

    private func what(_ line: AffectedLine) -> String {
        let detail = line.version.detail
        return switch line.state {
        case .lost: "no copy is whole"
        case .olderAvailable, .restored, .removed: detail
        case .detected: detail.isEmpty ? "damaged" : "a copy on \(detail) is damaged or missing"
        case .repairing: "a copy is being made again \(detail)"
        case .repaired: detail.hasPrefix("nothing") ? "it was found good when it was read again" : detail
        case .unspecified, .UNRECOGNIZED: ""
        }
    }

    func close(_ section: IncidentSection, count: Int) -> [String] {
        guard count > 0 else { return [] }
        var lines: [HTML] = ["</tbody></table>"]
        if section.states.contains(.repaired), count > Self.goodLimit {
            lines.append("<p>and \(Self.files(count - Self.goodLimit)) more.</p>")
        }
        return lines.map(\.text)
    }

    func foot() -> [String] {
        [
            "<footer>Made by Holdfast from the store's log. Every file is checked against the digest that was taken when you uploaded it.</footer>",
            "</body>", "</html>",
        ]
    }

    static func count(_ group: IncidentTotals.Group, _ section: IncidentSection) -> Int {
        section.states.reduce(0) { $0 + (group.states[$1] ?? 0) }
    }

    private static func files(_ count: Int) -> String { counted(count, "file") }
}
