import Encryption
import HTTPTypes
import Model
import ObjectStore

/// An error as S3 tells it.
///
/// Source: Amazon S3 API Reference, "Error responses".
public struct S3Error: Error, Sendable {
    public let code: S3ErrorCode
    public let message: String
    /// Elements that the code has besides the common ones, in order.
    package let details: [(name: String, value: String)]
    package var headers: HTTPFields

    public init(
        _ code: S3ErrorCode, _ message: String, details: [(name: String, value: String)] = [],
        headers: HTTPFields = [:]
    ) {
        self.code = code
        self.message = message
        self.details = details
        self.headers = headers
    }

    static func invalidArgument(_ message: String, name: String, value: String) -> S3Error {
        S3Error(
            .invalidArgument, message, details: [("ArgumentName", name), ("ArgumentValue", value)])
    }

    static func notImplemented(_ feature: String) -> S3Error {
        S3Error(.notImplemented, "\(feature) is not implemented.")
    }
}

/// A code, and the HTTP status it comes with.
public struct S3ErrorCode: Sendable, Hashable {
    public let name: String
    public let status: Int

    init(_ name: String, _ status: Int) {
        self.name = name
        self.status = status
    }

    static let accessDenied = S3ErrorCode("AccessDenied", 403)
    static let authorizationHeaderMalformed = S3ErrorCode("AuthorizationHeaderMalformed", 400)
    static let authorizationQueryParametersError = S3ErrorCode("AuthorizationQueryParametersError", 400)
    static let badDigest = S3ErrorCode("BadDigest", 400)
    static let bucketAlreadyOwnedByYou = S3ErrorCode("BucketAlreadyOwnedByYou", 409)
    static let bucketAlreadyExists = S3ErrorCode("BucketAlreadyExists", 409)
    static let bucketNotEmpty = S3ErrorCode("BucketNotEmpty", 409)
    static let entityTooLarge = S3ErrorCode("EntityTooLarge", 400)
    static let entityTooSmall = S3ErrorCode("EntityTooSmall", 400)
    static let illegalLocationConstraint = S3ErrorCode("IllegalLocationConstraintException", 400)
    static let illegalVersioningConfiguration = S3ErrorCode(
        "IllegalVersioningConfigurationException", 400)
    public static let incompleteBody = S3ErrorCode("IncompleteBody", 400)
    public static let internalError = S3ErrorCode("InternalError", 500)
    static let invalidAccessKeyID = S3ErrorCode("InvalidAccessKeyId", 403)
    static let invalidArgument = S3ErrorCode("InvalidArgument", 400)
    static let invalidBucketName = S3ErrorCode("InvalidBucketName", 400)
    static let invalidBucketState = S3ErrorCode("InvalidBucketState", 409)
    static let invalidDigest = S3ErrorCode("InvalidDigest", 400)
    static let invalidPart = S3ErrorCode("InvalidPart", 400)
    static let invalidPartOrder = S3ErrorCode("InvalidPartOrder", 400)
    static let invalidRange = S3ErrorCode("InvalidRange", 416)
    public static let invalidRequest = S3ErrorCode("InvalidRequest", 400)
    static let invalidStorageClass = S3ErrorCode("InvalidStorageClass", 400)
    static let invalidURI = S3ErrorCode("InvalidURI", 400)
    static let keyTooLong = S3ErrorCode("KeyTooLongError", 400)
    static let malformedXML = S3ErrorCode("MalformedXML", 400)
    static let maxMessageLengthExceeded = S3ErrorCode("MaxMessageLengthExceeded", 400)
    static let metadataTooLarge = S3ErrorCode("MetadataTooLarge", 400)
    static let methodNotAllowed = S3ErrorCode("MethodNotAllowed", 405)
    static let missingContentLength = S3ErrorCode("MissingContentLength", 411)
    static let noSuchBucket = S3ErrorCode("NoSuchBucket", 404)
    static let noSuchKey = S3ErrorCode("NoSuchKey", 404)
    static let noSuchUpload = S3ErrorCode("NoSuchUpload", 404)
    static let noSuchVersion = S3ErrorCode("NoSuchVersion", 404)
    static let notImplemented = S3ErrorCode("NotImplemented", 501)
    /// Holdfast's own: no replica of some block verifies.
    static let objectLost = S3ErrorCode("ObjectLost", 500)
    static let operationAborted = S3ErrorCode("OperationAborted", 409)
    static let preconditionFailed = S3ErrorCode("PreconditionFailed", 412)
    static let notModified = S3ErrorCode("NotModified", 304)
    /// Not 408: Amazon S3 sends it so, and clients know it by the code and this status (botocore's `_retry.json`).
    public static let requestTimeout = S3ErrorCode("RequestTimeout", 400)
    static let requestTimeTooSkewed = S3ErrorCode("RequestTimeTooSkewed", 403)
    static let serviceUnavailable = S3ErrorCode("ServiceUnavailable", 503)
    static let signatureDoesNotMatch = S3ErrorCode("SignatureDoesNotMatch", 403)
    public static let slowDown = S3ErrorCode("SlowDown", 503)
    static let contentSHA256Mismatch = S3ErrorCode("XAmzContentSHA256Mismatch", 400)
}

extension S3Error {
    /// The error that tells a client what went wrong.
    package init(_ error: any Error) {
        switch error {
        case let error as S3Error: self = error
        case let error as StoreError: self.init(store: error)
        case let error as KeyProviderError: self.init(keys: error)
        case let error as InvalidName: self.init(.invalidArgument, "\(error).")
        default: self.init(.internalError, "We encountered an internal error. Please try again.")
        }
    }

    private init(store error: StoreError) {
        switch error {
        case .noSuchBucket(let name):
            self.init(
                .noSuchBucket, "The specified bucket does not exist",
                details: [("BucketName", name.rawValue)])
        case .bucketExists(let bucket):
            self.init(
                .bucketAlreadyOwnedByYou,
                "Your previous request to create the named bucket succeeded and you already own it.",
                details: [("BucketName", bucket.name.rawValue)])
        case .bucketNotEmpty(let name):
            self.init(
                .bucketNotEmpty, "The bucket you tried to delete is not empty",
                details: [("BucketName", name.rawValue)])
        case .noSuchKey(let key, let marker):
            self.init(
                .noSuchKey, "The specified key does not exist.", details: [("Key", key.rawValue)])
            if let marker {
                headers[.amzDeleteMarker] = "true"
                headers[.amzVersionID] = marker.wireVersionID
            }
        case .noSuchVersion(let key, let version):
            self.init(
                .noSuchVersion, "The specified version does not exist.",
                details: [("Key", key.rawValue), ("VersionId", version)])
        case .isDeleteMarker(let version):
            self.init(
                .methodNotAllowed, "The specified method is not allowed against this resource.",
                details: [("ResourceType", "DeleteMarker")],
                headers: [
                    .amzDeleteMarker: "true", .amzVersionID: version.wireVersionID,
                    .lastModified: HTTPDate.string(version.published), .allow: "DELETE",
                ])
        case .preconditionFailed(let condition):
            self.init(
                .preconditionFailed, "At least one of the pre-conditions you specified did not hold",
                details: [("Condition", condition)])
        case .noSuchUpload(let id):
            self.init(
                .noSuchUpload,
                "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.",
                details: [("UploadId", id.description)])
        case .invalidPart(let number):
            self.init(
                .invalidPart,
                "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.",
                details: [("PartNumber", String(number))])
        case .invalidPartOrder:
            self.init(
                .invalidPartOrder,
                "The list of parts was not in ascending order. Parts must be ordered by part number.")
        case .partTooSmall(let number, let size):
            self.init(
                .entityTooSmall, "Your proposed upload is smaller than the minimum allowed size",
                details: [
                    ("ProposedSize", String(size)),
                    ("MinSizeAllowed", String(Limits.minimumPartByteCount)), ("PartNumber", String(number)),
                ])
        case .entityTooLarge(let limit):
            self.init(
                .entityTooLarge, "Your proposed upload exceeds the maximum allowed size",
                details: [("MaxSizeAllowed", String(limit))])
        case .busy: self.init(.slowDown, "Please reduce your request rate.", headers: [.retryAfter: "1"])
        case .unavailable:
            self.init(
                .serviceUnavailable, "Fewer volumes than the write quorum are in good standing.",
                headers: [.retryAfter: "5"])
        case .outcomeUnknown:
            self.init(
                .serviceUnavailable,
                "Fewer volumes than the write quorum are known to hold the change. Please try again.",
                headers: [.retryAfter: "5"])
        case .lost(let version, _):
            self.init(
                .objectLost,
                "No replica of some part of this object verifies. Nothing of it was sent or removed; the operator's fsck names what is damaged.",
                details: [
                    ("BucketName", version.record.bucket), ("Key", version.key),
                    ("VersionId", version.wireVersionID),
                ])
        case .notReadable:
            self.init(
                .serviceUnavailable,
                "No volume that is in service has a good replica of some part of this object. Please try again.",
                headers: [.retryAfter: "5"])
        case .undecipherable:
            self.init(
                .objectUndecipherable,
                "The object does not open under its data key. Nothing of it was sent or removed; the operator's log and findings say more."
            )
        case .locked:
            self.init(.accessDenied, "Access Denied because object protected by object lock.")
        case .invalidState(let reason): self.init(.invalidBucketState, reason)
        case .internalFault:
            self.init(.internalError, "We encountered an internal error. Please try again.")
        }
    }

    /// Whether the reason is for the operator's log.
    package static func isFault(_ error: any Error) -> Bool {
        switch error {
        case is S3Error, is InvalidName: false
        case let error as StoreError:
            switch error {
            case .lost, .notReadable, .undecipherable, .internalFault, .unavailable, .outcomeUnknown: true
            default: false
            }
        default: true
        }
    }
}
