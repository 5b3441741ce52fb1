import Integrity
import Model

/// A finding as `fsck --json` prints it.
package struct FindingLine: Encodable {
    let code: String
    let faultClass: String
    let volume: Int
    let path: String
    let bucket: String
    let key: String
    let versionId: String
    let evidence: String
    let repair: String
    let repaired: Bool

    enum CodingKeys: String, CodingKey {
        case code, volume, path, bucket, key, versionId, evidence, repair, repaired
        case faultClass = "class"
    }

    package init(_ finding: Finding) {
        code = finding.code.number
        faultClass = finding.code.rawValue
        volume = finding.volume
        path = finding.path
        bucket = finding.bucket
        key = finding.key
        versionId = finding.versionID
        evidence = finding.evidence
        repair = finding.repair
        repaired = finding.isRepaired
    }
}

/// The last object of `fsck --json`.
package struct SummaryLine: Encodable {
    let summary = true
    let sequence: UInt64
    let blobs: Int
    let replicas: Int
    let bytes: UInt64
    let findings: Int
    let repaired: Int
    let exitStatus: Int32

    package init(_ summary: CheckSummary) {
        sequence = summary.sequence.rawValue
        blobs = summary.blobs
        replicas = summary.replicas
        bytes = summary.bytes
        findings = summary.findings
        repaired = summary.repaired
        exitStatus = summary.exitStatus
    }
}

/// The last object of `fsck --refs --json`.
struct ReferenceLine: Encodable {
    let summary = true
    let sequence: UInt64
    let rows: Int
    let objects: Int
    let findings: Int
    let exitStatus: Int32

    init(_ summary: ReferenceSummary) {
        sequence = summary.sequence.rawValue
        rows = summary.rows
        objects = summary.objects
        findings = summary.findings
        exitStatus = summary.exitStatus
    }
}

extension ReferenceSummary {
    var text: String {
        let outcome = findings == 0 ? "no difference" : counted(findings, "difference")
        return
            "compared \(counted(rows, "row")) with \(counted(objects, "object")) as of event \(sequence): \(outcome)"
    }
}

extension Finding {
    package var text: String {
        var lines = ["\(code.number)  \(code.rawValue)  volume \(volume)  \(path)"]
        // A part of an upload under way has no version yet.
        let version = versionID.isEmpty ? "" : " version \(versionID)"
        if !key.isEmpty { lines.append("    object: \(bucket)/\(key)\(version)") }
        lines.append("    \(evidence)")
        lines.append("    \(isRepaired ? "repaired" : "to repair: \(repair)")")
        return lines.map(\.printable).joined(separator: "\n")
    }
}

extension CheckSummary {
    package var text: String {
        let outcome =
            switch exitStatus {
            case 0: "clean"
            case 1: "\(counted(findings, "finding")), all corrected"
            default: "\(counted(findings, "finding")), \(findings - repaired) left"
            }
        return
            "checked through event \(sequence), \(counted(blobs, "blob")) in \(counted(replicas, "replica")): \(outcome)"
    }
}

/// "1 finding", "2 findings".
func counted(_ count: some BinaryInteger, _ noun: String) -> String {
    "\(count) \(noun)\(count == 1 ? "" : "s")"
}
