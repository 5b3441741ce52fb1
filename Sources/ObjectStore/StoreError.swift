import Model

/// Why the store did not do what it was asked. Each case says what a person or a protocol needs to answer
/// with.
public enum StoreError: Error, Sendable {
    case noSuchBucket(BucketName)
    case bucketExists(Bucket)
    case bucketNotEmpty(BucketName)
    /// There is no current version; with the delete marker that hides older ones, if one does.
    case noSuchKey(ObjectKey, deleteMarker: ObjectVersion?)
    /// The version named is not there; with the name as it was given.
    case noSuchVersion(ObjectKey, String)
    /// The version named is a delete marker, which has no bytes.
    case isDeleteMarker(ObjectVersion)
    /// A condition of the request does not hold; with the condition's name: "If-Match" …
    case preconditionFailed(String)
    case noSuchUpload(UploadID)
    /// A part named for completion was never uploaded, or has another ETag.
    case invalidPart(number: Int)
    case invalidPartOrder
    case partTooSmall(number: Int, size: UInt64)
    case entityTooLarge(limit: UInt64)
    /// What it needs is taken just now, such as a bounded queue, with what keeps it: the same request may succeed a moment later.
    case busy(String)
    /// Fewer volumes than the write quorum are in good standing.
    case unavailable(String)
    /// The change may or may not be in the log: fewer volumes than the quorum are known to hold it. It is decided
    /// when the store takes writes again, and until then cannot be seen.
    case outcomeUnknown(String)
    /// No replica of some block of the version verifies. HEAD still describes it, nothing is removed.
    case lost(ObjectVersion, evidence: String)
    /// No replica of some block of the version that can be asked verifies; one on a volume that is out of service,
    /// or does not answer, may. The same request may succeed when it is back.
    case notReadable(ObjectVersion, evidence: String)
    /// The version's bytes are what the store was given, and do not open under its data key: the key, or what the log
    /// says of it, was changed.
    case undecipherable(ObjectVersion, evidence: String)
    /// Object Lock holds the version, with what lock: it cannot be removed, nor its lock weakened.
    case locked(ObjectVersion, reason: String)
    /// The request asks for a state that does not exist, such as versioning switched off again.
    case invalidState(String)
    /// A bug or a damaged store: the text is for the operator's log.
    case internalFault(String)
}

extension StoreError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .noSuchBucket(let name): "there is no bucket \(name)"
        case .bucketExists(let bucket): "bucket \(bucket.name) exists"
        case .bucketNotEmpty(let name): "bucket \(name) is not empty"
        case .noSuchKey(let key, _): "there is no object \(key)"
        case .noSuchVersion(let key, let version): "object \(key) has no version \(version)"
        case .isDeleteMarker(let version): "version \(version.wireVersionID) is a delete marker"
        case .preconditionFailed(let condition): "the condition \(condition) does not hold"
        case .noSuchUpload(let id): "there is no multipart upload \(id)"
        case .invalidPart(let number): "part \(number) was not uploaded or has another ETag"
        case .invalidPartOrder: "the parts are not in ascending order"
        case .partTooSmall(let number, let size): "part \(number) has \(size) bytes, which is too small"
        case .entityTooLarge(let limit): "the upload is larger than \(limit) bytes"
        case .busy(let reason): reason
        case .unavailable(let reason): "the store cannot take writes: \(reason)"
        case .outcomeUnknown(let reason): "it is not known whether the change is in the log: \(reason)"
        case .lost(let version, let evidence):
            "\(version.record.bucket)/\(version.key) version \(version.wireVersionID) is lost: \(evidence)"
        case .notReadable(let version, let evidence):
            "\(version.record.bucket)/\(version.key) version \(version.wireVersionID) cannot be read now: \(evidence)"
        case .undecipherable(let version, let evidence):
            "\(version.record.bucket)/\(version.key) version \(version.wireVersionID) cannot be deciphered: \(evidence)"
        case .locked(let version, let reason):
            "\(version.record.bucket)/\(version.key) version \(version.wireVersionID) is locked: \(reason)"
        case .invalidState(let reason): reason
        case .internalFault(let reason): "internal fault: \(reason)"
        }
    }
}
