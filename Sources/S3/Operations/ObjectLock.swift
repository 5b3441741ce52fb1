import HTTPTypes
import Model
import ObjectStore

extension S3Call {
    /// Retention in governance mode does not hold for who says so and may: that he may was found out before.
    var bypassesGovernance: Bool { headers[.amzBypassGovernance]?.lowercased() == "true" }

    /// Whether the body comes with a digest of its own, besides the signature's.
    func requireDigest() throws {
        guard try headers[.contentMD5] != nil || AnnouncedChecksum(headers) != nil else {
            throw S3Error(
                .invalidRequest,
                "Missing required header for this request: Content-MD5 OR x-amz-checksum-*")
        }
    }
}

/// Source: Amazon S3 API Reference, the actions named by each method.
extension S3Service {
    // MARK: Of buckets

    func getObjectLockConfiguration(_ call: S3Call) throws -> ServiceResponse {
        let bucket = try store.bucket(try call.bucket())
        guard let document = bucket.settings[ObjectLockConfiguration.setting] else {
            throw S3Error(
                .objectLockConfigurationNotFound,
                "Object Lock configuration does not exist for this bucket",
                details: [("BucketName", bucket.name.rawValue)])
        }
        return ServiceResponse(.ok, headers: [.contentType: "application/xml"], body: .bytes(document))
    }

    func putObjectLockConfiguration(_ call: S3Call) async throws -> ServiceResponse {
        let bucket = try store.bucket(try call.bucket())
        try call.requireDigest()
        let configuration = try ObjectLockConfiguration(try await document(call))
        return try await configure(bucket.name, ObjectLockConfiguration.setting, configuration.document, call)
    }

    // MARK: Of versions

    func getObjectRetention(_ call: S3Call) throws -> ServiceResponse {
        let metadata = try lockable(call).record.metadata
        guard metadata.hasRetention else { throw Self.noLock(call) }
        return ServiceResponse(
            xml: XMLWriter("Retention") { xml in
                xml.element("Mode", metadata.retention.mode.wire)
                xml.element("RetainUntilDate", metadata.retention.until)
            })
    }

    func putObjectRetention(_ call: S3Call) async throws -> ServiceResponse {
        try call.requireDigest()
        let root = try XMLElement.parse(try await document(call), root: "Retention")
        let wanted = try retention(root)
        let version = try lockable(call)
        return try await amendLock(of: version, .retention, call) { metadata in
            if let wanted { metadata.retention = wanted } else { metadata.clearRetention() }
        }
    }

    /// - Returns: `nil` to take retention away.
    private func retention(_ root: XMLElement) throws -> EventRetention? {
        guard !root.children.isEmpty else { return nil }
        guard let mode = EventRetention.Mode(wire: root.value("Mode") ?? ""),
            let until = VersionLock.date8601(root.value("RetainUntilDate") ?? "")
        else { throw S3Error.malformedDocument }
        let retention = EventRetention(mode, until: until)
        try checkFuture(retention)
        return retention
    }

    private func checkFuture(_ retention: EventRetention) throws {
        guard retention.until > clock() else {
            throw S3Error(
                .invalidArgument, "The retain until date must be in the future!",
                details: [
                    ("ArgumentName", HTTPField.Name.amzLockUntil.canonicalName),
                    ("ArgumentValue", retention.until.description),
                ])
        }
    }

    func getObjectLegalHold(_ call: S3Call) throws -> ServiceResponse {
        guard let hold = VersionLock.hold(try lockable(call).record.metadata) else {
            throw Self.noLock(call)
        }
        return ServiceResponse(xml: XMLWriter("LegalHold") { $0.element("Status", hold) })
    }

    func putObjectLegalHold(_ call: S3Call) async throws -> ServiceResponse {
        try call.requireDigest()
        let root = try XMLElement.parse(try await document(call), root: "LegalHold")
        guard let status = root.value("Status"), status == "ON" || status == "OFF" else {
            throw S3Error.malformedDocument
        }
        return try await amendLock(of: try lockable(call), .legalHold, call) {
            VersionLock.setHold(status == "ON", &$0)
        }
    }

    /// The version that the request names, if its bucket has Object Lock.
    private func lockable(_ call: S3Call) throws -> ObjectVersion {
        let bucket = try store.bucket(try call.bucket())
        guard bucket.settings[ObjectLockConfiguration.setting] != nil else { throw S3Error.bucketHasNoLock }
        return try store.version(bucket.name, try call.key(), try call.version())
    }

    private static func noLock(_ call: S3Call) -> S3Error {
        S3Error(
            .noSuchObjectLockConfiguration, "The specified object does not have a ObjectLock configuration",
            details: [("Key", call.target.key ?? "")])
    }

    private func amendLock(
        of version: ObjectVersion, _ amendment: Amendment, _ call: S3Call,
        _ change: @escaping @Sendable (inout EventMetadata) throws -> Void
    ) async throws -> ServiceResponse {
        let commit = try await store.amend(
            version, amendment, actor: call.actor, bypassesGovernance: call.bypassesGovernance, change)
        var response = ServiceResponse(.ok)
        response.stamp(commit)
        return response
    }

    // MARK: Of new versions

    /// Puts a version that is about to be made under the lock that its headers ask for, or else the bucket's
    /// default.
    /// - Parameter hasDigest: whether the body comes with one; `nil` if the request has no body.
    func lock(_ metadata: inout EventMetadata, in bucket: Bucket, hasDigest: Bool?) throws {
        guard metadata.asksForLock || !bucket.settings.documents.isEmpty else { return }
        guard let configuration = try ObjectLockConfiguration.of(bucket) else {
            guard !metadata.asksForLock else { throw S3Error.bucketHasNoLock }
            return
        }
        if metadata.asksForLock, hasDigest == false {
            throw S3Error(
                .invalidRequest,
                "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters"
            )
        }
        if metadata.hasRetention {
            try checkFuture(metadata.retention)
        } else if let standard = configuration.defaultRetention {
            metadata.retention = standard.retention(from: clock())
        }
    }

    /// The same for a multipart upload, whose object gets the bucket's default when it is completed.
    func lockUpload(_ metadata: EventMetadata, in bucket: Bucket) throws {
        guard metadata.asksForLock else { return }
        var copy = metadata
        try lock(&copy, in: bucket, hasDigest: nil)
    }

    /// The bucket's default for an object that is made now.
    func defaultRetention(in bucket: Bucket) throws -> EventRetention? {
        try ObjectLockConfiguration.of(bucket)?.defaultRetention?.retention(from: clock())
    }

    /// A bypass that could bypass nothing is a mistake.
    func checkBypass(_ call: S3Call, in bucket: BucketName) throws {
        guard call.headers[.amzBypassGovernance] != nil else { return }
        guard try store.bucket(bucket).settings[ObjectLockConfiguration.setting] != nil else {
            throw S3Error(
                .invalidArgument,
                "x-amz-bypass-governance-retention is only applicable to Object Lock enabled buckets.")
        }
    }
}
