import HTTPTypes
import Model
import ObjectStore

/// Whether a sender may do what is asked.
///
/// The store is one account, administered by its operator. Root, the administrator, may do everything; only an
/// explicit denial of a bucket's policy binds root, and never where the policy itself is read or changed. A user
/// without policies makes buckets and does everything with those that are theirs, and with what is in them,
/// whoever wrote it; a user with policies does what they allow. Besides, everybody may do what a bucket's policy
/// or an access control list allows. An explicit denial counts before everything. Anonymous senders have
/// nothing but what policies and lists give to everybody.
///
/// The plain case is found first: the owner or root, no policy. It reads nothing but the bucket, which is kept
/// in memory.
///
/// Source: Amazon S3 User Guide, "How Amazon S3 authorizes a request".
extension S3Service {
    /// - Returns: which of all buckets of its name the sender was let into; `nil` for what is about no bucket yet.
    /// - Throws: `AccessDenied`; `NoSuchBucket`, which anonymous senders are not told.
    func authorize(_ operation: Operation, _ call: S3Call) throws -> SequenceNumber? {
        switch operation {
        // A form's sender is known when its fields are read; a preflight is nobody's.
        case .preflight, .postObject: return nil
        case .listBuckets, .createBucket:
            try authorizeOwn(operation, call)
            return nil
        default: break
        }
        let bucket = try bucket(try call.bucket(), call)
        try checkExpected(bucket, call.headers[.amzExpectedBucketOwner])
        if operation == .copyObject || operation == .uploadPartCopy { try authorizeSource(call) }
        if operation == .copyObject { try authorizeCopiedTags(into: bucket, call) }
        // Each of many keys is decided on its own.
        if operation == .deleteObjects || isPlain(bucket, call.identity) { return bucket.createdSequence }
        let access = BucketAccess(bucket)
        for need in operation.needs(call.headers, call.query) {
            let subject = AccessSubject(
                bucket: bucket, key: need.isOfObject ? try call.key() : nil,
                version: try call.version(), upload: need.right == .initiator ? call.query["uploadId"] : nil)
            try check(need, subject, access, call, isOfPolicy: operation.isOfPolicy)
        }
        return bucket.createdSequence
    }

    /// Whether a key of many may be deleted.
    /// - Throws: `AccessDenied`.
    func authorizeDeletion(of key: ObjectKey, _ version: VersionSelector, _ call: S3Call) throws {
        let bucket = try store.bucket(try call.bucket())
        if isPlain(bucket, call.identity) { return }
        let access = BucketAccess(bucket)
        for need in Operation.deletion(isVersioned: version != .current, call.headers) {
            let subject = AccessSubject(bucket: bucket, key: key, version: version, upload: nil)
            try check(need, subject, access, call)
        }
    }

    /// The owner, or root, where no policy says anything.
    private func isPlain(_ bucket: Bucket, _ identity: Identity) -> Bool {
        (identity.isRoot || (bucket.owner == identity.userID && identity.policies == nil))
            && bucket.settings[BucketAccess.policyName] == nil
    }

    private func bucket(_ name: BucketName, _ call: S3Call) throws -> Bucket {
        do { return try store.bucket(name) } catch StoreError.noSuchBucket where call.identity.isAnonymous {
            throw Self.accessDenied
        }
    }

    private func checkExpected(_ bucket: Bucket, _ expected: String?) throws {
        guard let expected, expected != bucket.owner else { return }
        throw Self.accessDenied
    }

    /// Making a bucket, and seeing one's own, is every user's right whom no policies bind.
    private func authorizeOwn(_ operation: Operation, _ call: S3Call) throws {
        guard !call.identity.isAnonymous else { throw Self.accessDenied }
        guard let policies = call.identity.policies, !call.identity.isRoot else { return }
        var actions = ["ListAllMyBuckets"]
        if operation == .createBucket {
            actions = ["CreateBucket"]
            if AccessControlList.areNamed(in: call.headers) { actions.append("PutBucketAcl") }
            if call.headers[.amzObjectOwnership] != nil { actions.append("PutBucketOwnershipControls") }
            if call.headers[.amzBucketObjectLock]?.lowercased() == "true" {
                actions += ["PutBucketVersioning", "PutBucketObjectLockConfiguration"]
            }
        }
        let resource = "arn:aws:s3:::" + (operation == .createBucket ? try call.bucket().rawValue : "*")
        let context = RequestContext(call: call, now: clock(), owner: call.identity.userID) { nil }.context
        for action in actions {
            let request = PolicyRequest(
                principal: call.identity.principal, action: "s3:" + action, resource: resource,
                context: context)
            try tell(policies.flaw, call)
            guard policies.verdict(on: request) == .allowed else { throw Self.accessDenied }
        }
    }

    /// A copy reads its source.
    private func authorizeSource(_ call: S3Call) throws {
        let source = try CopySource(call)
        call.trail?.copies(
            from: .init(bucket: source.bucket, key: source.key, versionID: source.version.text))
        let bucket = try bucket(source.bucket, call)
        try checkExpected(bucket, call.headers[.amzSourceExpectedBucketOwner])
        if isPlain(bucket, call.identity) { return }
        let action = source.version == .current ? "GetObject" : "GetObjectVersion"
        try check(
            .object(action, .readObject),
            AccessSubject(bucket: bucket, key: source.key, version: source.version, upload: nil),
            BucketAccess(bucket), call)
    }

    /// A copy that takes its source's tags along reads and puts them, where there are any.
    private func authorizeCopiedTags(into bucket: Bucket, _ call: S3Call) throws {
        let source = try CopySource(call)
        let from = try self.bucket(source.bucket, call)
        if isPlain(from, call.identity), isPlain(bucket, call.identity) { return }
        guard let tags = copiedTags(call), !tags.isEmpty else { return }
        if !isPlain(from, call.identity) {
            let action = source.version == .current ? "GetObjectTagging" : "GetObjectVersionTagging"
            try check(
                .object(action),
                AccessSubject(bucket: from, key: source.key, version: source.version, upload: nil),
                BucketAccess(from), call)
        }
        if !isPlain(bucket, call.identity) {
            try check(
                .object("PutObjectTagging", .writeBucket),
                AccessSubject(bucket: bucket, key: try call.key(), version: .current, upload: nil),
                BucketAccess(bucket), call)
        }
    }

    /// The tags that a copy takes along; `nil` for what is no copy, and for one that brings its own.
    private func copiedTags(_ call: S3Call) -> [String: String]? {
        guard call.head.method == .put, call.headers[.amzCopySource] != nil, !call.query.has("uploadId"),
            // What cannot be read here, the operation finds unreadable too, and tells.
            let directives = try? CopyDirectives(call.headers), !directives.replacesTags,
            let source = try? CopySource(call)
        else { return nil }
        return
            (try? store.version(source.bucket, source.key, source.version))?.record.metadata.tags ?? [:]
    }

    /// The buckets that a sender sees: the administrator all, everybody else their own.
    func visibleBuckets(_ call: S3Call) throws -> [Bucket] {
        let all = try store.buckets()
        return call.identity.isRoot ? all : all.filter { $0.owner == call.identity.userID }
    }

    // MARK: One need

    private func check(
        _ need: AccessNeed, _ subject: AccessSubject, _ access: BucketAccess, _ call: S3Call,
        isOfPolicy: Bool = false
    ) throws {
        guard try decide(need, subject, access, call, isOfPolicy: isOfPolicy) else { throw Self.accessDenied }
    }

    /// The order in which the parts of a decision count.
    private func decide(
        _ need: AccessNeed, _ subject: AccessSubject, _ access: BucketAccess, _ call: S3Call, isOfPolicy: Bool
    ) throws -> Bool {
        let identity = call.identity
        if !(identity.isRoot && isOfPolicy) { try tell(access.policyFlaw.map { "\($0)" }, call) }
        for flaw in access.flaws { onFault(call.requestID, "access", "\(flaw)") }
        if !identity.isRoot { try tell(identity.policies?.flaw, call) }
        let request = request(need, subject, call)
        let bucketVerdict = access.verdict(on: request)
        if identity.isRoot { return bucketVerdict != .denied || isOfPolicy }
        let userVerdict = identity.policies?.verdict(on: request) ?? .silent
        if bucketVerdict == .denied || userVerdict == .denied { return false }
        if bucketVerdict == .allowed || userVerdict == .allowed { return true }
        if identity.policies == nil, access.owner == identity.userID { return true }
        return try listGrants(need, subject, access, identity)
    }

    /// A policy that cannot be read may deny anything, and is taken to.
    private func tell(_ flaw: String?, _ call: S3Call) throws {
        guard let flaw else { return }
        onFault(call.requestID, "access", flaw)
        throw S3Error(
            .accessDenied,
            "Access Denied: a stored policy cannot be read. The administrator can put another or delete it.")
    }

    private func request(_ need: AccessNeed, _ subject: AccessSubject, _ call: S3Call) -> PolicyRequest {
        let version = subject.version.text
        var context = RequestContext(
            call: call, now: clock(), owner: subject.bucket.owner, version: version
        ) { [store] in
            guard let key = subject.key else { return nil }
            // An object that cannot be read has no tags; the operation finds the same, and tells.
            return try? store.version(subject.bucket.name, key, subject.version).record.metadata.tags
        }
        context.copiedTags = { self.copiedTags(call) }
        return PolicyRequest(
            principal: call.identity.principal, action: need.action,
            resource: subject.resource(isOfObject: need.isOfObject), context: context.context)
    }

    private func listGrants(
        _ need: AccessNeed, _ subject: AccessSubject, _ access: BucketAccess, _ identity: Identity
    ) throws -> Bool {
        let user = Self.grantee(identity, ownerIs: access.owner)
        switch need.right {
        case .none: return false
        case .readBucket: return access.grants(.read, to: user)
        case .writeBucket: return access.grants(.write, to: user)
        case .readBucketList: return access.grants(.readAcp, to: user)
        case .writeBucketList: return access.grants(.writeAcp, to: user)
        case .readObject: return try objectGrants(.read, subject, access, identity)
        case .readObjectList: return try objectGrants(.readAcp, subject, access, identity)
        case .writeObjectList: return try objectGrants(.writeAcp, subject, access, identity)
        case .initiator:
            guard let user, identity.policies == nil, let key = subject.key,
                let id = UploadID(subject.upload ?? "")
            else { return false }
            let upload: MultipartUpload
            do { upload = try store.upload(subject.bucket.name, key, id) } catch StoreError.noSuchUpload {
                return access.grants(.write, to: user)  // so that whoever could have begun it is told
            }
            return upload.initiator.id == user
        }
    }

    /// Who a sender is to a list: the grants to whoever owns what it is about are the owner's own rights, and give
    /// nothing to an owner whose rights are those that policies give.
    private static func grantee(_ identity: Identity, ownerIs owner: String) -> String? {
        if identity.isAnonymous { return nil }
        return identity.policies != nil && identity.userID == owner ? "" : identity.userID
    }

    private func objectGrants(
        _ permission: EventGrant.Permission, _ subject: AccessSubject, _ access: BucketAccess,
        _ identity: Identity
    ) throws -> Bool {
        guard !access.isEnforced, let key = subject.key else { return false }
        let version: ObjectVersion
        do { version = try store.version(subject.bucket.name, key, subject.version) } catch let error
            as StoreError
        {
            // Whoever may list the bucket may know what is not in it.
            let user = Self.grantee(identity, ownerIs: access.owner)
            guard error.tellsWhatIsThere, access.grants(.read, to: user) else {
                if error.tellsWhatIsThere { return false }
                throw error
            }
            return true
        }
        let user = Self.grantee(identity, ownerIs: version.record.owner)
        // The owner can always read and change the list.
        if permission != .read, version.record.owner == user { return true }
        guard version.record.metadata.hasAccessControl else { return version.record.owner == user }
        return AccessControlList(version.record.metadata.accessControl.grants)
            .allows(permission, to: user, ignoresOpen: access.block.ignoresPublicACLs)
    }

    // MARK: What a sender is told

    /// Carries an operation out. That a key is not there is told to those who may list the bucket; others hear
    /// that they are denied, as Amazon S3 has it.
    func performDiscreetly(_ operation: Operation, _ call: S3Call) async throws -> ServiceResponse {
        do { return try await perform(operation, call) } catch let error as StoreError
            where error.tellsWhatIsThere
        {
            throw try mayKnow(error, operation, call) ? error : Self.accessDenied
        }
    }

    private func mayKnow(_ error: StoreError, _ operation: Operation, _ call: S3Call) throws -> Bool {
        let isCopy = operation == .copyObject || operation == .uploadPartCopy
        let name = isCopy ? try CopySource(call).bucket : try call.bucket()
        let bucket = try store.bucket(name)
        if isPlain(bucket, call.identity) || call.identity.isRoot { return true }
        var need = AccessNeed.bucket("ListBucket", .readBucket)
        if case .noSuchVersion = error { need = .bucket("ListBucketVersions", .readBucket) }
        let subject = AccessSubject(bucket: bucket, key: nil, version: .current, upload: nil)
        return try decide(need, subject, BucketAccess(bucket), call, isOfPolicy: false)
    }

    static var accessDenied: S3Error { S3Error(.accessDenied, "Access Denied") }
}

/// What a decision is about.
private struct AccessSubject: Sendable {
    let bucket: Bucket
    let key: ObjectKey?
    let version: VersionSelector
    /// The multipart upload named.
    let upload: String?

    func resource(isOfObject: Bool) -> String {
        "arn:aws:s3:::\(bucket.name)" + (isOfObject ? "/\(key?.rawValue ?? "")" : "")
    }
}

extension StoreError {
    /// Whether the error says that an object is, or is not, there.
    fileprivate var tellsWhatIsThere: Bool {
        switch self {
        case .noSuchKey, .noSuchVersion, .isDeleteMarker: true
        default: false
        }
    }
}

extension Identity {
    var principal: PolicyPrincipal {
        isAnonymous ? .anonymous : .user(name: userName, canonicalID: userID)
    }
}

extension MultipartUpload {
    /// Who began it: where nobody else is named, the owner of the object to come.
    var initiator: (id: String, name: String) {
        record.initiator.isEmpty
            ? (record.owner, record.ownerDisplayName) : (record.initiator, record.initiatorDisplayName)
    }
}
