import Catalog
import Digests
import EventLog
import Foundation
import Model
import ObjectStore
import Volumes

/// Which snapshots of a repository hold which versions of one key, and whether the repository has their bytes good now:
/// every byte is read.
///
/// Each snapshot's catalog is asked, one after the other, since a version that the store has not any more is in no other
/// place: it takes as long as unpacking all of them does, and the space of one.
public struct SnapshotHoldings: Sendable {
    /// A version that the repository can give back, or was to.
    public struct Held: Sendable {
        public let version: ObjectVersion
        /// Names of snapshots, the oldest first.
        public internal(set) var snapshots: [String]
        /// What is wrong with its bytes in the repository; empty if they are all there and good.
        public let flaws: [String]
    }

    /// The newest version first.
    public private(set) var versions: [Held] = []
    /// How many snapshots were asked.
    public private(set) var snapshotCount = 0
    /// Snapshots that could not be, and why.
    public private(set) var unusable: [(snapshot: String, reason: String)] = []

    /// - Parameter scratch: a directory of a real file system, for one catalog at a time.
    /// - Throws: if the repository's snapshots cannot be listed.
    public init(
        of bucket: BucketName, _ key: ObjectKey, in repository: Repository, scratch: String
    ) throws {
        let (good, damaged) = try repository.snapshots()
        unusable = damaged.map { ($0.name, $0.reason) }
        for manifest in good {
            let found: [ObjectVersion]
            do {
                found = try SnapshotCatalog.open(manifest, in: repository, scratch: scratch).catalog.read {
                    try $0.allVersions(bucket.rawValue, key.rawValue)
                }
            } catch {
                unusable.append((manifest.name, "\(error)"))
                continue
            }
            snapshotCount += 1
            for version in found { note(version, manifest.name, repository) }
        }
        versions.sort { $0.version.sequence > $1.version.sequence }
    }

    private mutating func note(_ version: ObjectVersion, _ snapshot: String, _ repository: Repository) {
        if let index = versions.firstIndex(where: { $0.version.sequence == version.sequence }) {
            versions[index].snapshots.append(snapshot)
        } else {
            let flaws = version.record.pieces.flatMap { Self.flaws(of: $0, version, repository) }
            versions.append(Held(version: version, snapshots: [snapshot], flaws: flaws))
        }
    }

    private static func flaws(
        of piece: EventPiece, _ version: ObjectVersion, _ repository: Repository
    ) -> [String] {
        if let id = BlobID(bytes: piece.blobID) {
            return repository.volume.verify(id, length: piece.length, sha256: Array(piece.sha256), deep: true)
                .map { "\(repository.volume.path(of: id)): \($0)" }
        }
        guard piece.length > 0 else { return [] }
        do {
            let payload = try repository.log.payload(of: version.carrier(of: piece))
            return SHA256.hash(payload) == Array(piece.sha256)
                ? [] : ["event \(version.carrier(of: piece)) carries other bytes"]
        } catch { return ["\(error)"] }
    }
}
