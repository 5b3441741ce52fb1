/// The actions of Amazon S3, by what they are done to.
///
/// A policy that names none of them is refused when it is put: a misspelt denial would be stored and never apply.
///
/// Source: Service Authorization Reference, "Actions defined by Amazon S3".
package enum PolicyActions {
    package enum Subject: Sendable { case bucket, object, other }

    /// With the prefix `s3:`.
    package static let all: [(name: String, subject: Subject)] =
        names(bucket, .bucket) + names(object, .object) + names(other, .other)

    private static let lowercased = all.map { (bytes: Array($0.name.lowercased().utf8), subject: $0.subject) }

    /// What the actions are done to that a pattern stands for; nothing if it stands for none.
    /// - Parameter pattern: in lower case, without variables.
    static func subjects(of pattern: PolicyPattern) -> Set<Subject> {
        let symbols = pattern.symbols(PolicyContext { _ in nil }) ?? []
        return Set(
            lowercased.filter { PolicyPattern.matches(symbols[...], $0.bytes[...]) }.map(\.subject))
    }

    private static func names(_ text: String, _ subject: Subject) -> [(name: String, subject: Subject)] {
        text.split(whereSeparator: \.isWhitespace).map { ("s3:\($0)", subject) }
    }

    private static let object = """
        AbortMultipartUpload BypassGovernanceRetention DeleteObject DeleteObjectTagging DeleteObjectVersion
        DeleteObjectVersionTagging GetObject GetObjectAcl GetObjectAttributes GetObjectLegalHold
        GetObjectRetention GetObjectTagging GetObjectTorrent GetObjectVersion GetObjectVersionAcl
        GetObjectVersionAttributes GetObjectVersionForReplication GetObjectVersionTagging
        GetObjectVersionTorrent InitiateReplication ListMultipartUploadParts
        ObjectOwnerOverrideToBucketOwner PutObject PutObjectAcl PutObjectLegalHold PutObjectRetention
        PutObjectTagging PutObjectVersionAcl PutObjectVersionTagging ReplicateDelete ReplicateObject
        ReplicateTags RestoreObject UpdateObjectEncryption
        """

    private static let bucket = """
        CreateBucket CreateBucketMetadataTableConfiguration DeleteBucket
        DeleteBucketMetadataTableConfiguration DeleteBucketPolicy DeleteBucketWebsite
        GetAccelerateConfiguration GetAnalyticsConfiguration GetBucketAbac GetBucketAcl GetBucketCORS
        GetBucketLocation GetBucketLogging GetBucketMetadataTableConfiguration GetBucketNotification
        GetBucketObjectLockConfiguration GetBucketOwnershipControls GetBucketPolicy GetBucketPolicyStatus
        GetBucketPublicAccessBlock GetBucketRequestPayment GetBucketTagging GetBucketVersioning
        GetBucketWebsite GetEncryptionConfiguration GetIntelligentTieringConfiguration
        GetInventoryConfiguration GetLifecycleConfiguration GetMetricsConfiguration
        GetReplicationConfiguration ListBucket ListBucketMultipartUploads ListBucketVersions
        PauseReplication PutAccelerateConfiguration PutAnalyticsConfiguration PutBucketAbac PutBucketAcl
        PutBucketCORS PutBucketLogging PutBucketNotification PutBucketObjectLockConfiguration
        PutBucketOwnershipControls PutBucketPolicy PutBucketPublicAccessBlock PutBucketRequestPayment
        PutBucketTagging PutBucketVersioning PutBucketWebsite PutEncryptionConfiguration
        PutIntelligentTieringConfiguration PutInventoryConfiguration PutLifecycleConfiguration
        PutMetricsConfiguration PutReplicationConfiguration
        UpdateBucketMetadataInventoryTableConfiguration UpdateBucketMetadataJournalTableConfiguration
        """

    /// Of accounts, access points, jobs, access grants and lenses: a policy of a bucket cannot speak of them.
    private static let other = """
        AssociateAccessGrantsIdentityCenter CreateAccessGrant CreateAccessGrantsInstance
        CreateAccessGrantsLocation CreateAccessPoint CreateAccessPointForObjectLambda CreateJob
        CreateMultiRegionAccessPoint CreateStorageLensGroup DeleteAccessGrant DeleteAccessGrantsInstance
        DeleteAccessGrantsInstanceResourcePolicy DeleteAccessGrantsLocation DeleteAccessPoint
        DeleteAccessPointForObjectLambda DeleteAccessPointPolicy DeleteAccessPointPolicyForObjectLambda
        DeleteAccessPointScope DeleteJobTagging DeleteMultiRegionAccessPoint
        DeleteStorageLensConfiguration DeleteStorageLensConfigurationTagging DeleteStorageLensGroup
        DescribeJob DescribeMultiRegionAccessPointOperation DissociateAccessGrantsIdentityCenter
        GetAccessGrant GetAccessGrantsInstance GetAccessGrantsInstanceForPrefix
        GetAccessGrantsInstanceResourcePolicy GetAccessGrantsLocation GetAccessPoint
        GetAccessPointConfigurationForObjectLambda GetAccessPointForObjectLambda GetAccessPointPolicy
        GetAccessPointPolicyForObjectLambda GetAccessPointPolicyStatus
        GetAccessPointPolicyStatusForObjectLambda GetAccessPointScope GetAccountPublicAccessBlock
        GetDataAccess GetJobTagging GetMultiRegionAccessPoint GetMultiRegionAccessPointPolicy
        GetMultiRegionAccessPointPolicyStatus GetMultiRegionAccessPointRoutes
        GetStorageLensConfiguration GetStorageLensConfigurationTagging GetStorageLensDashboard
        GetStorageLensGroup ListAccessGrants ListAccessGrantsInstances ListAccessGrantsLocations
        ListAccessPoints ListAccessPointsForObjectLambda ListAllMyBuckets ListCallerAccessGrants ListJobs
        ListMultiRegionAccessPoints ListStorageLensConfigurations ListStorageLensGroups
        ListTagsForResource PutAccessGrantsInstanceResourcePolicy
        PutAccessPointConfigurationForObjectLambda PutAccessPointPolicy
        PutAccessPointPolicyForObjectLambda PutAccessPointPublicAccessBlock PutAccessPointScope
        PutAccountPublicAccessBlock PutJobTagging PutMultiRegionAccessPointPolicy
        PutStorageLensConfiguration PutStorageLensConfigurationTagging SubmitMultiRegionAccessPointRoutes
        TagResource UntagResource UpdateAccessGrantsLocation UpdateJobPriority UpdateJobStatus
        UpdateStorageLensGroup
        """
}
