import HTTPTypes

/// What a request asks for, by the name the S3 API has for it.
package enum Operation: String, Sendable, CaseIterable {
    // The service
    case listBuckets = "ListBuckets"
    /// A browser asks whether a page of another origin may send a request.
    case preflight = "Preflight"

    // Buckets
    case createBucket = "CreateBucket"
    case deleteBucket = "DeleteBucket"
    case headBucket = "HeadBucket"
    case getBucketLocation = "GetBucketLocation"
    case listObjects = "ListObjects"
    case listObjectsV2 = "ListObjectsV2"
    case listObjectVersions = "ListObjectVersions"
    case listMultipartUploads = "ListMultipartUploads"
    case deleteObjects = "DeleteObjects"
    case postObject = "PostObject"

    // Settings of buckets
    case getBucketVersioning = "GetBucketVersioning"
    case putBucketVersioning = "PutBucketVersioning"
    case getBucketACL = "GetBucketAcl"
    case putBucketACL = "PutBucketAcl"
    case getBucketPolicy = "GetBucketPolicy"
    case putBucketPolicy = "PutBucketPolicy"
    case deleteBucketPolicy = "DeleteBucketPolicy"
    case getBucketPolicyStatus = "GetBucketPolicyStatus"
    case getPublicAccessBlock = "GetPublicAccessBlock"
    case putPublicAccessBlock = "PutPublicAccessBlock"
    case deletePublicAccessBlock = "DeletePublicAccessBlock"
    case getBucketOwnershipControls = "GetBucketOwnershipControls"
    case putBucketOwnershipControls = "PutBucketOwnershipControls"
    case deleteBucketOwnershipControls = "DeleteBucketOwnershipControls"
    case getBucketCORS = "GetBucketCors"
    case putBucketCORS = "PutBucketCors"
    case deleteBucketCORS = "DeleteBucketCors"
    case getBucketTagging = "GetBucketTagging"
    case putBucketTagging = "PutBucketTagging"
    case deleteBucketTagging = "DeleteBucketTagging"
    case getBucketLifecycle = "GetBucketLifecycleConfiguration"
    case putBucketLifecycle = "PutBucketLifecycleConfiguration"
    case deleteBucketLifecycle = "DeleteBucketLifecycle"
    case getObjectLockConfiguration = "GetObjectLockConfiguration"
    case putObjectLockConfiguration = "PutObjectLockConfiguration"
    case getBucketEncryption = "GetBucketEncryption"
    case putBucketEncryption = "PutBucketEncryption"
    case deleteBucketEncryption = "DeleteBucketEncryption"
    case getBucketLogging = "GetBucketLogging"
    case putBucketLogging = "PutBucketLogging"
    case getBucketNotification = "GetBucketNotificationConfiguration"
    case putBucketNotification = "PutBucketNotificationConfiguration"
    case getBucketRequestPayment = "GetBucketRequestPayment"
    case putBucketRequestPayment = "PutBucketRequestPayment"
    case getBucketAccelerate = "GetBucketAccelerateConfiguration"
    /// A setting that no bucket of this store has: reading it says so, as Amazon S3 does.
    case getBucketSetting = "GetBucketSetting"

    // Objects
    case getObject = "GetObject"
    case headObject = "HeadObject"
    case putObject = "PutObject"
    case copyObject = "CopyObject"
    case deleteObject = "DeleteObject"
    case getObjectAttributes = "GetObjectAttributes"
    case getObjectACL = "GetObjectAcl"
    case putObjectACL = "PutObjectAcl"
    case getObjectTagging = "GetObjectTagging"
    case putObjectTagging = "PutObjectTagging"
    case deleteObjectTagging = "DeleteObjectTagging"
    case getObjectRetention = "GetObjectRetention"
    case putObjectRetention = "PutObjectRetention"
    case getObjectLegalHold = "GetObjectLegalHold"
    case putObjectLegalHold = "PutObjectLegalHold"

    // Multipart uploads
    case createMultipartUpload = "CreateMultipartUpload"
    case uploadPart = "UploadPart"
    case uploadPartCopy = "UploadPartCopy"
    case completeMultipartUpload = "CompleteMultipartUpload"
    case abortMultipartUpload = "AbortMultipartUpload"
    case listParts = "ListParts"

    /// What logs and metrics call a request that asks for nothing that is known.
    package static let unknownName = "Unknown"

    /// A number from 0 on, for tables by operation: the place of its case above, which is how the language represents
    /// an enumeration without payloads.
    package var index: Int { Int(unsafeBitCast(self, to: UInt8.self)) }

    /// Query items that select a feature of S3, and not a page or a version.
    private static let subresources: Set<String> = [
        "abac", "accelerate", "acl", "analytics", "attributes", "cors", "delete", "encryption",
        "intelligent-tiering",
        "inventory", "legal-hold", "lifecycle", "location", "logging", "metadataConfiguration",
        "metadataInventoryTable", "metadataJournalTable", "metadataTable", "metrics",
        "notification", "object-lock", "ownershipControls", "policy", "policyStatus", "publicAccessBlock",
        "renameObject", "replication", "requestPayment", "restore", "retention", "select", "session",
        "tagging",
        "torrent", "uploads", "versioning", "versions", "website",
    ]

    /// Whether a query item selects a feature.
    package static func isSubresource(_ item: String) -> Bool { subresources.contains(item) }

    /// What a subresource of a bucket comes to, by method.
    private static let bucketRoutes: [String: [HTTPRequest.Method: Operation]] = [
        "accelerate": [.get: .getBucketAccelerate],
        "acl": [.get: .getBucketACL, .put: .putBucketACL],
        "analytics": [.get: .getBucketSetting],
        "cors": [.get: .getBucketCORS, .put: .putBucketCORS, .delete: .deleteBucketCORS],
        "delete": [.post: .deleteObjects],
        "encryption": [
            .get: .getBucketEncryption, .put: .putBucketEncryption, .delete: .deleteBucketEncryption,
        ],
        "intelligent-tiering": [.get: .getBucketSetting],
        "inventory": [.get: .getBucketSetting],
        "lifecycle": [
            .get: .getBucketLifecycle, .put: .putBucketLifecycle, .delete: .deleteBucketLifecycle,
        ],
        "location": [.get: .getBucketLocation],
        "logging": [.get: .getBucketLogging, .put: .putBucketLogging],
        "metrics": [.get: .getBucketSetting],
        "notification": [.get: .getBucketNotification, .put: .putBucketNotification],
        "object-lock": [.get: .getObjectLockConfiguration, .put: .putObjectLockConfiguration],
        "ownershipControls": [
            .get: .getBucketOwnershipControls, .put: .putBucketOwnershipControls,
            .delete: .deleteBucketOwnershipControls,
        ],
        "policy": [.get: .getBucketPolicy, .put: .putBucketPolicy, .delete: .deleteBucketPolicy],
        "policyStatus": [.get: .getBucketPolicyStatus],
        "publicAccessBlock": [
            .get: .getPublicAccessBlock, .put: .putPublicAccessBlock, .delete: .deletePublicAccessBlock,
        ],
        "replication": [.get: .getBucketSetting],
        "requestPayment": [.get: .getBucketRequestPayment, .put: .putBucketRequestPayment],
        "tagging": [.get: .getBucketTagging, .put: .putBucketTagging, .delete: .deleteBucketTagging],
        "uploads": [.get: .listMultipartUploads],
        "versioning": [.get: .getBucketVersioning, .put: .putBucketVersioning],
        "versions": [.get: .listObjectVersions],
        "website": [.get: .getBucketSetting],
    ]

    /// The same of an object.
    private static let objectRoutes: [String: [HTTPRequest.Method: Operation]] = [
        "acl": [.get: .getObjectACL, .put: .putObjectACL],
        "attributes": [.get: .getObjectAttributes],
        "legal-hold": [.get: .getObjectLegalHold, .put: .putObjectLegalHold],
        "retention": [.get: .getObjectRetention, .put: .putObjectRetention],
        "tagging": [.get: .getObjectTagging, .put: .putObjectTagging, .delete: .deleteObjectTagging],
        "uploads": [.post: .createMultipartUpload],
    ]

    /// - Throws: `NotImplemented` for a feature that this store does not have, `MethodNotAllowed`.
    package init(_ head: HTTPRequest, _ target: RequestTarget) throws {
        let subresource = target.query.items.first { Self.subresources.contains($0.name) }?.name
        let method = head.method
        let found: Operation? =
            if method == .options, target.bucket != nil {
                .preflight
            } else if target.key != nil {
                if let subresource {
                    Self.objectRoutes[subresource]?[method]
                } else {
                    try Self.object(method, target.query, head.headerFields)
                }
            } else if target.bucket != nil {
                if let subresource {
                    Self.bucketRoutes[subresource]?[method]
                } else {
                    Self.bucket(method, target.query)
                }
            } else {
                method == .get && subresource == nil ? .listBuckets : nil
            }
        guard let found else {
            if let subresource {
                throw S3Error.notImplemented("\(method.rawValue) ?\(subresource)")
            }
            throw S3Error(
                .methodNotAllowed, "The specified method is not allowed against this resource.",
                details: [("Method", method.rawValue)])
        }
        self = found
    }

    private static func bucket(_ method: HTTPRequest.Method, _ query: Query) -> Operation? {
        switch method {
        case .get: query["list-type"] == "2" ? .listObjectsV2 : .listObjects
        case .head: .headBucket
        case .put: .createBucket
        case .delete: .deleteBucket
        case .post: .postObject
        default: nil
        }
    }

    private static func object(
        _ method: HTTPRequest.Method, _ query: Query, _ headers: HTTPFields
    ) throws -> Operation? {
        let isPart = query.has("uploadId")
        // What is written has the version that the store gives it.
        if method == .put || method == .post, let version = query["versionId"] {
            throw S3Error.invalidArgument(
                "This operation does not accept a version-id.", name: "versionId", value: version)
        }
        switch method {
        case .get: return isPart ? .listParts : .getObject
        case .head: return .headObject
        case .put:
            let isCopy = headers[.amzCopySource] != nil
            if isPart { return isCopy ? .uploadPartCopy : .uploadPart }
            return isCopy ? .copyObject : .putObject
        case .delete: return isPart ? .abortMultipartUpload : .deleteObject
        case .post: return isPart ? .completeMultipartUpload : nil
        default: return nil
        }
    }
}
