import Synchronization

/// Whether overwritten and deleted versions of a bucket's objects are kept.
///
/// Source: Amazon S3 User Guide, "Using versioning in S3 buckets".
public enum VersioningState: String, Sendable {
    /// Never enabled: S3 shows no status at all.
    case off = ""
    case enabled = "Enabled"
    case suspended = "Suspended"
}

/// A bucket's settings: S3's documents, and what was read from them.
///
/// The catalog hands out one such object for as long as the bucket does not change, so what a document says is
/// found out once and not at each request.
public final class BucketSettings: Hashable, Sendable {
    /// By S3 subresource name.
    public let documents: [String: [UInt8]]
    private let meanings = Mutex<[String: any Sendable]>([:])

    public init(_ documents: [String: [UInt8]] = [:]) { self.documents = documents }

    public subscript(name: String) -> [UInt8]? { documents[name] }

    /// What the document says; `nil` if the bucket has none.
    /// - Parameter read: makes sense of the document; a document has one reader.
    public func meaning<Meaning: Sendable>(
        of name: String, _ read: ([UInt8]) throws -> Meaning
    ) rethrows -> Meaning? {
        guard let document = documents[name] else { return nil }
        if let known = meanings.withLock({ $0[name] }) as? Meaning { return known }
        let meaning = try read(document)
        meanings.withLock { $0[name] = meaning }
        return meaning
    }

    public static func == (left: BucketSettings, right: BucketSettings) -> Bool {
        left === right || left.documents == right.documents
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(documents) }
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
    /// The other settings.
    public let settings: BucketSettings

    public init(
        name: BucketName, owner: String, region: String, created: Timestamp,
        createdSequence: SequenceNumber, versioning: VersioningState, settings: BucketSettings
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
