import Model

/// What the writing connection keeps from one statement to the next. One thread at a time, as the connection.
final class WritingSession: @unchecked Sendable {  // used inside Catalog.withWriter, by one thread at a time
    let statements: HotStatements
    let changes: HotChanges
    /// Buckets as the open transaction has them.
    let buckets = BucketCache()
    private let committedBuckets: BucketCache
    /// The last event applied, committed or not; the table has it from each commit on.
    var position = LogPosition.start
    /// Where the open transaction began.
    private(set) var start = LogPosition.start
    var isMoved: Bool { position.sequence != start.sequence }
    private var bucketsAreTouched = false

    init(statements: HotStatements, changes: HotChanges, committedBuckets: BucketCache) {
        self.statements = statements
        self.changes = changes
        self.committedBuckets = committedBuckets
    }

    func begin(at position: LogPosition) {
        start = position
        self.position = position
    }

    /// A bucket is about to change.
    func touchBuckets() {
        buckets.clear()
        bucketsAreTouched = true
    }

    /// The transaction's changes can be seen: who reads the cache from now on sees them too.
    func committed() {
        if bucketsAreTouched { committedBuckets.clear() }
        bucketsAreTouched = false
    }

    func forgetBuckets() {
        buckets.clear()
        bucketsAreTouched = false
    }
}
