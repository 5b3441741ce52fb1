import Catalog
import Foundation
import Importing
import ObjectStore

/// `holdfast import`.
extension CommandRunner {
    /// - Returns: 0 if everything that the source has is here, else 4.
    func importObjects(
        _ order: ImportOrder, json: Bool, _ output: any CommandOutput
    ) async throws -> Int32 {
        let users = Dictionary(
            keys.users.map {
                ($0.name, ObjectOwner(id: $0.canonicalID, displayName: $0.displayName))
            }, uniquingKeysWith: { first, _ in first })
        let root = ObjectOwner(
            id: AccessKey.canonicalID(of: AccessKey.rootUser), displayName: AccessKey.rootUser)
        let workers = WorkerPool(threads: order.parallel)
        defer { workers.stop() }
        let run = Import(
            store, order, settings: s3,
            users: ImportUsers(
                named: { $0 == AccessKey.rootUser ? root : users[$0] },
                displayName: { [keys] in keys.displayName(userID: $0) }, root: root),
            executor: workers)
        let summary = try await run.run {
            try output.line($0, json: json, ImportText.line(of: $0, isDryRun: order.isDryRun))
        } progress: {
            output.progress($0)
        }
        try output.line(summary, json: json, ImportText.account(of: summary, isDryRun: order.isDryRun))
        return summary.isComplete ? 0 : 4
    }
}

/// What an import prints for a person.
enum ImportText {
    static func line(of outcome: ImportOutcome, isDryRun: Bool) -> String {
        let word =
            switch outcome.action {
            case .imported: isDryRun ? "would be imported" : "imported"
            case .updated: isDryRun ? "would be imported anew" : "imported anew"
            case .present: "is there already"
            case .skipped: "passed over"
            case .conflict: "NOT OVERWRITTEN"
            case .mismatch: "MISMATCH, NOT IMPORTED"
            case .failed: "FAILED"
            }
        let detail = outcome.detail.map { " (\($0))" } ?? ""
        return "\(outcome.name)  \(outcome.size) bytes  \(word)\(detail)".printable
    }

    static func account(of summary: ImportSummary, isDryRun: Bool) -> String {
        func line(_ name: String, _ count: ImportSummary.Count) -> String {
            let tags =
                count.mayLackTags > 0 ? ", \(count.mayLackTags) of them without tags if they had any" : ""
            return
                "\(name): \(count.imported) \(isDryRun ? "to import" : "imported") of \(count.importedBytes) bytes\(isDryRun ? "" : ", \(count.verified) of them compared with digests of the source")\(tags); \(count.present) there already, \(count.skipped) passed over, \(count.conflicts) not overwritten, \(count.mismatches) mismatched, \(count.failed) failed"
        }
        let owners = summary.owners.sorted { $0.key < $1.key }.map {
            line("owner \($0.key)".printable, $0.value)
        }
        return (owners + [line("total", summary.total)]).joined(separator: "\n")
    }
}

/// A file of digests, read and sorted for an import: a scratch file that goes with this object.
public final class SumsFile: Sendable {
    private let scratch: ScratchTable
    public var path: String { scratch.path }

    /// - Parameters:
    ///   - source: a file's path, or `-` for the standard input.
    ///   - state: the store's state directory.
    /// - Throws: ``ImportRefusal/badSums(line:reason:)``, ``StoreError`` if `source` cannot be read.
    public init(_ source: String, in state: String) throws {
        let input = try ScratchTable.open(source)
        var reader = SumsReader { Array(try input.read(upToCount: $0) ?? Data()) }
        scratch = try ScratchTable(in: state) {
            try reader.next().map {
                ReferenceRow(bucket: "", key: $0.name, line: $0.line, hash: $0.digest)
            }
        }
    }
}
