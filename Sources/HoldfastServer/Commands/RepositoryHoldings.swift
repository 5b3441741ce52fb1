import Catalog
import Foundation
import Model
import ObjectStore
import Snapshots

/// What `holdfast explain --repository` says of one repository: which of its snapshots hold which versions of the key,
/// and whether their bytes are there.
struct RepositoryHoldings: Encodable {
    struct Version: Encodable {
        let versionId: String
        let sequence: UInt64
        let published: String
        let size: UInt64
        let deleteMarker: Bool
        /// Whether the store has the version still, good or not.
        let inStore: Bool
        let snapshots: [String]
        let flaws: [String]
    }
    struct Unusable: Encodable {
        let snapshot: String
        let reason: String
    }

    let repository: String
    /// How many snapshots were asked.
    let snapshots: Int
    let versions: [Version]
    let unusable: [Unusable]

    var isGood: Bool { unusable.isEmpty && versions.allSatisfy(\.flaws.isEmpty) }

    /// - Parameters:
    ///   - path: of the repository; one that another process has is refused.
    ///   - versionID: the one version to tell of; `nil` for all.
    init(
        _ store: ObjectStore, _ path: String, _ bucket: BucketName, _ key: ObjectKey, versionID: String?
    ) throws {
        let repository = try RepositoryPlace.open(path, of: store.storeID)
        defer { repository.close() }
        let inspection = store.inspection
        let holdings = try SnapshotHoldings(
            of: bucket, key, in: repository, scratch: inspection.stateDirectory)
        let present = Set(
            try inspection.catalog.read { try $0.allVersions(bucket.rawValue, key.rawValue) }.map(\.sequence))
        self.repository = path
        snapshots = holdings.snapshotCount
        unusable = holdings.unusable.map { Unusable(snapshot: $0.snapshot, reason: $0.reason) }
        versions = holdings.versions.filter { versionID == nil || $0.version.wireVersionID == versionID }.map
        {
            let version = $0.version
            return Version(
                versionId: version.wireVersionID, sequence: version.sequence.rawValue,
                published: version.published.description, size: version.size,
                deleteMarker: version.isDeleteMarker, inStore: present.contains(version.sequence),
                snapshots: $0.snapshots, flaws: $0.flaws)
        }
    }

    var lines: [String] {
        var lines = ["  repository \(repository), \(counted(snapshots, "snapshot"))"]
        if versions.isEmpty { lines.append("    none holds it") }
        for version in versions {
            let what = version.deleteMarker ? "delete marker" : counted(version.size, "byte")
            let state = version.flaws.isEmpty ? "good" : version.flaws.joined(separator: "; ")
            let gone = version.inStore ? "" : ", not in the store any more"
            lines.append(
                "    version \(version.versionId) of event \(version.sequence), \(what)\(gone): \(state)")
            lines.append("      in \(version.snapshots.joined(separator: ", "))")
        }
        lines += unusable.map { "    snapshot \($0.snapshot) cannot be asked: \($0.reason)" }
        return lines
    }
}
