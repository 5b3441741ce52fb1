import Snapshots
import Volumes

/// What became of what a repository gives back, in words.
extension SnapshotReports {
    /// Why nothing was given back, where it is not known what a snapshot needs; `nil` if it is.
    static func unknownText(of report: SnapshotPruning.Report) -> String? {
        guard !report.unknown.isEmpty else { return nil }
        // Why a name is no snapshot's is the reason that stands beside it.
        let strange = report.unknown.map(\.name).filter { (try? SnapshotManifest.check(name: $0)) == nil }
        var parts = report.unknown.map { name, reason in
            strange.contains(name) ? "file snapshots/\(name).json: \(reason)" : "snapshot \(name): \(reason)"
        }
        if strange.count < parts.count {
            parts.append("mend it with 'holdfast snapshot verify --mend', or delete it by its name")
        }
        if !strange.isEmpty {
            parts.append("a file whose name is no snapshot's has to be moved elsewhere by hand")
        }
        return "nothing is given back, since it is not known what is needed: \(parts.joined(separator: "; "))"
            .printable
    }

    /// What became of uploads that nobody would finish; `nil` if there is nothing to say.
    static func text(of uploads: UnfinishedUploads) -> String? {
        var parts: [String] = []
        if uploads.removed > 0 { parts.append("\(counted(uploads.removed, "unfinished upload")) given up") }
        if let refusal = uploads.refusal {
            parts.append("unfinished uploads stay, since the endpoint refuses: \(refusal)".printable)
        }
        return parts.isEmpty ? nil : parts.joined(separator: ", ")
    }

    /// What became of payloads in the log; `nil` if there is nothing to say.
    static func payloadText(of report: SnapshotPruning.Report) -> String? {
        var parts: [String] = []
        if report.strays > 0 {
            parts.append("\(counted(report.strays, "object")) removed that an earlier prune had left")
        }
        if report.payloads > 0 {
            parts.append(
                "\(counted(report.payloads, "payload")) in the log dropped, \(report.payloadBytes) bytes")
        }
        if report.lockedSegments > 0 {
            parts.append("\(counted(report.lockedSegments, "segment")) of it stay because they are locked")
        }
        if report.damagedSegments > 0 {
            parts.append("\(counted(report.damagedSegments, "segment")) of it wait to be mended")
        }
        if let (snapshot, reason) = report.unproven {
            parts.append("nothing was dropped from the log: snapshot \(snapshot): \(reason)".printable)
        }
        return parts.isEmpty ? nil : parts.joined(separator: ", ")
    }
}
