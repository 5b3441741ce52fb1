import Foundation
import GRDB
import Model
import SwiftProtobuf

/// What events of multipart uploads and their parts do to the rows.
extension CatalogWriter {
    func apply(_ change: EventUploadCreated, _ event: LoggedEvent) throws {
        try run(
            "INSERT INTO uploads VALUES (?, ?, ?, ?, ?, ?)",
            [
                Data(change.bucket.utf8), Data(change.key.utf8), change.uploadID, event.number, event.moment,
                try encoded(change),
            ])
    }

    func apply(_ change: EventPartPublished, _ event: LoggedEvent) throws {
        if change.replacedSequence != 0 {
            guard let id = UploadID(bytes: change.uploadID),
                let old = try reader.part(id, Int(change.partNumber)),
                old.sequence.rawValue == change.replacedSequence
            else { throw CatalogError.contradiction(event.sequence, "the part it replaces is not there") }
            try release(old.piece, event)
            try run(
                "DELETE FROM parts WHERE upload = ? AND number = ?",
                [change.uploadID, Int64(change.partNumber)])
        }
        var piece = change.piece
        if piece.blobID.isEmpty { piece.payloadSequence = event.sequence.rawValue }
        try use(piece, bucket: change.bucket, key: change.key, event)
        try run(
            "INSERT INTO parts VALUES (?, ?, ?, ?, ?, ?)",
            [
                change.uploadID, Int64(change.partNumber), event.number, event.moment, change.etag,
                try encoded(piece),
            ])
    }

    /// Ends an upload; the parts that are not kept lose their bytes.
    /// - Parameter upload: its bucket, key and id.
    func endUpload(_ upload: [Data], keeping kept: [UInt32] = [], _ event: LoggedEvent) throws {
        let kept = Set(kept)
        let id = upload[2]
        for row in try reader.rows("SELECT number, piece FROM parts WHERE upload = ?", [id])
        where !kept.contains(UInt32(row[0] as Int64)) {
            try release(try EventPiece(serializedBytes: row[1] as Data), event)
        }
        try run("DELETE FROM parts WHERE upload = ?", [id])
        try removeUpload(upload, event)
    }

    /// Ends an upload whose parts lose their bytes by later events.
    func abandon(_ upload: [Data], _ event: LoggedEvent) throws {
        try removeUpload(upload, event)
        try run("INSERT INTO aborted VALUES (?, ?)", [upload[2], event.number])
    }

    func apply(_ change: EventPartsReleased, _ event: LoggedEvent) throws {
        let through: StatementArguments = [change.uploadID, Int64(change.throughPart)]
        for row in try reader.rows("SELECT piece FROM parts WHERE upload = ? AND number <= ?", through) {
            try release(try EventPiece(serializedBytes: row[0] as Data), event)
        }
        try run("DELETE FROM parts WHERE upload = ? AND number <= ?", through)
        try run(
            "DELETE FROM aborted WHERE upload = ?1 AND NOT EXISTS (SELECT 1 FROM parts WHERE upload = ?1)",
            [change.uploadID])
    }

    private func removeUpload(_ upload: [Data], _ event: LoggedEvent) throws {
        let id = upload[2]
        try run(
            "DELETE FROM uploads WHERE bucket = ? AND key = ? AND id = ?", StatementArguments(upload))
        try expectOne(event, "there is no upload \(Array(id).hexadecimal)")
    }
}
