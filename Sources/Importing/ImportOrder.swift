import Model

/// What is to be imported, from where, and as what.
public struct ImportOrder: Codable, Sendable {
    /// An absolute path of a directory, or a place at an S3 endpoint (`s3://BUCKET/PREFIX?endpoint=…`).
    public var source: String
    public var bucket: String
    /// What every key begins with here, in front of its name there.
    public var prefix = ""
    /// Whose all of it becomes: a user's name.
    public var owner: String?
    /// Whose it becomes, by the owners and prefixes of the source: the absolute path of an ``OwnerMap``.
    public var owners: String?
    /// The path of a table of digests that files must have, as ``SumsReader`` gives them.
    public var sums: String?
    /// Of a directory: what symbolic links lead to is taken as if it stood there.
    public var followsLinks = false
    /// Of a bucket: the versions behind the current ones and the delete markers too.
    public var hasEveryVersion = false
    /// Also where the store has other bytes that did not come from this source.
    public var overwrites = false
    public var isDryRun = false
    /// Bytes a second at most; 0 for as fast as it goes.
    public var rate: UInt64 = 0
    /// Objects that are read at once.
    public var parallel = 4

    /// How many objects may be read at once.
    public static let parallelLimit = 32

    public init(from source: String, into bucket: String) {
        self.source = source
        self.bucket = bucket
    }
}

/// What became of one object.
public struct ImportOutcome: Codable, Sendable, Equatable {
    public enum Action: String, Codable, Sendable {
        case imported
        /// It was imported before, and has changed in the source since.
        case updated
        /// The store has it.
        case present
        /// It is nothing that can be an object, or is gone by now.
        case skipped
        /// The store has something else under the key, which is not overwritten.
        case conflict
        /// Its bytes are not what the source says they are. Nothing was published.
        case mismatch
        /// It could not be read or not be written.
        case failed
    }

    public private(set) var action: Action
    /// As in the source.
    public let name: String
    /// As here; empty for what can have none.
    public let key: String
    /// The version it became or is; `nil` for none.
    public var version: String?
    /// Whose it is: a display name.
    public var owner: String?
    public var size: UInt64 = 0
    /// Whether the source had a digest that its bytes were compared with.
    public var verified = false
    /// Whether it has lost its tags, if it had any: they may not be read.
    public var mayLackTags = false
    /// Why, where there is something to say.
    public var detail: String?

    init(
        _ action: Action, _ name: String, key: String = "", version: String? = nil, owner: String? = nil,
        size: UInt64 = 0, verified: Bool = false, detail: String? = nil
    ) {
        self.action = action
        self.name = name
        self.key = key
        self.version = version
        self.owner = owner
        self.size = size
        self.verified = verified
        self.detail = detail
    }

    func with(_ action: Action) -> ImportOutcome {
        var copy = self
        copy.action = action
        return copy
    }
}

/// Counts of outcomes.
public struct ImportSummary: Codable, Sendable {
    public struct Count: Codable, Sendable {
        /// Updated ones among them.
        public var imported = 0
        public var importedBytes: UInt64 = 0
        /// Of the imported ones.
        public var verified = 0
        /// Of the imported ones.
        public var mayLackTags = 0
        public var present = 0
        public var skipped = 0
        public var conflicts = 0
        public var mismatches = 0
        public var failed = 0

        mutating func add(_ outcome: ImportOutcome) {
            switch outcome.action {
            case .imported, .updated:
                imported += 1
                importedBytes += outcome.size
                if outcome.verified { verified += 1 }
                if outcome.mayLackTags { mayLackTags += 1 }
            case .present: present += 1
            case .skipped: skipped += 1
            case .conflict: conflicts += 1
            case .mismatch: mismatches += 1
            case .failed: failed += 1
            }
        }
    }

    public var total = Count()
    /// By display name; what has no owner, because it became nothing, under none.
    public var owners: [String: Count] = [:]

    /// Whether everything that the source has is here, with all that belongs to it.
    public var isComplete: Bool {
        total.conflicts == 0 && total.mismatches == 0 && total.failed == 0 && total.mayLackTags == 0
    }

    mutating func add(_ outcome: ImportOutcome) {
        total.add(outcome)
        if let owner = outcome.owner { owners[owner, default: Count()].add(outcome) }
    }
}

/// Why an import does not begin. Nothing was written by then.
public enum ImportRefusal: Error, CustomStringConvertible, Sendable {
    case badSource(String, reason: String)
    case unknownUser(String, use: String)
    /// Owners in the source that the map does not name: some of them, and how many there are.
    case unmappedOwners([String], count: Int)
    case badOwners(line: Int, reason: String)
    case badSums(line: Int, reason: String)
    case ownerEnforced(bucket: String, owner: String)
    case notVersioned(bucket: String)

    public var description: String {
        switch self {
        case .badSource(let source, let reason): return "\(source) cannot be imported: \(reason)"
        case .unknownUser(let name, let use):
            return "there is no user '\(name)', whom \(use) names: 'holdfast user create' makes one"
        case .unmappedOwners(let names, let count):
            let more = count > names.count ? " and \(count - names.count) more" : ""
            return
                "nobody is named for what these own in the source: \(names.joined(separator: ", "))\(more); add them to the owners' file, or '*' for all others"
        case .badOwners(let line, let reason): return "the owners' file, line \(line): \(reason)"
        case .badSums(let line, let reason): return "the file of sums, line \(line): \(reason)"
        case .ownerEnforced(let bucket, let owner):
            return
                "everything in bucket \(bucket) is its owner's, \(owner): give it the ownership ObjectWriter (PutBucketOwnershipControls) to keep other owners"
        case .notVersioned(let bucket):
            return "bucket \(bucket) keeps no versions: enable versioning, or leave --versions away"
        }
    }
}
