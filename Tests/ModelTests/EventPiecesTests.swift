import Foundation
import Model
import Testing

@Suite struct EventPiecesTests {
    private func piece(_ blob: UInt8?, length: UInt64) -> EventPiece {
        var piece = EventPiece()
        if let blob { piece.blobID = Data(repeating: blob, count: 16) }
        piece.length = length
        return piece
    }

    private func version(_ change: (inout EventVersionPublished) -> Void = { _ in }) -> EventRecord {
        var published = EventVersionPublished()
        published.pieces = [piece(1, length: 100_000), piece(nil, length: 10), piece(2, length: 200_000)]
        change(&published)
        var record = EventRecord()
        record.change = .versionPublished(published)
        return record
    }

    private func part(_ piece: EventPiece) -> EventRecord {
        var published = EventPartPublished()
        published.piece = piece
        var record = EventRecord()
        record.change = .partPublished(published)
        return record
    }

    @Test func piecesInTheLogAreInNoBlob() {
        #expect(version().pieces.map(\.length) == [100_000, 10, 200_000])
        #expect(version().blobPieces.map(\.length) == [100_000, 200_000])
        #expect(version().newBlobPieces.map(\.length) == [100_000, 200_000])
        #expect(part(piece(3, length: 5_000_000)).newBlobPieces.map(\.length) == [5_000_000])
        #expect(part(piece(nil, length: 10)).pieces.count == 1)
        #expect(part(piece(nil, length: 10)).blobPieces.isEmpty)
    }

    @Test func theBlobsOfACopyAndOfACompletedUploadWereWrittenBefore() {
        let copy = version { $0.copiedFrom = "photos/one" }
        let completed = version { $0.uploadID = Data(repeating: 7, count: 16) }
        for record in [copy, completed] {
            #expect(record.blobPieces.count == 2 && record.newBlobPieces.isEmpty)
        }
    }

    @Test func otherEventsPublishNothing() {
        var record = EventRecord()
        #expect(record.pieces.isEmpty && record.newBlobPieces.isEmpty)
        record.change = .versionRemoved(EventVersionRemoved())
        #expect(record.pieces.isEmpty && record.newBlobPieces.isEmpty)
    }
}
