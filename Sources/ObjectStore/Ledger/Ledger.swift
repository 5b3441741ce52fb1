import Model

/// What is true as of one position of the log.
///
/// All of it may read the catalog's file: call on a worker thread.
public protocol LedgerView {
    func position() throws -> LogPosition
    func bucket(_ name: BucketName) throws -> Bucket?
    func buckets() throws -> [Bucket]
    /// Whether the bucket holds no version, delete marker or unfinished upload.
    func isEmpty(_ bucket: BucketName) throws -> Bool
    /// The newest version of the key, a delete marker included.
    func newestVersion(_ bucket: BucketName, _ key: ObjectKey) throws -> ObjectVersion?
    func version(_ bucket: BucketName, _ key: ObjectKey, _ selector: VersionSelector) throws -> ObjectVersion?
    func upload(_ bucket: BucketName, _ key: ObjectKey, _ id: UploadID) throws -> MultipartUpload?
    func part(_ id: UploadID, number: Int) throws -> UploadedPart?
    func parts(of id: UploadID, after number: Int, limit: Int) throws -> [UploadedPart]
    func listCurrent(
        _ bucket: BucketName, prefix: String, delimiter: String, after: String, limit: Int
    ) throws -> ListingPage
    func listVersions(
        _ bucket: BucketName, prefix: String, delimiter: String, keyMarker: String,
        versionMarker: VersionSelector?, limit: Int
    ) throws -> ListingPage
    func listUploads(
        _ bucket: BucketName, prefix: String, delimiter: String, keyMarker: String,
        uploadMarker: UploadID?, limit: Int
    ) throws -> UploadsPage
    /// Whether no version or part refers to the blob, and no plan to reclaim names it yet.
    func isDead(_ id: BlobID) throws -> Bool
    /// Whether the blob is there, in use or not, and no plan to reclaim names it: a version may refer to it.
    func isHeld(_ id: BlobID) throws -> Bool
    /// The event that last stated how a version stands that a mismatch affects; 0 if none has.
    func lastStated(of version: SequenceNumber) throws -> SequenceNumber
}

/// What one proposal comes to, decided against what is true at the moment it is committed.
public enum Decision<Outcome: Sendable> {
    /// The change to append, and what the caller is told once it is durable.
    case append(EventRecord.OneOf_Change, (SequenceNumber, Timestamp) -> Outcome)
    /// Nothing has to change.
    case nothing(Outcome)
}

/// One change that somebody asks for: bytes for the log, and the decision.
public struct Proposal<Outcome: Sendable>: Sendable {
    let actor: Actor
    let operation: OperationID
    /// Bytes that stand in the log with the event.
    let payload: [UInt8]
    /// The volumes that were made ready for the change: hold the blob it publishes, lost the one it buries. Asked
    /// on the commit thread, where volumes come into service. Every volume in service must be among them, or the
    /// proposal comes back with ``ReplicaMissing``. `nil` if no volume has to be.
    let preparedVolumes: (@Sendable () -> Set<Int>)?
    let decide: @Sendable (any LedgerView) throws -> Decision<Outcome>

    init(
        actor: Actor, operation: OperationID = .random(), payload: [UInt8] = [],
        preparedVolumes: (@Sendable () -> Set<Int>)? = nil,
        decide: @escaping @Sendable (any LedgerView) throws -> Decision<Outcome>
    ) {
        self.actor = actor
        self.operation = operation
        self.payload = payload
        self.preparedVolumes = preparedVolumes
        self.decide = decide
    }
}

/// A volume came into service after the change was prepared: what the change needs there must be done first.
struct ReplicaMissing: Error, Sendable {
    let volumes: Set<Int>
}

/// Where truth is kept: commits changes one after the other, and shows what they came to.
///
/// The embedded ledger is the mirrored event log with the SQLite catalog; nothing above may assume that there
/// is only one process behind it.
public protocol Ledger: Sendable {
    /// Decides and commits; returns when the event is stable on a quorum of volumes.
    /// - Throws: what `decide` threw, ``StoreError/busy(_:)`` if too many commits wait,
    ///   ``StoreError/unavailable(_:)`` without quorum, ``StoreError/outcomeUnknown(_:)`` if the quorum was lost
    ///   while the event was being appended: it may be found in the log later.
    func commit<Outcome: Sendable>(_ proposal: Proposal<Outcome>) async throws -> Committed<Outcome>
    /// Reads one consistent state.
    func read<Result>(_ body: (any LedgerView) throws -> Result) throws -> Result
    /// What the view's `newestVersion` and `bucket` find, for requests that need nothing else.
    func currentVersion(_ bucket: BucketName, _ key: ObjectKey) throws -> ObjectVersion?
    func bucket(_ name: BucketName) throws -> Bucket?
    /// The last event that is committed.
    var head: LogPosition { get }
    /// Committed events from `sequence` on, at most `limit` of them.
    func events(from sequence: SequenceNumber, limit: Int) throws -> [LoggedEvent]
    /// Returns when there is an event after `sequence`, or when the ledger closes.
    func waitForEvents(after sequence: SequenceNumber) async
    /// The verified payload of an event, if nothing has to wait for a device.
    func payloadIfCached(of sequence: SequenceNumber) -> [UInt8]?
    /// The verified payload of an event, from whichever replica has it. May wait for a device.
    func payload(of sequence: SequenceNumber) throws -> [UInt8]
}
