import Foundation
import GRDB
import Model
import SwiftProtobuf

/// What versions and uploads need of master keys.
extension CatalogWriter {
    /// The data key of an upload was wrapped afresh.
    func apply(_ change: EventUploadAmended, _ event: LoggedEvent) throws {
        guard let id = UploadID(bytes: change.uploadID),
            let upload = try reader.upload(try BucketName(change.bucket), try ObjectKey(change.key), id)
        else { throw CatalogError.contradiction(event.sequence, "the upload that it amends is not there") }
        var record = upload.record
        record.encryption = change.encryption
        try run(
            "UPDATE uploads SET record = ? WHERE bucket = ? AND key = ? AND id = ?",
            [try encoded(record), Data(change.bucket.utf8), Data(change.key.utf8), change.uploadID])
    }
}

extension CatalogReader {
    /// Calls `body` with the encryption of each version and upload under way that has one; looks at `limit` rows of
    /// each kind at most: current versions, older ones, uploads.
    /// - Returns: whether that was all.
    public func forEachEncryption(limit: Int, _ body: (EventEncryption) -> Void) throws -> Bool {
        var isAll = true
        for table in ["current", "archive"] {
            isAll =
                try forEachRecord(of: table, limit) { bytes in
                    let record = try EventVersionPublished(serializedBytes: bytes)
                    if record.hasEncryption { body(record.encryption) }
                } && isAll
        }
        return try forEachRecord(of: "uploads", limit) { bytes in
            let record = try EventUploadCreated(serializedBytes: bytes)
            if record.hasEncryption { body(record.encryption) }
        } && isAll
    }

    private func forEachRecord(
        of table: String, _ limit: Int, _ body: (Data) throws -> Void
    ) throws -> Bool {
        let rows = try Data.fetchCursor(database, sql: "SELECT record FROM \(table)")
        var count = 0
        while let bytes = try rows.next() {
            guard count < limit else { return false }
            count += 1
            try body(bytes)
        }
        return true
    }
}
