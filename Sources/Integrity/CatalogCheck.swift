import Catalog
import EventLog
import Foundation
import Model
import ObjectStore

/// Computes the catalog from the log a second time and compares it with the one in use, row for row, as of the
/// same event.
///
/// A second catalog that was as the one in use is kept, and the next quick check applies to it only what happened
/// since: it is of the very log whose chain hash it has. Nothing is called different on its word alone: then the
/// catalog is computed from the first event, as a deep check always does.
struct CatalogCheck {
    let inspection: StoreInspection
    let repairs: Bool
    /// Whether to compute from the first event, whatever was computed before.
    let isDeep: Bool

    /// What the catalog in use has otherwise than the log says.
    enum Comparison: Sendable {
        case same
        /// Rows that differ, and the second catalog.
        case different([RowDifference], Catalog)
        /// What SQLite itself finds wrong with the file: nothing was compared.
        case damaged(String)

        var isSame: Bool { if case .same = self { true } else { false } }
    }

    /// Takes as long as the log is, or what was added to it since the last check: for a thread of its own.
    func compare() throws -> Comparison {
        if let error = try inspection.catalog.integrityErrors().first {
            return .damaged(error)
        }
        let kept = KeptCatalog(inspection)
        if !isDeep, let earlier = try kept.take() {
            do {
                if try compare(with: earlier).isSame {
                    try kept.keep(earlier)
                    return .same
                }
            } catch {
                // If it is not the copy's fault, the whole computation below meets it too, and tells.
            }
            kept.remove(earlier)
        }
        let path = kept.newPath()
        let comparison: Comparison
        do { comparison = try compare(with: path) } catch {
            kept.remove(path)
            throw error
        }
        if comparison.isSame {
            try kept.keep(path)
        } else {
            // The second catalog has no name from here on, and goes with its last connection.
            kept.remove(path)
        }
        return comparison
    }

    private func compare(with path: String) throws -> Comparison {
        let second = try Catalog(path: path, storeID: inspection.log.storeID, readers: 1)
        var differences: [RowDifference] = []
        // The reader's view stays as of one event, however long the computation takes.
        try inspection.catalog.read { reader in
            try inspection.replay(to: second, through: try reader.position().sequence)
            try second.read { expected in
                try CatalogComparison.run(reader, against: expected) { differences.append($0) }
            }
        }
        return differences.isEmpty ? .same : .different(differences, second)
    }

    /// - Returns: what differs, mended if that was asked for; and the blobs that the log has and the catalog had
    ///   not, whose files are no orphans.
    func findings(_ comparison: Comparison) async throws -> (findings: [Finding], forgotten: Set<BlobID>) {
        switch comparison {
        case .same: return ([], [])
        case .damaged(let reason):
            let evidence = "SQLite finds the catalog damaged: \(reason)"
            return ([finding(.damagedCatalog, evidence, repair: "holdfast rebuild-catalog")], [])
        case .different(let differences, let second): return try await findings(differences, second)
        }
    }

    private func findings(
        _ differences: [RowDifference], _ second: Catalog
    ) async throws -> (findings: [Finding], forgotten: Set<BlobID>) {
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

    private func finding(_ code: FindingCode, _ evidence: String, repair: String) -> Finding {
        Finding(code, volume: 0, path: "state/catalog.sqlite", evidence: evidence, repair: repair)
    }
}
