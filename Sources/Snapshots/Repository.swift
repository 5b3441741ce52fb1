import EventLog
import Foundation
import Model
import Volumes

/// A directory elsewhere that follows the log on demand and holds blobs: the backup (DESIGN).
///
/// It has the format of a volume, with the index 0, and `snapshots/` besides. One process at a time has it open.
public final class Repository: Sendable {
    public let directory: String
    public let volume: DirectoryVolume
    public let log: LogCopy
    let fileSystem: any FileSystem

    public var storeID: StoreID { volume.identity.storeID }
    private var snapshotsDirectory: String { directory + "/snapshots" }

    private init(_ volume: DirectoryVolume, _ fileSystem: any FileSystem) throws {
        self.volume = volume
        self.fileSystem = fileSystem
        directory = volume.directory
        let storeID = volume.identity.storeID
        log = try LogCopy(
            storeID: storeID, fileSystem: fileSystem, directory: volume.logDirectory,
            proof: LogCopy.Proof(quarantine: volume.quarantineDirectory) {
                try Self.lastEvent(of: storeID, fileSystem, volume.directory + "/snapshots")
            })
        try log.requireWhole {
            try Self.lastEvent(of: storeID, fileSystem, volume.directory + "/snapshots")
        }
    }

    /// The last event that a snapshot stands at, which was copied before its manifest was written.
    private static func lastEvent(
        of storeID: StoreID, _ fileSystem: any FileSystem, _ directory: String
    ) throws -> SequenceNumber {
        let files = try fileSystem.list(directory).filter { $0.hasSuffix(".json") }
        return files.compactMap { file in
            let path = directory + "/" + file
            // One that cannot be used is no witness; whoever needs it is told.
            let manifest = try? SnapshotManifest.decode(try fileSystem.contents(of: path), path: path)
            guard let manifest, manifest.storeID == storeID.description else { return nil }
            return manifest.position
        }.max() ?? .zero
    }

    /// Opens a repository and locks it until it is closed.
    /// - Parameters:
    ///   - storeID: the store it must be of; `nil` for any.
    ///   - creates: an empty or missing directory becomes a repository of that store.
    /// - Throws: ``SnapshotError``, ``VolumeError``, ``LogError``.
    public static func open(
        _ directory: String, of storeID: StoreID?, creates: Bool = false,
        fileSystem: any FileSystem = RealFileSystem(),
        clock: @escaping @Sendable () -> Timestamp = { .now() }
    ) throws -> Repository {
        let volume: DirectoryVolume
        do { volume = try DirectoryVolume.open(directory, fileSystem: fileSystem, clock: clock) } catch {
            switch error {
            case .missing, .empty:
                guard creates, let storeID else {
                    throw SnapshotError.notARepository(
                        path: directory,
                        reason:
                            "it is missing or empty; mount its disk, or make one with 'holdfast snapshot create DIR --to \(directory)'"
                    )
                }
                volume = try create(directory, storeID, fileSystem, clock)
            case .inUse: throw SnapshotError.inUse(path: directory)
            default: throw error
            }
        }
        do {
            guard volume.index == 0 else {
                throw SnapshotError.notARepository(
                    path: directory, reason: "it is volume \(volume.index) of a store")
            }
            if let storeID, storeID != volume.identity.storeID {
                throw SnapshotError.foreignRepository(
                    path: directory, found: volume.identity.storeID, expected: storeID)
            }
            try fileSystem.createDirectories(directory + "/snapshots", below: directory, permissions: 0o700)
            return try Repository(volume, fileSystem)
        } catch {
            volume.close()
            throw error
        }
    }

    private static func create(
        _ directory: String, _ storeID: StoreID, _ fileSystem: any FileSystem,
        _ clock: @escaping @Sendable () -> Timestamp
    ) throws -> DirectoryVolume {
        let identity = VolumeIdentity(
            storeID: storeID, volumeID: .random(), index: 0, created: clock())
        do {
            return try DirectoryVolume.create(identity, at: directory, fileSystem: fileSystem, clock: clock)
        } catch VolumeError.inUse { throw SnapshotError.inUse(path: directory) }
    }

    public func close() { volume.close() }

    /// The copy of the log, as a mirror to read from.
    var mirror: LogMirror {
        LogMirror(
            fileSystem: fileSystem, directory: volume.logDirectory,
            quarantine: volume.quarantineDirectory, index: 0, lane: InlineLane())
    }

    // MARK: Snapshots

    func manifestPath(_ name: String) -> String { "\(snapshotsDirectory)/\(name).json" }
    func catalogPath(_ name: String) -> String { "\(snapshotsDirectory)/\(name).catalog.gz" }

    /// The snapshots, oldest first; and those whose manifests cannot be used, with the reason.
    public func snapshots() throws -> (good: [SnapshotManifest], damaged: [(name: String, reason: String)]) {
        var good: [SnapshotManifest] = []
        var damaged: [(name: String, reason: String)] = []
        for file in try fileSystem.list(snapshotsDirectory) where file.hasSuffix(".json") {
            let name = String(file.dropLast(5))
            do { good.append(try snapshot(name)) } catch { damaged.append((name, "\(error)")) }
        }
        good.sort { ($0.sequence, $0.createdMicroseconds) < ($1.sequence, $1.createdMicroseconds) }
        return (good, damaged)
    }

    /// - Throws: ``SnapshotError/unknown(_:repository:)``, ``SnapshotError/damagedManifest(path:reason:)``.
    public func snapshot(_ name: String) throws -> SnapshotManifest {
        try requireManifest(of: name)
        let path = manifestPath(name)
        let manifest = try SnapshotManifest.decode(try fileSystem.contents(of: path), path: path)
        guard manifest.name == name, manifest.storeID == storeID.description else {
            throw SnapshotError.damagedManifest(
                path: path, reason: "it is of snapshot \(manifest.name) of store \(manifest.storeID)")
        }
        return manifest
    }

    /// - Throws: ``SnapshotError/unknown(_:repository:)`` if a snapshot has no manifest, not even a damaged one.
    public func requireManifest(of name: String) throws {
        try SnapshotManifest.check(name: name)
        guard try fileSystem.status(of: manifestPath(name)) != nil else {
            throw SnapshotError.unknown(name, repository: directory)
        }
    }

    /// The manifest comes last: a snapshot that has one is complete. Synced, with its directory.
    func write(_ manifest: SnapshotManifest) throws {
        try fileSystem.replaceFile(manifestPath(manifest.name), with: try manifest.encoded())
    }

    /// Where the repository can be kept from being removed: sees to it for all that a snapshot needs.
    /// - Parameter give: calls its argument with the blobs, some at a time.
    func retain(_ give: (_ blobs: @escaping ([BlobID]) throws -> Void) throws -> Void) throws {
        guard let retaining = fileSystem as? any RetainingFileSystem else { return }
        try retaining.retain { [self] retain in
            try give { [self] blobs in try retain(blobs.map { "\(directory)/\(volume.path(of: $0))" }) }
            for place in [volume.logDirectory, snapshotsDirectory] {
                try retain(try fileSystem.list(place).map { "\(place)/\($0)" })
            }
            try retain(["\(directory)/\(VolumeFile.name)"])
        }
    }

    /// The manifest goes first, synced: what is left without one belongs to no snapshot.
    ///
    /// One whose manifest is damaged goes too: who names it gives it up.
    public func delete(_ name: String) throws {
        try requireManifest(of: name)
        try fileSystem.remove(manifestPath(name))
        try fileSystem.syncDirectory(snapshotsDirectory)
        if try fileSystem.status(of: catalogPath(name)) != nil { try fileSystem.remove(catalogPath(name)) }
        try fileSystem.syncDirectory(snapshotsDirectory)
    }

    /// What snapshots that were not finished, or were being deleted, left: catalogs without a manifest, blobs under way.
    /// - Returns: what became of uploads, where the repository is at an endpoint.
    func clearLeftovers() throws -> UnfinishedUploads {
        for file in try fileSystem.list(snapshotsDirectory)
        where file.hasSuffix(".catalog.gz") || file.hasSuffix(".new") {
            let name = file.hasSuffix(".catalog.gz") ? String(file.dropLast(11)) : nil
            if let name, try fileSystem.status(of: manifestPath(name)) != nil { continue }
            do throws(FileSystemError) { try fileSystem.remove(snapshotsDirectory + "/" + file) } catch {
                guard error.isRetained else { throw error }  // it stays until it may go
            }
        }
        for id in try volume.incoming().blobs {
            // A power cut brings back the name in incoming/ of a blob that is complete, and that snapshots may need.
            do throws(BlobFlaw) { _ = try volume.info(of: id, length: nil) } catch {
                try volume.removeBlob(id)
                continue
            }
            try volume.keep(id)
        }
        return try (fileSystem as? any UploadingFileSystem)?.removeUnfinishedUploads() ?? UnfinishedUploads()
    }
}
