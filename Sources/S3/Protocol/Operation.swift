import HTTPTypes

/// What a request asks for, by the name the S3 API has for it.
package enum Operation: String, Sendable {
    case listBuckets = "ListBuckets"
    case createBucket = "CreateBucket"
    case deleteBucket = "DeleteBucket"
    case headBucket = "HeadBucket"
    case getBucketLocation = "GetBucketLocation"
    case getBucketVersioning = "GetBucketVersioning"
    case putBucketVersioning = "PutBucketVersioning"
    case getBucketACL = "GetBucketAcl"
    /// A setting that no bucket of this store has: reading it says so, as Amazon S3 does.
    case getBucketSetting = "GetBucketSetting"
    case listObjects = "ListObjects"
    case listObjectsV2 = "ListObjectsV2"
    case listObjectVersions = "ListObjectVersions"
    case listMultipartUploads = "ListMultipartUploads"
    case deleteObjects = "DeleteObjects"
    case getObject = "GetObject"
    case headObject = "HeadObject"
    case getObjectACL = "GetObjectAcl"
    case putObject = "PutObject"
    case copyObject = "CopyObject"
    case deleteObject = "DeleteObject"
    case createMultipartUpload = "CreateMultipartUpload"
    case uploadPart = "UploadPart"
    case uploadPartCopy = "UploadPartCopy"
    case completeMultipartUpload = "CompleteMultipartUpload"
    case abortMultipartUpload = "AbortMultipartUpload"
    case listParts = "ListParts"

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

    /// What Amazon S3 answers for a setting that a bucket does not have.
    static let absentSettings: [String: (code: String, message: String)] = [
        "cors": ("NoSuchCORSConfiguration", "The CORS configuration does not exist"),
        "encryption": (
            "ServerSideEncryptionConfigurationNotFoundError",
            "The server side encryption configuration was not found"
        ),
        "lifecycle": ("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist"),
        "object-lock": (
            "ObjectLockConfigurationNotFoundError", "Object Lock configuration does not exist for this bucket"
        ),
        "policy": ("NoSuchBucketPolicy", "The bucket policy does not exist"),
        "replication": (
            "ReplicationConfigurationNotFoundError", "The replication configuration was not found"
        ),
        "tagging": ("NoSuchTagSet", "The TagSet does not exist"),
        "website": (
            "NoSuchWebsiteConfiguration", "The specified bucket does not have a website configuration"
        ),
    ]

    /// - Throws: `NotImplemented` for a feature that this store does not have, `MethodNotAllowed`.
    package init(_ head: HTTPRequest, _ target: RequestTarget) throws {
        let subresource = target.query.items.first { Self.subresources.contains($0.name) }?.name
        let method = head.method
        let found: Operation? =
            if target.key != nil {
                try Self.object(method, subresource, target.query, head.headerFields)
            } else if target.bucket != nil {
                try Self.bucket(method, subresource, target.query)
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

    private static func bucket(
        _ method: HTTPRequest.Method, _ subresource: String?, _ query: Query
    ) throws -> Operation? {
        switch (method, subresource) {
        case (.get, nil): query["list-type"] == "2" ? .listObjectsV2 : .listObjects
        case (.get, "location"): .getBucketLocation
        case (.get, "versioning"): .getBucketVersioning
        case (.get, "versions"): .listObjectVersions
        case (.get, "uploads"): .listMultipartUploads
        case (.get, "acl"): .getBucketACL
        case (.get, let name?) where absentSettings[name] != nil: .getBucketSetting
        case (.head, nil): .headBucket
        case (.put, nil): .createBucket
        case (.put, "versioning"): .putBucketVersioning
        case (.delete, nil): .deleteBucket
        case (.post, "delete"): .deleteObjects
        case (.post, nil): throw S3Error.notImplemented("A browser upload with POST")
        default: nil
        }
    }

    private static func object(
        _ method: HTTPRequest.Method, _ subresource: String?, _ query: Query, _ headers: HTTPFields
    ) throws -> Operation? {
        let isPart = query.has("uploadId")
        let isCopy = headers[.amzCopySource] != nil
        return switch (method, subresource) {
        case (.get, nil): isPart ? .listParts : .getObject
        case (.get, "acl"): .getObjectACL
        case (.head, nil): .headObject
        case (.put, nil):
            if isPart { isCopy ? .uploadPartCopy : .uploadPart } else { isCopy ? .copyObject : .putObject }
        case (.delete, nil): isPart ? .abortMultipartUpload : .deleteObject
        case (.post, "uploads"): .createMultipartUpload
        case (.post, nil): isPart ? .completeMultipartUpload : nil
        default: nil
        }
    }
}
