import HTTPTypes
import Model
import ObjectStore
import Synchronization

/// The access logs of buckets on their way to the buckets that keep them.
///
/// A request to a bucket with logging leaves a record in a batch in memory. A batch becomes an object of the target
/// bucket when it is full or old enough, and at shutdown. As on Amazon S3, a log is a best effort: memory is
/// bounded, and what does not fit, or was not delivered when the server is killed, is lost; what is dropped is
/// counted and told.
///
/// A store where no bucket logs pays for one atomic load a request, and another bucket's request for one look into
/// a set of names: the names here may be too many, never too few, and the bucket's own setting decides.
public final class AccessLogs: Sendable {
    /// Bytes of records at which a batch is full.
    static let batchByteCount = 1024 * 1024
    /// Bytes of records in memory, delivered or not.
    package static let memoryLimit = 32 * 1024 * 1024
    /// What a batch costs beside its records.
    private static let batchOverhead = 1024

    /// What the records of one object have in common.
    struct Destination: Hashable, Sendable {
        let source: BucketName
        let owner: String
        let region: String
        let rules: LoggingRules
        /// Days since 1970, where an object is for the requests of one day.
        let day: UInt64?
    }

    struct Batch: Sendable {
        let destination: Destination
        let begun: ContinuousClock.Instant
        /// When the first of its requests came in.
        let events: Timestamp
        var records: [UInt8] = []
        var count = 0
        var attempts = 0
        /// A delivery that failed is not tried again before.
        var notBefore: ContinuousClock.Instant

        var cost: Int { records.count + AccessLogs.batchOverhead }
    }

    private struct State {
        var open: [Destination: Batch] = [:]
        var full: [Batch] = []
        var byteCount = 0
        var dropped = 0
    }

    let store: ObjectStore
    /// How the objects of a bucket that encrypts by itself are enciphered.
    let encryption: EncryptionSettings
    private let state = Mutex(State())
    private let loggedBuckets = ReadMostly<Set<String>>([])
    private let hasLoggedBuckets = Atomic<Bool>(false)

    package init(store: ObjectStore, encryption: EncryptionSettings) {
        self.store = store
        self.encryption = encryption
    }

    /// Finds the buckets that log; for a store that was just opened.
    public func findLoggedBuckets() throws {
        for bucket in try store.buckets() where bucket.settings[LoggingRules.setting] != nil {
            mayLog(bucket.name.rawValue)
        }
    }

    /// Remembers that a bucket may log its requests from now on.
    func mayLog(_ bucket: String) {
        loggedBuckets.change { _ = $0.insert(bucket) }
        hasLoggedBuckets.store(true, ordering: .relaxed)
    }

    var isUsed: Bool { hasLoggedBuckets.load(ordering: .relaxed) }

    /// What is to be kept of a request until it has been answered; `nil` if its bucket logs nothing.
    func note(
        _ sender: AccessNote.Sender, _ operation: Operation?, _ trail: AccessTrail?,
        requestID: String, hostID: String
    ) -> AccessNote? {
        func note(
            _ bucket: Bucket, _ rules: LoggingRules, _ part: AccessNote.Part? = nil,
            _ further: [AccessNote] = []
        ) -> AccessNote {
            AccessNote(
                bucket: bucket, rules: rules, target: sender.target, requester: sender.userID,
                operation: operation, requestID: requestID, hostID: hostID, part: part, further: further)
        }
        var further: [AccessNote] = []
        if let source = trail?.source, let (bucket, rules) = logged(source.bucket.rawValue) {
            let name = operation == .uploadPartCopy ? "REST.COPY.PART_GET" : "REST.COPY.OBJECT_GET"
            further.append(
                note(
                    bucket, rules,
                    .init(
                        operation: name, key: source.key.rawValue, versionID: source.versionID,
                        size: source.size)))
        }
        guard let (bucket, rules) = logged(sender.target.bucket) else { return further.first }
        further += (trail?.deletions ?? []).map {
            note(
                bucket, rules,
                .init(
                    operation: "BATCH.DELETE.OBJECT", key: $0.key, versionID: $0.versionID, status: $0.status,
                    errorCode: $0.errorCode))
        }
        return note(bucket, rules, nil, further)
    }

    /// The bucket, if it logs, and where to.
    private func logged(_ name: String?) -> (Bucket, LoggingRules)? {
        guard let name, loggedBuckets.read({ $0.contains(name) }) else { return nil }
        do {
            let bucket = try store.bucket(try BucketName(name))
            let rules = try bucket.stored(LoggingRules.setting) { try LoggingRules(stored: $0) }
            return rules.map { (bucket, $0) }
        } catch {
            // The bucket is gone, or where it logs to cannot be read: the record has nowhere to go.
            state.withLock { $0.dropped += 1 }
            return nil
        }
    }

    /// Takes the records of a request that has been answered.
    public func record(
        _ note: AccessNote, _ request: HTTPRequest, _ response: ServiceResponse, _ facts: AccessFacts
    ) {
        recordOne(note, request, response, facts)
        for other in note.further { recordOne(other, request, response, facts) }
    }

    private func recordOne(
        _ note: AccessNote, _ request: HTTPRequest, _ response: ServiceResponse, _ facts: AccessFacts
    ) {
        let elapsed = facts.duration.components
        let microseconds =
            UInt64(elapsed.seconds) * 1_000_000 + UInt64(elapsed.attoseconds / 1_000_000_000_000)
        let time = Timestamp(microseconds: Timestamp.now().microseconds &- microseconds)
        let line = AccessRecord.line(note, request, response, facts, time: time)
        let destination = Destination(
            source: note.bucket.name, owner: note.bucket.owner, region: note.bucket.region, rules: note.rules,
            day: note.rules.isByDay ? time.seconds / 86_400 : nil)
        let now = ContinuousClock.now
        state.withLock { state in
            let overhead = state.open[destination] == nil ? Self.batchOverhead : 0
            guard state.byteCount + line.count + overhead <= Self.memoryLimit else {
                state.dropped += 1
                return
            }
            state.byteCount += line.count + overhead
            state.open[
                destination,
                default: Batch(destination: destination, begun: now, events: time, notBefore: now)
            ].add(line)
            if let batch = state.open[destination], batch.records.count >= Self.batchByteCount {
                state.full.append(batch)
                state.open[destination] = nil
            }
        }
    }

    // MARK: For the delivery

    /// Batches that are full, or begun no later than `age` ago.
    func take(olderThan age: Duration) -> [Batch] {
        let now = ContinuousClock.now
        return state.withLock { state in
            var due = state.full.filter { $0.notBefore <= now }
            state.full.removeAll { $0.notBefore <= now }
            for (destination, batch) in state.open where now - batch.begun >= age {
                due.append(batch)
                state.open[destination] = nil
            }
            return due
        }
    }

    /// Everything, whatever its age.
    func takeAll() -> [Batch] {
        state.withLock { state in
            defer { (state.full, state.open) = ([], [:]) }
            return state.full + state.open.values
        }
    }

    func release(_ batch: Batch) {
        state.withLock {
            $0.byteCount -= batch.cost
            assert($0.byteCount >= 0, "a batch is released once")
        }
    }

    /// A batch could not be delivered, and is to be tried again.
    func putBack(_ batch: Batch, after delay: Duration) {
        var batch = batch
        batch.attempts += 1
        batch.notBefore = ContinuousClock.now + delay
        state.withLock { $0.full.append(batch) }
    }

    /// Records dropped since this was last asked.
    func takeDropped() -> Int {
        state.withLock { state in
            defer { state.dropped = 0 }
            return state.dropped
        }
    }
}

extension AccessLogs.Batch {
    mutating func add(_ line: [UInt8]) {
        records += line
        count += 1
    }
}
