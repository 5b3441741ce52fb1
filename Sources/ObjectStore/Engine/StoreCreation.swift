import EventLog
import Foundation
import Model
import Volumes

/// Makes the volumes of a new store, each with a log that has no events.
///
/// A marker in the state directory, with the store's id, comes first and goes last: while it is there the store is not
/// opened, and making it again finishes it. What was begun has that id, so no other store's volume is ever taken for it.
struct StoreCreation {
    private static let marker = "creating"

    let settings: StoreSettings
    let environment: StoreEnvironment

    private var fileSystem: any FileSystem { environment.fileSystem }

    private static func markerPath(_ settings: StoreSettings) -> String {
        settings.stateDirectory + "/" + marker
    }

    static func isCutOff(_ settings: StoreSettings, _ fileSystem: any FileSystem) throws -> Bool {
        try fileSystem.status(of: markerPath(settings)) != nil
    }

    /// - Throws: ``VolumeError/notEmpty(path:)`` if something is in a volume's directory that was not begun here.
    func run() throws {
        let storeID = try begun() ?? begin()
        var volumes: [DirectoryVolume] = []
        defer { for volume in volumes { volume.close() } }
        for (offset, path) in settings.volumePaths.enumerated() {
            volumes.append(try volume(offset + 1, at: path, of: storeID))
        }
        try EventLog.create(
            storeID: storeID, mirrors: volumes.map { Opening.mirror(of: $0, lane: InlineLane()) },
            settings: LogSettings(segmentByteCount: settings.segmentByteCount))
        try fileSystem.remove(Self.markerPath(settings))
        try fileSystem.syncDirectory(settings.stateDirectory)
    }

    /// The id of the store that a run that was cut off has begun.
    private func begun() throws -> StoreID? {
        guard try Self.isCutOff(settings, fileSystem) else { return nil }
        let path = Self.markerPath(settings)
        let text = String(decoding: try fileSystem.contents(of: path), as: UTF8.self)
        guard let id = StoreID(text.trimmingCharacters(in: .whitespacesAndNewlines)) else {
            throw StoreError.invalidState("\(path) names no store: remove it, and what is in the volumes")
        }
        return id
    }

    private func begin() throws -> StoreID {
        // The marker keeps a store from being opened: not one that is there.
        for path in settings.volumePaths { try DirectoryVolume.requireUnused(path, fileSystem) }
        let id = StoreID.random()
        try fileSystem.replaceFile(Self.markerPath(settings), with: Array("\(id)\n".utf8))
        return id
    }

    private func volume(_ index: Int, at path: String, of storeID: StoreID) throws -> DirectoryVolume {
        let volume: DirectoryVolume
        do { volume = try DirectoryVolume.open(path, fileSystem: fileSystem, clock: environment.clock) } catch
        {
            switch error {
            case .missing, .empty:
                let identity = VolumeIdentity(
                    storeID: storeID, volumeID: .random(), index: index, created: environment.clock())
                return try DirectoryVolume.create(
                    identity, at: path, fileSystem: fileSystem, clock: environment.clock)
            default: throw error
            }
        }
        do {
            guard volume.identity.storeID == storeID, volume.index == index else {
                throw VolumeError.notEmpty(path: path)
            }
            // Nobody has opened the store: its log has no events.
            for name in try fileSystem.list(volume.logDirectory) {
                try fileSystem.remove(volume.logDirectory + "/" + name)
            }
            try fileSystem.syncDirectory(volume.logDirectory)
            return volume
        } catch {
            volume.close()
            throw error
        }
    }
}

extension ObjectStore {
    /// Makes the volumes of a new store, or goes on where that was cut off.
    /// - Throws: ``VolumeError/notEmpty(path:)`` if a directory has something in it.
    public static func create(_ settings: StoreSettings, _ environment: StoreEnvironment = .real) throws {
        try environment.fileSystem.createDirectories(settings.stateDirectory, permissions: 0o700)
        let lock = try StoreLock.take(settings, environment)
        defer { lock.close() }
        try StoreCreation(settings: settings, environment: environment).run()
    }

    /// Whether making a store there was begun and is not finished.
    public static func isCreationCutOff(
        _ settings: StoreSettings, _ environment: StoreEnvironment = .real
    ) throws -> Bool {
        try StoreCreation.isCutOff(settings, environment.fileSystem)
    }
}
