import Catalog
import Integrity
import Model
import ObjectStore

/// What checks have seen of one version, what was mended of it, and which incidents it belongs to.
struct IntegrityHistory {
    struct Incident: Encodable {
        /// 0 for what makes none.
        let incident: UInt64
        let reason: String
        let open: Bool
        let state: String
        let detail: String
        let acknowledged: Bool

        var text: String {
            let name = incident == 0 ? "no incident" : "incident \(incident)\(open ? "" : ", closed")"
            let why = detail.isEmpty ? "" : " (\(detail))"
            return "  \(name): \(state)\(why)\(acknowledged ? ", acknowledged" : ""); \(reason)"
        }
    }

    struct Finding: Encodable {
        /// The event that recorded it, or the repair of it.
        let sequence: UInt64
        let code: String
        let faultClass: String
        let volume: UInt32
        let path: String
        let evidence: String
        let repaired: Bool
        let undoneBy: UInt64?

        enum CodingKeys: String, CodingKey {
            case sequence, code, volume, path, evidence, repaired, undoneBy
            case faultClass = "class"
        }

        var text: String {
            let undone = undoneBy.map { ", undone by event \($0)" } ?? ""
            return
                "  event \(sequence): \(repaired ? "repaired" : "found") \(code) \(faultClass), volume \(volume): \(evidence)\(undone)"
        }
    }

    private static let pageCount = 1000

    let incidents: [Incident]
    let findings: [Finding]

    init(_ store: ObjectStore, _ version: ObjectVersion) throws {
        incidents = try Self.incidents(store, version)
        findings = try Self.findings(store, version)
    }

    private static func incidents(_ store: ObjectStore, _ version: ObjectVersion) throws -> [Incident] {
        let report = IncidentReport(store)
        var found: [Incident] = []
        for row in try report.incidents() {
            guard let line = try report.line(of: version, in: row) else { continue }
            found.append(
                Incident(
                    incident: row.id, reason: row.reason, open: row.isOpen, state: line.state.word,
                    detail: line.version.detail, acknowledged: line.isAcknowledged))
        }
        return found
    }

    /// Looks at every finding.
    private static func findings(_ store: ObjectStore, _ version: ObjectVersion) throws -> [Finding] {
        var found: [Finding] = []
        var after = SequenceNumber.zero
        while true {
            let page = try store.inspection.catalog.read {
                try $0.findings(after: after, repairedOnly: false, limit: pageCount)
            }
            for row in page where row.finding.concerns(version) {
                found.append(
                    Finding(
                        sequence: row.sequence.rawValue, code: row.finding.code,
                        faultClass: row.finding.faultClass, volume: row.finding.volume,
                        path: row.finding.path, evidence: row.finding.evidence, repaired: row.isRepaired,
                        undoneBy: row.undone?.rawValue))
            }
            guard let last = page.last, page.count == pageCount else { return found }
            after = last.sequence
        }
    }
}

extension EventFinding {
    /// By the bytes, which copies share, or else by the name.
    fileprivate func concerns(_ version: ObjectVersion) -> Bool {
        if !blobID.isEmpty { return version.record.pieces.contains { $0.blobID == blobID } }
        if sequence > 0 {
            return version.sequence.rawValue == sequence
                || version.carriers.contains(SequenceNumber(sequence))
        }
        return !key.isEmpty && key.utf8.elementsEqual(version.key.utf8)
            && bucket == version.record.bucket
            && (versionID.isEmpty || versionID == version.wireVersionID)
    }
}
