import Foundation
import GRDB
import Model

/// Who needs which bytes: references to blobs and to payloads, and what becomes of those that nobody needs any more.
extension CatalogWriter {
    func use(_ piece: EventPiece, bucket: String, key: String, _ event: LoggedEvent) throws {
        guard !piece.blobID.isEmpty else { return }  // bytes in the log belong to the event that has them
        try run(
            """
            INSERT INTO blobs VALUES (?, ?, ?, 1, ?, ?, ?, NULL, NULL, 0)
            ON CONFLICT (id) DO UPDATE SET uses = uses + 1, died = NULL, died_time = NULL WHERE reclaiming = 0
            """,
            [
                piece.blobID, Int64(piece.length), piece.sha256, event.number, Data(bucket.utf8),
                Data(key.utf8),
            ])
        try expectOne(event, "blob \(Array(piece.blobID).hexadecimal) is being reclaimed")
    }

    func release(_ piece: EventPiece, _ event: LoggedEvent) throws {
        if piece.blobID.isEmpty {
            guard piece.length > 0 else { return }
            let release = session.changes.releasePayload
            release.bind(1, Int64(piece.payloadSequence))
            release.bind(2, Int64(piece.length))
            release.bind(3, event.number)
            release.bind(4, event.moment)
            try release.execute()
            return
        }
        try run("UPDATE blobs SET uses = uses - 1 WHERE id = ? AND uses > 0", [piece.blobID])
        try expectOne(event, "blob \(Array(piece.blobID).hexadecimal) has no reference to lose")
        try run(
            "UPDATE blobs SET died = ?, died_time = ? WHERE id = ? AND uses = 0",
            [event.number, event.moment, piece.blobID])
    }

    func apply(_ change: EventReclaimPlanned, _ event: LoggedEvent) throws {
        for id in change.blobIds {
            try run("UPDATE blobs SET reclaiming = 1 WHERE id = ? AND uses = 0", [id])
            try expectOne(event, "blob \(Array(id).hexadecimal) is not dead")
        }
        for sequence in change.payloadSequences {
            try run("UPDATE payloads SET reclaiming = 1 WHERE sequence = ?", [Int64(sequence)])
            try expectOne(event, "the payload of event \(sequence) is not dead")
        }
    }

    func apply(_ change: EventReclaimed) throws {
        for id in change.blobIds { try run("DELETE FROM blobs WHERE id = ? AND reclaiming = 1", [id]) }
        for sequence in change.payloadSequences {
            try run("DELETE FROM payloads WHERE sequence = ? AND reclaiming = 1", [Int64(sequence)])
        }
    }
}
