import HTTPTypes
import Model
import ObjectStore

/// Ownership controls, and what a bucket starts with.
///
/// Source: Amazon S3 API Reference, the actions named by each method.
extension S3Service {
    func getBucketOwnershipControls(_ call: S3Call) throws -> ServiceResponse {
        let bucket = try store.bucket(try call.bucket())
        guard let document = bucket.settings[BucketAccess.ownershipName] else {
            throw S3Error(
                S3ErrorCode("OwnershipControlsNotFoundError", 404),
                "The bucket ownership controls were not found",
                details: [("BucketName", bucket.name.rawValue)])
        }
        return ServiceResponse(
            .ok, headers: [.contentType: "application/xml"], body: .bytes(document))
    }

    func putBucketOwnershipControls(_ call: S3Call) async throws -> ServiceResponse {
        let bucket = try store.bucket(try call.bucket())
        let ownership = try ObjectOwnership(document: try await document(call))
        if ownership == .bucketOwnerEnforced, let list = BucketAccess(bucket).list,
            !list.isOnly(bucket.owner)
        {
            throw Self.listsUnderEnforcement
        }
        return try await configure(bucket.name, BucketAccess.ownershipName, ownership.document, call)
    }

    func deleteBucketOwnershipControls(_ call: S3Call) async throws -> ServiceResponse {
        return try await configure(
            try call.bucket(), BucketAccess.ownershipName, nil, call, answering: ServiceResponse(.noContent))
    }

    private static let listsUnderEnforcement = S3Error(
        S3ErrorCode("InvalidBucketAclWithObjectOwnership", 400),
        "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting")

    /// The settings of access that a new bucket begins with.
    ///
    /// Source: Amazon S3 API Reference, "CreateBucket".
    func firstAccess(_ call: S3Call) throws -> [String: [UInt8]] {
        var ownership: ObjectOwnership? = settings.locksNewBuckets ? .bucketOwnerEnforced : nil
        if let name = call.headers[.amzObjectOwnership] {
            guard let named = ObjectOwnership(rawValue: name) else {
                throw S3Error.invalidArgument(
                    "Invalid x-amz-object-ownership header", name: "x-amz-object-ownership", value: name)
            }
            ownership = named
        }
        var documents: [String: [UInt8]] = [:]
        documents[BucketAccess.ownershipName] = ownership?.document
        let block = settings.locksNewBuckets ? PublicAccessBlock.all : nil
        documents[BucketAccess.blockName] = block?.document
        let subject = ACLSubject(
            owner: call.identity.userID, ownerName: call.identity.displayName,
            bucketOwner: call.identity.userID, isBucket: true)
        guard let list = try AccessControlList(call.headers, subject, displayName: knownUser),
            list != subject.plainList
        else { return documents }
        guard ownership != .bucketOwnerEnforced else { throw Self.listsUnderEnforcement }
        guard block == nil || !list.isPublic else {
            throw S3Error(
                S3ErrorCode("InvalidBucketAclWithBlockPublicAccessError", 400),
                "Bucket cannot have public ACLs set with BlockPublicAccess enabled")
        }
        documents[BucketAccess.listName] = list.document(subject.owner, subject.ownerName).bytes
        return documents
    }
}
