/// Whether overwritten and deleted versions of a bucket's objects are kept.
///
/// Source: Amazon S3 User Guide, "Using versioning in S3 buckets".
public enum VersioningState: String, Sendable {
    /// Never enabled: S3 shows no status at all.
    case off = ""
    case enabled = "Enabled"
    case suspended = "Suspended"
}

/// A bucket as the catalog has it.
public struct Bucket: Hashable, Sendable {
    public let name: BucketName
    public let owner: String
    public let region: String
    public let created: Timestamp
    /// The sequence of the event that created it: tells a bucket from an earlier one of the same name.
    public let createdSequence: SequenceNumber
    public let versioning: VersioningState
    /// The other settings, by S3 subresource name.
    public let settings: [String: [UInt8]]

    public init(
        name: BucketName, owner: String, region: String, created: Timestamp,
        createdSequence: SequenceNumber, versioning: VersioningState, settings: [String: [UInt8]]
    ) {
        self.name = name
        self.owner = owner
        self.region = region
        self.created = created
        self.createdSequence = createdSequence
        self.versioning = versioning
        self.settings = settings
    }
}
