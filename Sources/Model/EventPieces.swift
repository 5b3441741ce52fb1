extension EventRecord {
    /// What the change publishes of bytes: a version's pieces, or a part.
    public var pieces: [EventPiece] {
        switch change {
        case .versionPublished(let change): change.pieces
        case .partPublished(let change): [change.piece]
        default: []
        }
    }

    /// Pieces that stand in blobs, whoever wrote these.
    public var blobPieces: [EventPiece] { pieces.filter { !$0.blobID.isEmpty } }

    /// Pieces whose blobs were written for this event. A completed upload's were written with its parts, a copy's with its source.
    public var newBlobPieces: [EventPiece] {
        if case .versionPublished(let change) = change {
            guard change.uploadID.isEmpty, change.copiedFrom.isEmpty else { return [] }
        }
        return blobPieces
    }
}
