import Catalog
import Foundation
import Integrity
import Model
import ObjectStore

/// `holdfast incident list|show|report|open|acknowledge`.
extension CommandRunner {
    func incident(_ action: IncidentAction, json: Bool, _ output: any CommandOutput) async throws {
        let report = IncidentReport(store)
        switch action {
        case .list:
            for row in try report.incidents() {
                let line = IncidentLine(row)
                try output.line(json ? try CommandJSON.line(line) : line.text)
            }
        case .show(let id, let owner, let prefixDepth):
            try show(report, id, owner, prefixDepth, json: json, output)
        case .report(let order):
            let files = try IncidentFiles(report, try report.incident(order.id), order.format)
            let owner = canonical(order.owner)
            guard let directory = order.directory else {
                return try files.print(owner: owner, prefixDepth: order.prefixDepth, output)
            }
            for path in try files.write(owner: owner, prefixDepth: order.prefixDepth, to: directory) {
                try output.line(json ? try CommandJSON.line(["file": path]) : path)
            }
        case .open(let reason): try await open(reason, report, json: json, output)
        case .acknowledge(let id, let what):
            try await acknowledge(id, what, report, json: json, output)
        }
    }

    /// A user may be named by name: reports know canonical ids.
    private func canonical(_ owner: String?) -> String? {
        owner.map { keys.canonicalID(named: $0) ?? $0 }
    }

    private func show(
        _ report: IncidentReport, _ id: UInt64, _ owner: String?, _ prefixDepth: Int, json: Bool,
        _ output: any CommandOutput
    ) throws {
        let row = try report.incident(id)
        let owner = canonical(owner)
        let totals = try report.totals(
            row, IncidentScope(owners: owner.map { [$0] }), prefixDepth: prefixDepth)
        let progress = report.progress(of: row, totals)
        let acknowledgements = try report.acknowledgements(of: row)
        guard !json else {
            return try output.line(
                try CommandJSON.line(IncidentSummary(row, totals, progress, acknowledgements)))
        }
        for line in IncidentText.summary(row, totals, progress, acknowledgements) { try output.line(line) }
    }

    private func open(
        _ reason: String, _ report: IncidentReport, json: Bool, _ output: any CommandOutput
    ) async throws {
        guard !reason.isEmpty, reason.utf8.count <= IncidentAcknowledgement.noteByteCount else {
            throw StoreError.invalidState(
                "the reason must have 1 to \(IncidentAcknowledgement.noteByteCount) bytes")
        }
        var change = EventIncidentOpened()
        change.cause = .operator
        change.reason = reason
        let commit = try await store.inspection.record(.incidentOpened(change))
        let line = IncidentLine(try report.incident(commit.sequence.rawValue))
        try output.line(json ? try CommandJSON.line(line) : line.text)
    }

    private struct AcknowledgedLine: Encodable {
        let incident: UInt64
        let acknowledged: Int
    }

    private func acknowledge(
        _ id: UInt64, _ what: IncidentAcknowledgement, _ report: IncidentReport, json: Bool,
        _ output: any CommandOutput
    ) async throws {
        let row = try report.incident(id)
        guard what.note.utf8.count <= IncidentAcknowledgement.noteByteCount else {
            throw StoreError.invalidState(
                "the note must have \(IncidentAcknowledgement.noteByteCount) bytes at most")
        }
        var change = EventIncidentAcknowledged()
        change.incident = row.id
        change.note = what.note
        change.owner = canonical(what.owner) ?? ""
        change.bucket = what.bucket ?? ""
        change.key = what.key ?? ""
        // An owner, bucket or key that is mistyped is told, not acknowledged.
        var count = 0
        try report.forEach(row, IncidentScope(owners: what.owner.map { [canonical($0) ?? $0] })) { line in
            guard change.bucket.isEmpty || change.bucket == line.version.bucket,
                change.key.isEmpty || change.key.utf8.elementsEqual(line.version.key.utf8)
            else { return }
            count += 1
            if !change.owner.isEmpty { change.owner = line.version.owner }
        }
        if count == 0, what.owner != nil || what.bucket != nil {
            throw IncidentRefusal.nothingAffected(
                [what.owner, what.bucket, what.key].compactMap { $0 }.joined(separator: "/"))
        }
        _ = try await store.inspection.record(.incidentAcknowledged(change))
        let line = AcknowledgedLine(incident: id, acknowledged: count)
        try output.line(
            json
                ? try CommandJSON.line(line)
                : "incident \(id): \(counted(count, "version")) acknowledged")
    }
}

extension IncidentAcknowledgement {
    static let noteByteCount = 4096
}
