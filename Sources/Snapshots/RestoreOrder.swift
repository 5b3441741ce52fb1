import Model

/// What is to be restored, from where, and to where.
public struct RestoreOrder: Codable, Sendable {
    /// Which of the objects that are shown there; what is not named is not asked for.
    public struct Unit: Codable, Sendable {
        public var bucket: String?
        public var prefix: String?
        public var key: String?
        /// A version of `key` by its id on the wire, or "null"; else the one that was current.
        public var version: String?
        /// Versions behind the current ones and delete markers too, where the bucket keeps versions.
        public var hasEveryVersion = false
        /// A user's name, a canonical id, or a display name that versions have.
        public var owner: String?
        /// The canonical id, if ``owner`` is the name of a user: display names are not unique, and may be other than names.
        public var ownerID: String?
        /// Only replicas that no volume has good, in place.
        public var isDamagedOnly = false
        /// Of these, only what an incident affects.
        public var incident: UInt64?

        public init() {}

        /// "all", "bucket photos, prefix 2026/".
        public var words: String {
            var parts: [String] = []
            if isDamagedOnly { parts.append("what is damaged") }
            if let incident { parts.append("incident \(incident)") }
            if let bucket { parts.append("bucket \(bucket)") }
            if let prefix { parts.append("prefix \(prefix)") }
            if let key { parts.append("key \(key)") }
            if let version { parts.append("version \(version)") }
            if let owner { parts.append("owner \(owner)") }
            if parts.isEmpty { parts.append("all") }
            if hasEveryVersion { parts.append("every version") }
            return parts.joined(separator: ", ")
        }

        var isOfWholeBuckets: Bool { prefix == nil && key == nil && owner == nil && version == nil }

        func holds(_ version: ObjectVersion) -> Bool {
            holds(version.record.bucket, version.key) && isOwned(version.record)
        }

        func holds(_ upload: MultipartUpload) -> Bool {
            holds(upload.record.bucket, upload.record.key) && isOwned(upload.record)
        }

        private func holds(_ bucket: String, _ key: String) -> Bool {
            (self.bucket.map { $0 == bucket } ?? true)
                && (prefix.map { key.utf8.starts(with: $0.utf8) } ?? true)
                && (self.key.map { $0.utf8.elementsEqual(key.utf8) } ?? true)
        }

        func isOwned(_ record: EventVersionPublished) -> Bool {
            isOwned(by: record.owner, record.ownerDisplayName)
        }

        func isOwned(_ record: EventUploadCreated) -> Bool {
            isOwned(by: record.owner, record.ownerDisplayName)
        }

        private func isOwned(by id: String, _ name: String) -> Bool {
            if let ownerID { return ownerID == id }
            return owner.map { $0 == id || $0 == name } ?? true
        }
    }

    public enum Source: Codable, Sendable {
        /// The repository is an absolute path.
        case snapshot(String, repository: String)
        /// The store itself, as it was.
        case moment(Moment)
    }

    public var source: Source
    public var unit = Unit()
    /// Another bucket, instead of the objects' own.
    public var into: String?
    /// A directory that takes plain files, instead of the store; an absolute path.
    public var folder: String?
    /// Where that is as who gives the order sees it; `nil` if that is not said.
    public var sight: FolderSight?
    /// Also where the store has a newer version.
    public var overwrites = false
    public var isDryRun = false
    /// Bytes a second at most, also within an object; with `isDamagedOnly`, of what is read to find the damage, and of what is
    /// written to each volume. 0 for as fast as it goes.
    public var rate: UInt64 = 0

    public init(repository: String, snapshot: String) {
        source = .snapshot(snapshot, repository: repository)
    }

    public init(at moment: Moment) { source = .moment(moment) }

    /// What would bring back less than it says: asked of whoever gives an order, not of the command line alone.
    /// - Throws: ``SnapshotError/badOrder(_:)``.
    func check() throws {
        // Keys of several buckets would meet in one: of each, the last alone would be left.
        if into != nil, unit.bucket == nil { throw SnapshotError.badOrder(Self.intoNeedsBucket) }
    }

    /// What has no meaning, or none yet, where a whole store is made anew is not passed over.
    /// - Throws: ``SnapshotError/badOrder(_:)``.
    public func checkMakingStore() throws {
        let flags = [
            overwrites ? "--overwrite" : nil, unit.hasEveryVersion ? "--versions" : nil,
        ].compactMap { $0 }
        guard !flags.isEmpty else { return }
        throw SnapshotError.badOrder(
            "there is no store, and one is made anew without \(flags.joined(separator: ", ")): with every version, over nothing"
        )
    }

    public static let intoNeedsBucket =
        "--into goes with --bucket: the same key of two buckets would be one object there"
}

/// What became of one object, or one blob.
public struct RestoreOutcome: Codable, Sendable, Equatable {
    public enum Action: String, Codable, Sendable {
        case restored
        /// The store has the same bytes, none of which is known to be damaged everywhere; and the same metadata, tags,
        /// lock, access and owner, where it would be overwritten.
        case present
        /// The store has a newer version, which is not overwritten.
        case newer
        /// It could not be restored.
        case failed
    }

    public let action: Action
    public let bucket: String
    public let key: String
    /// The version that was; empty for a part of an upload.
    public let version: String
    /// The unfinished upload that a part is of, and the part's number.
    public let upload: String?
    public let part: Int?
    /// The owner's canonical id, and name. Both are empty for what belongs to nobody: an event of a bucket.
    public let ownerID: String
    public let owner: String
    public let size: UInt64
    /// The new version, the file or the volumes; or why not.
    public let detail: String

    package init(
        action: Action, bucket: String, key: String, version: String, upload: String? = nil,
        part: Int? = nil, ownerID: String, owner: String, size: UInt64, detail: String
    ) {
        self.action = action
        (self.bucket, self.key, self.version) = (bucket, key, version)
        (self.upload, self.part) = (upload, part)
        (self.ownerID, self.owner) = (ownerID, owner)
        self.size = size
        self.detail = detail
    }
}
