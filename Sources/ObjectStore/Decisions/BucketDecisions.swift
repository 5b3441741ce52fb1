import Model

/// What a change to a bucket comes to, given what is true when it is committed. Nothing here writes.
enum BucketDecisions {
    static func create(
        _ name: BucketName, region: String, settings: [String: [UInt8]], actor: Actor,
        in view: any LedgerView
    ) throws -> Decision<Bucket> {
        if let existing = try view.bucket(name) { throw StoreError.bucketExists(existing) }
        var rest = settings
        let state = rest.removeValue(forKey: versioning).map { String(decoding: $0, as: UTF8.self) } ?? ""
        guard let versioningState = VersioningState(rawValue: state) else {
            throw StoreError.invalidState("versioning of bucket \(name) cannot begin as '\(state)'")
        }
        guard rest[objectLock] == nil || versioningState == .enabled else { throw lockWithoutVersioning }
        var change = EventBucketCreated()
        change.bucket = name.rawValue
        change.owner = actor.id
        change.region = region
        change.settings = settings.mapValues { .init($0) }
        return .append(.bucketCreated(change)) { sequence, time in
            Bucket(
                name: name, owner: actor.id, region: region, created: time, createdSequence: sequence,
                versioning: versioningState, settings: BucketSettings(rest))
        }
    }

    /// Unfinished uploads do not keep a bucket: they end with it.
    static func delete(_ name: BucketName, in view: any LedgerView) throws -> Decision<Void> {
        guard let bucket = try view.bucket(name) else { throw StoreError.noSuchBucket(name) }
        guard try view.isEmpty(name) else { throw StoreError.bucketNotEmpty(name) }
        var change = EventBucketDeleted()
        change.bucket = name.rawValue
        change.createdSequence = bucket.createdSequence.rawValue
        return .append(.bucketDeleted(change)) { _, _ in }
    }

    /// - Throws: ``StoreError/invalidState(_:)`` for a versioning state other than "Enabled" and "Suspended":
    ///   once enabled,
    ///   versioning can be suspended and never switched off (Amazon S3 User Guide, "Using versioning in S3
    ///   buckets").
    static func configure(
        _ name: BucketName, setting: String, value: [UInt8]?, in view: any LedgerView
    ) throws -> Decision<Void> {
        guard let bucket = try view.bucket(name) else { throw StoreError.noSuchBucket(name) }
        if setting == versioning {
            let state = value.map { String(decoding: $0, as: UTF8.self) } ?? ""
            guard state == VersioningState.enabled.rawValue || state == VersioningState.suspended.rawValue
            else {
                throw StoreError.invalidState(
                    "versioning of bucket \(name) cannot become '\(state)': only Enabled or Suspended")
            }
            if bucket.versioning.rawValue == state { return .nothing(()) }
            // A suspended bucket's null version is overwritten, and what is locked must not be.
            guard bucket.settings[objectLock] == nil else {
                throw StoreError.invalidState(
                    "An Object Lock configuration is present on this bucket, so the versioning state cannot be changed."
                )
            }
        } else if setting == objectLock {
            guard bucket.versioning == .enabled else { throw lockWithoutVersioning }
            guard value != nil || bucket.settings[objectLock] == nil else {
                throw StoreError.invalidState(
                    "Object Lock of bucket \(name) cannot be removed once it is there")
            }
            if bucket.settings[objectLock] == value { return .nothing(()) }
        } else if bucket.settings[setting] == value {
            return .nothing(())
        }
        var change = EventBucketConfigured()
        change.bucket = name.rawValue
        change.setting = setting
        if let value { change.value = .init(value) } else { change.removed = true }
        return .append(.bucketConfigured(change)) { _, _ in }
    }

    static let versioning = "versioning"
    /// A bucket with this setting keeps every version, so that versions can be locked.
    static let objectLock = "object-lock"

    private static let lockWithoutVersioning = StoreError.invalidState(
        "Versioning must be 'Enabled' on the bucket to apply a Object Lock configuration")
}
