/// One of the two files that a snapshot has in `snapshots/`, by its name there.
public struct SnapshotFile: Sendable, Hashable {
    public enum Kind: String, Sendable, CaseIterable {
        case manifest = ".json"
        case catalog = ".catalog.gz"
    }

    public let kind: Kind
    /// Of the snapshot.
    public let snapshot: String

    init(_ kind: Kind, of snapshot: String) {
        self.kind = kind
        self.snapshot = snapshot
    }

    /// `nil` for what is the name of neither.
    init?(_ name: String) {
        guard let kind = Kind.allCases.first(where: { name.hasSuffix($0.rawValue) }) else { return nil }
        self.init(kind, of: String(name.dropLast(kind.rawValue.utf8.count)))
        do { try SnapshotManifest.check(name: snapshot) } catch { return nil }
    }

    var name: String { snapshot + kind.rawValue }
    /// Relative to the repository.
    public var path: String { "snapshots/\(name)" }

    /// Both of a snapshot's.
    static func all(of snapshot: String) -> Set<SnapshotFile> {
        Set(Kind.allCases.map { SnapshotFile($0, of: snapshot) })
    }
}
