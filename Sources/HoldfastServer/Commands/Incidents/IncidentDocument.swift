import Catalog
import Integrity
import Model

/// A report of an incident in one format: made of pieces, so that a million versions are written without being in
/// memory. Each section takes one pass over the incident's versions.
protocol IncidentDocument: Sendable {
    /// Which versions come in which order.
    var sections: [IncidentSection] { get }
    func head(_ content: IncidentContent) throws -> [String]
    /// - Parameter count: versions of the section.
    func open(_ section: IncidentSection, count: Int, _ content: IncidentContent) -> [String]
    /// - Parameter number: of the version in its section, from 0.
    func row(_ line: AffectedLine, number: Int, _ section: IncidentSection) throws -> String?
    func close(_ section: IncidentSection, count: Int) -> [String]
    func foot() -> [String]
}

struct IncidentSection: Sendable {
    let states: Set<EventAffectedVersion.State>
    var title = ""
    var explanation = ""

    static let all = IncidentSection(states: Set(EventAffectedVersion.State.allCases))
}

/// What a document is about.
struct IncidentContent: Sendable {
    let incident: IncidentRow
    let totals: IncidentTotals
    let progress: IncidentProgress
    let acknowledgements: [AcknowledgementRow]
    let made: Timestamp
}

extension IncidentFormat {
    var document: any IncidentDocument {
        switch self {
        case .text: IncidentTextDocument()
        case .csv: IncidentCSVDocument()
        case .json: IncidentJSONDocument()
        case .html: IncidentPage()
        }
    }
}

extension IncidentDocument {
    var sections: [IncidentSection] { [.all] }
    func open(_ section: IncidentSection, count: Int, _ content: IncidentContent) -> [String] { [] }
    func close(_ section: IncidentSection, count: Int) -> [String] { [] }
    func foot() -> [String] { [] }
}

struct IncidentTextDocument: IncidentDocument {
    func head(_ content: IncidentContent) -> [String] {
        IncidentText.summary(
            content.incident, content.totals, content.progress, content.acknowledgements) + ["versions"]
    }

    func row(_ line: AffectedLine, number: Int, _ section: IncidentSection) -> String? {
        "  " + AffectedVersionLine(line).text
    }
}

struct IncidentJSONDocument: IncidentDocument {
    func head(_ content: IncidentContent) throws -> [String] {
        [
            try CommandJSON.line(
                IncidentSummary(
                    content.incident, content.totals, content.progress, content.acknowledgements))
        ]
    }

    func row(_ line: AffectedLine, number: Int, _ section: IncidentSection) throws -> String? {
        try CommandJSON.line(AffectedVersionLine(line))
    }
}

struct IncidentCSVDocument: IncidentDocument {
    func head(_ content: IncidentContent) -> [String] {
        [
            CSVText.row([
                "bucket", "key", "version_id", "owner", "owner_name", "size", "state", "detail", "code",
                "changed", "acknowledged",
            ])
        ]
    }

    func row(_ line: AffectedLine, number: Int, _ section: IncidentSection) -> String? {
        let line = AffectedVersionLine(line)
        return CSVText.row([
            line.bucket, line.key, line.versionId, line.owner, line.ownerName, String(line.size), line.state,
            line.detail, line.code, line.changed ?? "", line.acknowledged ? "yes" : "no",
        ])
    }
}
