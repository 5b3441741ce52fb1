import HTTPTypes
import Model
import ObjectStore

/// Source: Amazon S3 API Reference, "GetBucketAcl", "PutBucketAcl", "GetObjectAcl", "PutObjectAcl".
extension S3Service {
    func getBucketACL(_ call: S3Call) throws -> ServiceResponse {
        let bucket = try store.bucket(try call.bucket())
        let access = BucketAccess(bucket)
        let name = displayName(bucket.owner)
        let list = access.isEnforced ? nil : try BucketAccess.list(of: bucket)
        return ServiceResponse(
            xml: (list ?? AccessControlList(owner: bucket.owner, name)).document(bucket.owner, name))
    }

    func putBucketACL(_ call: S3Call) async throws -> ServiceResponse {
        let bucket = try store.bucket(try call.bucket())
        let access = BucketAccess(bucket)
        let subject = ACLSubject(
            owner: bucket.owner, ownerName: displayName(bucket.owner), bucketOwner: bucket.owner,
            isBucket: true)
        let list = try await list(in: call, subject)
        guard !access.isEnforced else { throw Self.noLists }
        try Self.check(list, access.block)
        let value =
            list.isOnly(bucket.owner) && list == AccessControlList(owner: subject.owner, subject.ownerName)
            ? nil : list.document(bucket.owner, subject.ownerName).bytes
        return try await configure(bucket.name, BucketAccess.listName, value, call)
    }

    func getObjectACL(_ call: S3Call) throws -> ServiceResponse {
        let bucket = try store.bucket(try call.bucket())
        let version = try store.version(bucket.name, try call.key(), try call.version())
        let isEnforced = BucketAccess.ownership(of: bucket) == .bucketOwnerEnforced
        let owner = isEnforced ? bucket.owner : version.record.owner
        let name = displayName(owner)
        let metadata = version.record.metadata
        let list =
            isEnforced || !metadata.hasAccessControl
            ? AccessControlList(owner: owner, name) : AccessControlList(metadata.accessControl.grants)
        var response = ServiceResponse(xml: list.document(owner, name))
        if bucket.versioning != .off { response.headers[.amzVersionID] = version.wireVersionID }
        return response
    }

    func putObjectACL(_ call: S3Call) async throws -> ServiceResponse {
        let bucket = try store.bucket(try call.bucket())
        let access = BucketAccess(bucket)
        let version = try store.version(bucket.name, try call.key(), try call.version())
        let owner = access.isEnforced ? bucket.owner : version.record.owner
        let subject = ACLSubject(
            owner: owner, ownerName: displayName(owner), bucketOwner: bucket.owner, isBucket: false)
        let list = try await list(in: call, subject)
        var response = ServiceResponse(.ok)
        if bucket.versioning != .off { response.headers[.amzVersionID] = version.wireVersionID }
        if access.isEnforced {
            // What is so anyway is no error, as on Amazon S3.
            guard call.headers[.amzACL] == "bucket-owner-full-control" || list == subject.plainList else {
                throw Self.noLists
            }
            return response
        }
        try Self.check(list, access.block)
        let commit = try await store.amend(version, .acl, actor: call.actor) {
            Self.keep(list, of: subject, in: &$0)
        }
        response.stamp(commit)
        return response
    }

    // MARK: Writing objects

    /// Says in `metadata` who has rights to an object that is written, and finds out whose it becomes.
    /// - Returns: the owner, where that is not the writer.
    /// - Throws: `AccessControlListNotSupported`, `AccessDenied` for a list that opens a blocked bucket.
    func settleAccess(
        _ metadata: inout EventMetadata, in bucket: Bucket, _ call: S3Call
    ) throws -> ObjectOwner? {
        let isNamed = AccessControlList.areNamed(in: call.headers)
        // A copy brings the rights of nobody along.
        if metadata.hasAccessControl { metadata.clearAccessControl() }
        // The plain case: one's own bucket, and not a word of access.
        if !isNamed, bucket.owner == call.identity.userID { return nil }
        let access = BucketAccess(bucket)
        let isWriters = bucket.owner == call.identity.userID
        if access.isEnforced {
            if isNamed { try checkEnforced(call, bucket) }
            return isWriters ? nil : ObjectOwner(id: bucket.owner, displayName: displayName(bucket.owner))
        }
        let subject = ACLSubject(
            owner: call.identity.userID, ownerName: call.identity.displayName, bucketOwner: bucket.owner,
            isBucket: false)
        guard let list = try AccessControlList(call.headers, subject, displayName: knownUser) else {
            return nil
        }
        try Self.check(list, access.block)
        if !isWriters, access.ownership == .bucketOwnerPreferred,
            list.allows(.fullControl, to: bucket.owner, ignoresOpen: true)
        {
            let name = displayName(bucket.owner)
            var others = list
            others.grants.removeAll { $0.grantee == call.identity.userID || $0.grantee == bucket.owner }
            others.grants.insert(EventGrant(.fullControl, to: bucket.owner, name), at: 0)
            Self.keep(
                others,
                of: ACLSubject(
                    owner: bucket.owner, ownerName: name, bucketOwner: bucket.owner, isBucket: false),
                in: &metadata)
            return ObjectOwner(id: bucket.owner, displayName: name)
        }
        Self.keep(list, of: subject, in: &metadata)
        return nil
    }

    /// Where the owner is enforced, lists that say what is so anyway pass.
    private func checkEnforced(_ call: S3Call, _ bucket: Bucket) throws {
        let canned = call.headers[.amzACL]
        if canned == "private" || canned == "bucket-owner-full-control" { return }
        let owner = ACLSubject(
            owner: bucket.owner, ownerName: displayName(bucket.owner), bucketOwner: bucket.owner,
            isBucket: false)
        let list = try AccessControlList(call.headers, owner, displayName: knownUser)
        guard canned == nil, list == owner.plainList else { throw Self.noLists }
    }

    private static func keep(
        _ list: AccessControlList, of subject: ACLSubject, in metadata: inout EventMetadata
    ) {
        guard list != subject.plainList else { return metadata.clearAccessControl() }
        metadata.accessControl.grants = list.grants
    }

    // MARK: Lists in requests

    /// The list that the headers ask for, or else the body.
    private func list(in call: S3Call, _ subject: ACLSubject) async throws -> AccessControlList {
        let body = try await document(call)
        if let list = try AccessControlList(call.headers, subject, displayName: knownUser) {
            guard body.isEmpty else {
                throw S3Error(
                    S3ErrorCode("UnexpectedContent", 400), "This request does not support content")
            }
            return list
        }
        guard !body.isEmpty else {
            throw S3Error(
                S3ErrorCode("MissingSecurityHeader", 400), "Your request was missing a required header",
                details: [("MissingHeaderName", "x-amz-acl")])
        }
        var list = try AccessControlList(document: body, owner: subject.owner)
        try list.settle(knownUser)
        return list
    }

    static func check(_ list: AccessControlList, _ block: PublicAccessBlock) throws {
        guard !block.blocksPublicACLs || !list.isPublic else { throw accessDenied }
    }

    static let noLists = S3Error(.accessControlListNotSupported, "The bucket does not allow ACLs")

    /// The name of whoever has the id; none for one who is gone.
    func displayName(_ userID: String) -> String { knownUser(userID) ?? "" }

    func knownUser(_ userID: String) -> String? { authenticator.identities.displayName(userID: userID) }
}

extension ACLSubject {
    /// The list of what nobody said anything of.
    var plainList: AccessControlList { AccessControlList(owner: owner, ownerName) }
}
