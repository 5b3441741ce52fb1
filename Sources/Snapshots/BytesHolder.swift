import Model

/// What has bytes that may be damaged: a version, or a part of an unfinished upload.
struct BytesHolder {
    let bucket: String
    let key: String
    /// Empty for a part.
    let version: String
    /// For a part.
    var upload: UploadID?
    var part: Int?
    /// Of a version, its owner; of a part, who began the upload.
    let ownerID: String
    let owner: String
    let size: UInt64
    private let sequence: SequenceNumber

    init(_ version: ObjectVersion) {
        (bucket, key) = (version.record.bucket, version.key)
        self.version = version.wireVersionID
        (ownerID, owner) = (version.record.owner, version.record.ownerDisplayName)
        size = version.size
        sequence = version.sequence
    }

    init(_ part: UploadedPart, of upload: MultipartUpload) {
        (bucket, key) = (upload.record.bucket, upload.record.key)
        version = ""
        (self.upload, self.part) = (upload.uploadID, part.number)
        (ownerID, owner) = (upload.record.owner, upload.record.ownerDisplayName)
        size = part.piece.length
        sequence = part.sequence
    }

    /// The event that carries the bytes of a piece that stands in the log.
    func carrier(of piece: EventPiece) -> SequenceNumber { piece.carrier(in: sequence) }

    func outcome(_ action: RestoreOutcome.Action, _ size: UInt64, _ detail: String) -> RestoreOutcome {
        RestoreOutcome(
            action: action, bucket: bucket, key: key, version: version, upload: upload?.description,
            part: part, ownerID: ownerID, owner: owner, size: size, detail: detail)
    }
}
