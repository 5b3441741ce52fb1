import HTTPTypes

/// What a sender must be allowed, for a request to be carried out: S3's action, and the right in an access
/// control list that gives the same.
///
/// Source: Amazon S3 User Guide, "Required permissions for Amazon S3 API operations", "Mapping of ACL
/// permissions and access policy permissions".
package struct AccessNeed: Sendable, Equatable {
    package enum Right: Sendable {
        /// No list gives it.
        case none
        case readBucket, writeBucket, readBucketList, writeBucketList
        case readObject, readObjectList, writeObjectList
        /// Whoever began the multipart upload has it.
        case initiator
    }

    /// With the prefix `s3:`.
    package let action: String
    let right: Right
    /// Of the object that the request names, and not of its bucket.
    package let isOfObject: Bool

    static func bucket(_ action: String, _ right: Right = .none) -> AccessNeed {
        AccessNeed(action: "s3:" + action, right: right, isOfObject: false)
    }

    static func object(_ action: String, _ right: Right = .none) -> AccessNeed {
        AccessNeed(action: "s3:" + action, right: right, isOfObject: true)
    }
}

extension Operation {
    /// What the operation takes on the bucket or object that it names, all of it. Not of the operations that
    /// name no bucket that there is, nor of those that name more than one object.
    package func needs(_ headers: HTTPFields, _ query: Query) -> [AccessNeed] {
        let isVersioned = query.has("versionId")
        func versioned(_ verb: String, _ rest: String, _ right: AccessNeed.Right = .none) -> AccessNeed {
            .object(verb + (isVersioned ? "ObjectVersion" : "Object") + rest, right)
        }
        switch self {
        case .getObject, .headObject: return [versioned("Get", "", .readObject)]
        case .getObjectAttributes:
            return [versioned("Get", "", .readObject), versioned("Get", "Attributes", .readObject)]
        case .getObjectACL: return [versioned("Get", "Acl", .readObjectList)]
        case .putObjectACL: return [versioned("Put", "Acl", .writeObjectList)]
        case .getObjectTagging: return [versioned("Get", "Tagging")]
        case .putObjectTagging: return [versioned("Put", "Tagging")]
        case .deleteObjectTagging: return [versioned("Delete", "Tagging")]
        case .getObjectRetention: return [.object("GetObjectRetention")]
        case .putObjectRetention: return [.object("PutObjectRetention")] + Self.bypass(headers)
        case .getObjectLegalHold: return [.object("GetObjectLegalHold")]
        case .putObjectLegalHold: return [.object("PutObjectLegalHold")]
        case .putObject, .copyObject, .createMultipartUpload:
            return [.object("PutObject", .writeBucket)] + Self.additions(headers)
        case .uploadPart, .uploadPartCopy, .completeMultipartUpload:
            return [.object("PutObject", .writeBucket)]
        case .abortMultipartUpload: return [.object("AbortMultipartUpload", .initiator)]
        case .listParts: return [.object("ListMultipartUploadParts", .initiator)]
        case .deleteObject: return Self.deletion(isVersioned: isVersioned, headers)
        default: return bucketNeed(query).map { [$0] } ?? []
        }
    }

    /// Of the deletion of one object, alone or with others.
    static func deletion(isVersioned: Bool, _ headers: HTTPFields) -> [AccessNeed] {
        isVersioned
            ? [.object("DeleteObjectVersion")] + bypass(headers)
            : [.object("DeleteObject", .writeBucket)]
    }

    private static func bypass(_ headers: HTTPFields) -> [AccessNeed] {
        headers[.amzBypassGovernance]?.lowercased() == "true" ? [.object("BypassGovernanceRetention")] : []
    }

    /// What the headers of a write ask for besides. Whoever may write may say whose rights there are to what
    /// was written; a hold is more than an object of one's own.
    private static func additions(_ headers: HTTPFields) -> [AccessNeed] {
        var needs: [AccessNeed] = []
        var hasList = false
        for field in headers {
            let name = field.name.canonicalName
            guard name.hasPrefix("x-amz-") else { continue }
            switch name {
            case "x-amz-tagging": needs.append(.object("PutObjectTagging", .writeBucket))
            case "x-amz-object-lock-mode": needs.append(.object("PutObjectRetention", .writeBucket))
            case "x-amz-object-lock-legal-hold": needs.append(.object("PutObjectLegalHold", .writeBucket))
            default: hasList = hasList || name == "x-amz-acl" || name.hasPrefix("x-amz-grant-")
            }
        }
        if hasList { needs.append(.object("PutObjectAcl", .writeBucket)) }
        return needs
    }

    private func bucketNeed(_ query: Query) -> AccessNeed? {
        switch self {
        case .deleteBucket: .bucket("DeleteBucket")
        case .headBucket, .listObjects, .listObjectsV2: .bucket("ListBucket", .readBucket)
        case .getBucketLocation: .bucket("GetBucketLocation")
        case .listObjectVersions: .bucket("ListBucketVersions", .readBucket)
        case .listMultipartUploads: .bucket("ListBucketMultipartUploads", .readBucket)
        case .getBucketVersioning: .bucket("GetBucketVersioning")
        case .putBucketVersioning: .bucket("PutBucketVersioning")
        case .getBucketACL: .bucket("GetBucketAcl", .readBucketList)
        case .putBucketACL: .bucket("PutBucketAcl", .writeBucketList)
        case .getBucketPolicy: .bucket("GetBucketPolicy")
        case .putBucketPolicy: .bucket("PutBucketPolicy")
        case .deleteBucketPolicy: .bucket("DeleteBucketPolicy")
        case .getBucketPolicyStatus: .bucket("GetBucketPolicyStatus")
        case .getPublicAccessBlock: .bucket("GetBucketPublicAccessBlock")
        case .putPublicAccessBlock, .deletePublicAccessBlock: .bucket("PutBucketPublicAccessBlock")
        case .getBucketOwnershipControls: .bucket("GetBucketOwnershipControls")
        case .putBucketOwnershipControls, .deleteBucketOwnershipControls:
            .bucket("PutBucketOwnershipControls")
        case .getBucketCORS: .bucket("GetBucketCORS")
        case .putBucketCORS, .deleteBucketCORS: .bucket("PutBucketCORS")
        case .getBucketTagging: .bucket("GetBucketTagging")
        case .putBucketTagging, .deleteBucketTagging: .bucket("PutBucketTagging")
        case .getBucketLifecycle: .bucket("GetLifecycleConfiguration")
        case .putBucketLifecycle, .deleteBucketLifecycle: .bucket("PutLifecycleConfiguration")
        case .getObjectLockConfiguration: .bucket("GetBucketObjectLockConfiguration")
        case .putObjectLockConfiguration: .bucket("PutBucketObjectLockConfiguration")
        case .getBucketEncryption: .bucket("GetEncryptionConfiguration")
        case .putBucketEncryption, .deleteBucketEncryption: .bucket("PutEncryptionConfiguration")
        case .getBucketLogging: .bucket("GetBucketLogging")
        case .putBucketLogging: .bucket("PutBucketLogging")
        case .getBucketNotification: .bucket("GetBucketNotification")
        case .putBucketNotification: .bucket("PutBucketNotification")
        case .getBucketRequestPayment: .bucket("GetBucketRequestPayment")
        case .putBucketRequestPayment: .bucket("PutBucketRequestPayment")
        case .getBucketAccelerate: .bucket("GetAccelerateConfiguration")
        case .getBucketSetting:
            query.items.lazy.compactMap { Self.absentSettings[$0.name] }.first.map { AccessNeed.bucket($0) }
        default: nil
        }
    }

    /// The actions of settings that no bucket of this store has.
    private static let absentSettings = [
        "analytics": "GetAnalyticsConfiguration",
        "intelligent-tiering": "GetIntelligentTieringConfiguration",
        "inventory": "GetInventoryConfiguration", "metrics": "GetMetricsConfiguration",
        "replication": "GetReplicationConfiguration", "website": "GetBucketWebsite",
    ]

    /// A bucket's policy can always be read and mended by the administrator.
    var isOfPolicy: Bool {
        self == .getBucketPolicy || self == .putBucketPolicy || self == .deleteBucketPolicy
    }
}
