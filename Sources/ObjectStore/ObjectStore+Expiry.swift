import Model

/// A version that a lifecycle rule says is due.
public struct Expiry: Sendable {
    public enum Kind: Hashable, Sendable {
        /// The current version: hidden by a delete marker, or removed where versioning was never enabled.
        case current
        /// An older version, if at least so many noncurrent ones are newer.
        case noncurrent(newer: Int)
        /// A delete marker that hides nothing any more.
        case marker
    }

    /// The setting that has a bucket's rules.
    public static let setting = "lifecycle"

    public let kind: Kind
    public let bucket: BucketName
    public let key: ObjectKey
    public let sequence: SequenceNumber
    public let versionID: VersionID
    /// The bucket's rules as they were evaluated; under others the version is left alone.
    public let document: [UInt8]
    /// For the log.
    public let reason: String
    /// Whether the rule still takes in the version as it is when this is committed.
    public let matches: @Sendable (ObjectVersion) -> Bool

    public init(
        kind: Kind, bucket: BucketName, of row: ListedVersion, document: [UInt8], reason: String,
        matches: @escaping @Sendable (ObjectVersion) -> Bool
    ) {
        self.kind = kind
        self.bucket = bucket
        key = row.key
        sequence = row.sequence
        versionID = row.versionID
        self.document = document
        self.reason = reason
        self.matches = matches
    }
}

/// What became of what was due.
public enum ExpiryOutcome: Hashable, Sendable {
    case removed
    /// A delete marker is the current version now.
    case hidden
    /// It changed since the rule was evaluated, and was left alone.
    case overtaken
    /// A lock holds it, with what lock.
    case locked(String)
}

extension ObjectStore {
    /// Carries out what a lifecycle rule says, if that is still so when it is committed.
    public func expire(_ expiry: Expiry) async throws -> ExpiryOutcome {
        try await engine.ledger.commit(
            Proposal(actor: .holdfast) { [clock = engine.clock] in
                try ExpiryDecisions.expire(expiry, now: clock, in: $0)
            }
        ).value
    }

    /// Aborts an upload that a lifecycle rule says is due.
    public func expire(
        _ upload: MultipartUpload, document: [UInt8], reason: String
    ) async throws -> ExpiryOutcome {
        try await engine.ledger.commit(
            Proposal(actor: .holdfast) {
                try ExpiryDecisions.abort(upload, document: document, reason: reason, in: $0)
            }
        ).value
    }
}
