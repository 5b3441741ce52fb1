import ArgumentParser
import EventLog
import Foundation
import Integrity
import Model
import ObjectStore

struct FsckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fsck",
        abstract: "Check every replica against the log, and mend what is damaged.",
        discussion: """
            Looks for missing, damaged, misplaced and unexplained files. Without --repair nothing of a replica is changed.
            Exit status: 0 clean, 1 all corrected, 4 damage left, 8 could not run, 16 usage.

            Example:
              holdfast fsck /srv/holdfast --deep --repair
            """)

    @OptionGroup var location: StoreLocation
    @Flag(help: "Read every byte, not only presence and trailers.") var deep = false
    @Flag(help: "Mend replicas from their siblings; set unexplained files aside.") var repair = false
    @Flag(help: "Print one JSON object for each finding, and a summary last.") var json = false

    struct Line: Encodable {
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

        init(_ finding: Finding) {
            code = finding.code.rawValue
            faultClass = finding.code.faultClass
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

    struct SummaryLine: Encodable {
        let summary = true
        let sequence: UInt64
        let blobs: Int
        let replicas: Int
        let bytes: UInt64
        let findings: Int
        let repaired: Int
        let exitStatus: Int32
    }

    func run() async throws {
        try await reporting(status: 8) {
            let store = try await ObjectStore.open(try location.settings())
            defer { store.close() }
            if !json { for note in store.opening.log.notes { print("opening: \(note)") } }
            let check = ReplicaCheck(store, .init(isDeep: deep, repairs: repair))
            let isTerminal = isatty(STDERR_FILENO) == 1
            let summary = try await check.run { finding in
                print(json ? try jsonLine(Line(finding)) : Self.text(finding))
            } progress: { part in
                if isTerminal {
                    let line = "\r\(Int(part * 100)) %\(part == 1 ? "\r" : "")"
                    FileHandle.standardError.write(Data(line.utf8))
                }
            }
            print(json ? try jsonLine(Self.line(summary)) : Self.text(summary))
            if summary.exitStatus != 0 { throw ExitCode(summary.exitStatus) }
        }
    }

    static func text(_ finding: Finding) -> String {
        var lines = ["\(finding.code.rawValue)  volume \(finding.volume)  \(finding.path)"]
        if !finding.key.isEmpty {
            lines.append("    object: \(finding.bucket)/\(finding.key) version \(finding.versionID)")
        }
        lines.append("    \(finding.evidence)")
        lines.append("    \(finding.isRepaired ? "repaired" : "to repair: \(finding.repair)")")
        return lines.joined(separator: "\n")
    }

    static func text(_ summary: CheckSummary) -> String {
        let outcome =
            switch summary.exitStatus {
            case 0: "clean"
            case 1: "all \(summary.findings) findings corrected"
            default: "\(summary.findings - summary.repaired) of \(summary.findings) findings left"
            }
        return
            "at event \(summary.sequence): \(summary.blobs) blobs, \(summary.replicas) replicas: \(outcome)"
    }

    static func line(_ summary: CheckSummary) -> SummaryLine {
        SummaryLine(
            sequence: summary.sequence.rawValue, blobs: summary.blobs, replicas: summary.replicas,
            bytes: summary.bytes, findings: summary.findings, repaired: summary.repaired,
            exitStatus: summary.exitStatus)
    }
}
