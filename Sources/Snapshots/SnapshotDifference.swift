import Catalog
import Foundation
import Model

/// What became of a key between two snapshots.
public struct KeyDifference: Codable, Sendable, Equatable {
    public enum Change: String, Codable, Sendable {
        /// It shows an object that it did not show before.
        case added
        /// It shows another object, or the same one amended; or versions behind the current one came or went.
        case changed
        /// It shows none any more.
        case removed
    }

    public struct Version: Codable, Sendable, Equatable {
        public let version: String
        public let size: UInt64
        public let deleteMarker: Bool
        public let sequence: UInt64
    }

    public let change: Change
    public let bucket: String
    public let key: String
    public let owner: String
    /// Versions that came, that were amended (tags, retention, access), and that went.
    public var added: [Version] = []
    public var amended: [Version] = []
    public var removed: [Version] = []
}

/// Compares two snapshots of a repository, version by version, in the order of buckets and keys.
public struct SnapshotDifference {
    private let old: VersionGroups
    private let new: VersionGroups

    /// - Parameter scratch: a directory of a real file system.
    public init(
        _ repository: Repository, from first: SnapshotManifest, to second: SnapshotManifest,
        scratch: String = FileManager.default.temporaryDirectory.path
    ) throws {
        old = VersionGroups(try SnapshotCatalog.open(first, in: repository, scratch: scratch))
        new = VersionGroups(try SnapshotCatalog.open(second, in: repository, scratch: scratch))
    }

    public func forEach(_ body: (KeyDifference) throws -> Void) throws {
        var left = try old.next()
        var right = try new.next()
        while left != nil || right != nil {
            // Of two keys, the smaller one is in one snapshot alone.
            let isLeft = right.map { right in left.map { !right.isBefore($0) } ?? false } ?? true
            let isRight = left.map { left in right.map { !left.isBefore($0) } ?? false } ?? true
            let found = try Self.compare(
                isLeft ? left?.versions ?? [] : [], isRight ? right?.versions ?? [] : [])
            if let found { try body(found) }
            if isLeft { left = try old.next() }
            if isRight { right = try new.next() }
        }
    }

    /// - Parameters: the versions of one key, newest first.
    static func compare(_ old: [ObjectVersion], _ new: [ObjectVersion]) throws -> KeyDifference? {
        guard let any = new.first ?? old.first else { return nil }
        let before = Dictionary(old.map { ($0.sequence, $0) }) { first, _ in first }
        let after = Set(new.map(\.sequence))
        let added = new.filter { before[$0.sequence] == nil }
        let amended = try new.filter { version in
            guard let was = before[version.sequence]?.record else { return false }
            return try was != version.record
                || !was.metadata.hasSameBytes(as: version.record.metadata)
        }
        let removed = old.filter { !after.contains($0.sequence) }
        guard !added.isEmpty || !amended.isEmpty || !removed.isEmpty else { return nil }
        let wasShown = old.first.map { !$0.isDeleteMarker } ?? false
        let isShown = new.first.map { !$0.isDeleteMarker } ?? false
        let change: KeyDifference.Change =
            switch (wasShown, isShown) {
            case (false, true): .added
            case (true, false): .removed
            default: .changed
            }
        return KeyDifference(
            change: change, bucket: any.record.bucket, key: any.key, owner: any.record.ownerDisplayName,
            added: added.map(describe), amended: amended.map(describe), removed: removed.map(describe))
    }

    private static func describe(_ version: ObjectVersion) -> KeyDifference.Version {
        KeyDifference.Version(
            version: version.wireVersionID, size: version.size, deleteMarker: version.isDeleteMarker,
            sequence: version.sequence.rawValue)
    }
}

/// The versions of a catalog, key by key.
private final class VersionGroups {
    struct Group {
        let bucket: String
        let key: String
        var versions: [ObjectVersion]

        func isBefore(_ other: Group) -> Bool {
            if bucket != other.bucket {
                return bucket.utf8.lexicographicallyPrecedes(other.bucket.utf8)
            }
            return key.utf8.lexicographicallyPrecedes(other.key.utf8)
        }
    }

    private static let pageCount = 1000
    private let snapshot: SnapshotCatalog
    private var page: ArraySlice<ObjectVersion> = []
    private var place: (bucket: String, key: String, sequence: SequenceNumber)?
    private var isAtEnd = false

    init(_ snapshot: SnapshotCatalog) { self.snapshot = snapshot }

    func next() throws -> Group? {
        guard let first = try peek() else { return nil }
        var group = Group(bucket: first.record.bucket, key: first.key, versions: [])
        while let version = try peek(), version.record.bucket == group.bucket,
            version.key.utf8.elementsEqual(group.key.utf8)
        {
            group.versions.append(version)
            page.removeFirst()
        }
        return group
    }

    private func peek() throws -> ObjectVersion? {
        if page.isEmpty, !isAtEnd {
            let read = try snapshot.catalog.read { try $0.versions(after: place, limit: Self.pageCount) }
            isAtEnd = read.count < Self.pageCount
            if let last = read.last { place = (last.record.bucket, last.key, last.sequence) }
            page = read[...]
        }
        return page.first
    }
}
