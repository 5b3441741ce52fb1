import Foundation
import GRDB
import Model
import SwiftProtobuf

/// How far the scrub of a volume has come, as the last event of its kind says.
public struct ScrubRow: Sendable {
    public let record: EventScrubAdvanced
    /// When the last pass that ended had begun: everything older was read since.
    public let completed: Timestamp?
}

/// What scrubs and the state of health are computed from.
extension CatalogReader {
    public func scrubs() throws -> [Int: ScrubRow] {
        let found = try rows("SELECT volume, record, completed FROM scrubs", []).map { row in
            (
                row[0] as Int,
                ScrubRow(
                    record: try EventScrubAdvanced(serializedBytes: row[1] as Data),
                    completed: (row[2] as Int64?).map { Timestamp(microseconds: UInt64($0)) })
            )
        }
        return Dictionary(uniqueKeysWithValues: found)
    }

    /// Findings and repairs in the order in which they were recorded.
    public func findings(
        after sequence: SequenceNumber, limit: Int
    ) throws -> [(sequence: SequenceNumber, isRepaired: Bool, finding: EventFinding)] {
        try rows(
            "SELECT sequence, repaired, record FROM findings WHERE sequence > ? ORDER BY sequence LIMIT ?",
            [Int64(sequence.rawValue), limit]
        ).map { ($0.sequence(0), $0[1] == 1, try EventFinding(serializedBytes: $0[2] as Data)) }
    }

    /// The blobs that events from `first` on brought, and their bytes. Looks at every blob.
    public func blobTotals(bornFrom first: SequenceNumber) throws -> (count: Int, bytes: UInt64) {
        let row = try row(
            "SELECT count(*), coalesce(sum(length), 0) FROM blobs WHERE born >= ? AND reclaiming = 0",
            [Int64(first.rawValue)])
        return (row?[0] ?? 0, UInt64(row?[1] as Int64? ?? 0))
    }
}
