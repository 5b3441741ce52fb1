import Foundation
import Integrity
import Model
import ObjectStore

/// `holdfast repair list|undo`.
extension CommandRunner {
    private struct RepairLine: Encodable {
        let repair: UInt64
        let time: String
        let code: String
        let faultClass: String
        let volume: UInt32
        let path: String
        let bucket: String
        let key: String
        let versionId: String
        let evidence: String
        let source: String
        let quarantined: String
        let undone: Bool
        let undoneBy: UInt64?

        enum CodingKeys: String, CodingKey {
            case repair, time, code, volume, path, bucket, key, versionId, evidence, source, quarantined,
                undone
            case undoneBy
            case faultClass = "class"
        }

        init(_ record: RepairRecord) {
            repair = record.sequence.rawValue
            time = record.time.description
            code = record.finding.code
            faultClass = record.finding.faultClass
            volume = record.finding.volume
            path = record.finding.path
            bucket = record.finding.bucket
            key = record.finding.key
            versionId = record.finding.versionID
            evidence = record.finding.evidence
            source = record.source
            quarantined = record.quarantined
            undone = record.undone != nil
            undoneBy = record.undone?.rawValue
        }

        var text: String {
            var lines = ["\(repair)  \(time)  \(code)  \(faultClass)  volume \(volume)  \(path)"]
            if !key.isEmpty { lines.append("    object: \(bucket)/\(key) version \(versionId)") }
            lines.append("    \(evidence)")
            let from = source.isEmpty ? "set aside" : "mended from \(source)"
            lines.append("    \(from)" + (quarantined.isEmpty ? "" : "; what was there is in \(quarantined)"))
            if let undoneBy { lines.append("    undone by event \(undoneBy)") }
            return lines.map(\.printable).joined(separator: "\n")
        }
    }

    func listRepairs(json: Bool, _ output: any CommandOutput) throws {
        try Repairs(store).list { record in
            let line = RepairLine(record)
            try output.line(json ? try CommandJSON.line(line) : line.text)
        }
    }

    private struct UndoLine: Encodable {
        let repair: UInt64
        let volume: UInt32
        let path: String
        let quarantined: String
    }

    func undoRepair(_ id: UInt64, json: Bool, _ output: any CommandOutput) async throws {
        let (repair, quarantined) = try await Repairs(store).undo(SequenceNumber(id))
        let line = UndoLine(
            repair: id, volume: repair.finding.volume, path: repair.finding.path, quarantined: quarantined)
        guard !json else { return try output.line(try CommandJSON.line(line)) }
        let back = repair.quarantined.isEmpty ? "nothing was there before" : "\(repair.quarantined) is back"
        let made = quarantined.isEmpty ? "" : "; what the repair had made is in \(quarantined)"
        try output.line("repair \(id) undone: volume \(line.volume), \(line.path): \(back)\(made)".printable)
    }
}
