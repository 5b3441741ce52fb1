import Catalog
import EventLog
import Foundation
import Model
import ObjectStore

/// Computes the catalog from the log a second time and compares it with the one in use, row for row, as of the
/// same event.
struct CatalogCheck {
    let inspection: StoreInspection
    let repairs: Bool
    /// Where the second catalog is put while the check runs.
    let directory: String

    /// - Returns: what differs, mended if that was asked for; and the blobs that the log has and the catalog had
    ///   not, whose files are no orphans.
    func run() async throws -> (findings: [Finding], forgotten: Set<BlobID>) {
        let path = "\(directory)/check-\(OperationID.random()).sqlite"
        defer {
            for suffix in ["", "-wal", "-shm"] {
                // What stays in the state directory is a computed copy; nothing reads it.
                try? FileManager.default.removeItem(atPath: path + suffix)
            }
        }
        let second = try Catalog(path: path, storeID: inspection.log.storeID, readers: 1)
        var differences: [RowDifference] = []
        for error in try inspection.catalog.integrityErrors() {
            return (
                [finding("SQLite finds the catalog damaged: \(error)", repair: "holdfast rebuild-catalog")],
                []
            )
        }
        // The reader's view stays as of one event, however long the computation takes.
        try inspection.catalog.read { reader in
            try inspection.replay(to: second, through: try reader.position().sequence)
            try second.read { expected in
                try CatalogComparison.run(reader, against: expected) { differences.append($0) }
            }
        }
        guard !differences.isEmpty else { return ([], []) }
        let forgotten = Set(
            differences.filter { $0.table == "blobs" && $0.found == nil }.compactMap { BlobID($0.key) })
        var findings = differences.map { difference in
            finding(
                "table \(difference.table), row \(difference.key): has \(difference.found ?? "no row"), where the log says \(difference.expected ?? "no row")",
                repair: "compute the row from the log")
        }
        guard repairs else { return (findings, forgotten) }
        do {
            try await inspection.mendCatalog(differences, from: second)
            for index in findings.indices {
                findings[index].isRepaired = true
                try await inspection.recordRepair(findings[index], source: "log")
            }
        } catch {
            for index in findings.indices where !findings[index].isRepaired {
                findings[index].repair += "; that failed: \(error)"
            }
        }
        return (findings, forgotten)
    }

    private func finding(_ evidence: String, repair: String) -> Finding {
        Finding(.catalogDiffers, volume: 0, path: "state/catalog.sqlite", evidence: evidence, repair: repair)
    }
}
