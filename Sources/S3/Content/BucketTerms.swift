import HTTPTypes
import Model
import ObjectStore

/// What a bucket asks of objects that come into it otherwise than by a request: by an import.
package struct BucketTerms: Sendable {
    private let bucket: Bucket
    private let settings: S3Settings

    package init(_ bucket: Bucket, _ settings: S3Settings) {
        self.bucket = bucket
        self.settings = settings
    }

    /// Whether everything in it is its owner's, whoever wrote it.
    package var isOwnerEnforced: Bool { BucketAccess.ownership(of: bucket) == .bucketOwnerEnforced }

    /// The encryption of the next object; a data key of its own for each.
    /// - Throws: if its rule cannot be read, or its master key does not serve.
    package func encryption() throws -> UploadEncryption? { try settings.encryption.standard(of: bucket) }

    /// Takes away a lock that the bucket has no Object Lock for, or that is over; gives the bucket's own to what brings
    /// none.
    /// - Throws: if the bucket's rule cannot be read.
    package func settleLock(_ metadata: inout EventMetadata, now: Timestamp) throws {
        guard let configuration = try ObjectLockConfiguration.of(bucket) else {
            return VersionLock.clear(&metadata)
        }
        if metadata.hasRetention, metadata.retention.until <= now { metadata.clearRetention() }
        if !metadata.hasRetention, let standard = configuration.defaultRetention {
            metadata.retention = standard.retention(from: now)
        }
    }

    /// What a bucket begins with that is made for an import.
    /// - Parameters:
    ///   - keepsOwners: its objects belong to whom they came from, not all to the bucket's owner.
    ///   - keepsVersions: versioning is enabled from the start.
    package static func ofNewBucket(
        _ settings: S3Settings, keepsOwners: Bool, keepsVersions: Bool
    ) -> [String: [UInt8]] {
        var documents = settings.encryption.newBucket
        if settings.locksNewBuckets {
            let ownership: ObjectOwnership = keepsOwners ? .objectWriter : .bucketOwnerEnforced
            documents[BucketAccess.ownershipName] = ownership.document
            documents[BucketAccess.blockName] = PublicAccessBlock.all.document
        }
        if keepsVersions { documents["versioning"] = Array(VersioningState.enabled.rawValue.utf8) }
        return documents
    }

    /// What another S3 server's answer says of an object, in the store's form. A storage class that this store has not is
    /// left out.
    /// - Parameter headers: names in lower case.
    /// - Throws: `MetadataTooLarge`, and what a lock's headers are refused for.
    package static func metadata(
        ofAnswer headers: [(name: String, value: String)]
    ) throws -> EventMetadata {
        var fields = HTTPFields()
        for (name, value) in headers {
            if name == "x-amz-storage-class", !ObjectMetadata.storageClasses.contains(value) { continue }
            guard let field = HTTPField.Name(name) else { continue }  // it came as a header's name
            fields.append(HTTPField(name: field, value: value))
        }
        return try ObjectMetadata.parse(fields)
    }
}
