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

    /// The second catalog, and what the one in use has otherwise.
    struct Comparison: Sendable {
        let second: Catalog
        let differences: [RowDifference]
        /// What SQLite itself finds wrong with the file, in which case nothing was compared.
        let damage: String?
    }

    /// Takes as long as the log is: for a thread of its own.
    func compare() throws -> Comparison {
        let path = "\(directory)/check-\(OperationID.random()).sqlite"
        defer {
            // The second catalog has no name from here on, and goes with its last connection.
            for suffix in ["", "-wal", "-shm"] {
                // What stays in the state directory is a computed copy; nothing reads it.
                try? FileManager.default.removeItem(atPath: path + suffix)
            }
        }
        let second = try Catalog(path: path, storeID: inspection.log.storeID, readers: 1)
        if let error = try inspection.catalog.integrityErrors().first {
            return Comparison(second: second, differences: [], damage: error)
        }
        var differences: [RowDifference] = []
        // The reader's view stays as of one event, however long the computation takes.
        try inspection.catalog.read { reader in
            try inspection.replay(to: second, through: try reader.position().sequence)
            try second.read { expected in
                try CatalogComparison.run(reader, against: expected) { differences.append($0) }
            }
        }
        return Comparison(second: second, differences: differences, damage: nil)
    }

    /// - Returns: what differs, mended if that was asked for; and the blobs that the log has and the catalog had
    ///   not, whose files are no orphans.
    func findings(_ comparison: Comparison) async throws -> (findings: [Finding], forgotten: Set<BlobID>) {
        if let damage = comparison.damage {
            return (
                [
                    finding(
                        .damagedCatalog, "SQLite finds the catalog damaged: \(damage)",
                        repair: "holdfast rebuild-catalog")
                ], []
            )
        }
        let differences = comparison.differences
        guard !differences.isEmpty else { return ([], []) }
        let forgotten = Set(
            differences.filter { $0.table == "blobs" && $0.found == nil }.compactMap { BlobID($0.key) })
        var findings = differences.map { difference in
            var finding = finding(
                FindingCode(difference),
                "table \(difference.table), row \(difference.key): has \(difference.found ?? "no row"), where the log says \(difference.expected ?? "no row")",
                repair: "compute the row from the log")
            finding.bucket = difference.bucket
            finding.key = difference.objectKey
            return finding
        }
        guard repairs else { return (findings, forgotten) }
        do {
            try await inspection.mendCatalog(differences, from: comparison.second)
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

    private func finding(_ code: FindingCode, _ evidence: String, repair: String) -> Finding {
        Finding(code, volume: 0, path: "state/catalog.sqlite", evidence: evidence, repair: repair)
    }
}
