import Foundation
import GRDB
import Model
import SwiftProtobuf

/// Bytes that stand in the log.
extension CatalogReader {
    /// Calls `body` with every version, in no order.
    /// - Parameter isKnown: asked first, with the event that published it: a version that is known is not even decoded.
    public func forEachVersion(
        unless isKnown: (SequenceNumber) throws -> Bool, _ body: (ObjectVersion) throws -> Void
    ) throws {
        for table in ["current", "archive"] {
            let statement = try database.cachedStatement(sql: "SELECT \(Self.columns) FROM \(table)")
            let cursor = try Row.fetchCursor(statement)
            while let row = try cursor.next() {
                if try isKnown(row.sequence(0)) { continue }
                try body(try Self.version(row))
            }
        }
    }

    /// Calls `body` with the piece of every part, also of uploads that were aborted and whose parts still have their bytes.
    public func forEachPart(_ body: (EventPiece) throws -> Void) throws {
        let statement = try database.cachedStatement(sql: "SELECT piece FROM parts")
        let cursor = try Row.fetchCursor(statement)
        while let row = try cursor.next() {
            try body(try EventPiece(serializedBytes: row[0] as Data))
        }
    }

    /// Payloads that nothing refers to and that no plan to reclaim names, in the order of their events.
    public func deadPayloads(after: SequenceNumber, limit: Int) throws -> [SequenceNumber] {
        try rows(
            "SELECT sequence FROM payloads WHERE sequence > ? AND reclaiming = 0 ORDER BY sequence LIMIT ?",
            [Int64(after.rawValue), limit]
        ).map { $0.sequence(0) }
    }
}
