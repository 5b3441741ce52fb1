import EventLog
import Foundation
import Model
import ObjectStore
import Volumes

/// Makes a store that is lost with all its volumes anew from a repository: the very store, as it was at a snapshot.
public struct WholeRestore: Sendable {
    public struct Report: Sendable {
        public let manifest: SnapshotManifest
        public let recreation: StoreRecreation.Report
    }

    private let settings: StoreSettings
    private let environment: StoreEnvironment

    public init(_ settings: StoreSettings, _ environment: StoreEnvironment = .real) {
        self.settings = settings
        self.environment = environment
    }

    /// - Parameter pace: told of the bytes that each volume is given, one volume after the other.
    /// - Throws: ``SnapshotError``; ``VolumeError/notEmpty(path:)`` if a volume's directory has something in it.
    public func run(
        from repository: Repository, snapshot name: String,
        scratch: String = FileManager.default.temporaryDirectory.path,
        pace: BytePace = BytePace(rate: 0), progress: (Double) -> Void = { _ in }
    ) async throws -> Report {
        let manifest = try Self.plan(from: repository, snapshot: name)
        let snapshot = try SnapshotCatalog.open(manifest, in: repository, scratch: scratch)
        let report = try await StoreRecreation(settings, environment).run(
            repository.log, through: manifest.position, blobsFrom: repository.volume, snapshot.catalog,
            pace: pace, progress: progress)
        return Report(manifest: manifest, recreation: report)
    }

    /// What there would be; nothing is made.
    /// - Throws: ``SnapshotError``.
    public static func plan(from repository: Repository, snapshot name: String) throws -> SnapshotManifest {
        let manifest = try repository.snapshot(name)
        guard try repository.log.chainHash(at: manifest.position).description == manifest.chain else {
            throw SnapshotError.damagedManifest(
                path: repository.manifestPath(name),
                reason: "event \(manifest.sequence) of the repository's log has another chain hash")
        }
        return manifest
    }
}
