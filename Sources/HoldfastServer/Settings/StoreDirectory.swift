import Foundation
import Model
import ObjectStore
import Volumes

/// Making a store's directory.
public enum StoreDirectory {
    /// Makes the volumes; where they are not in their usual places, the settings file remembers where.
    /// - Throws: ``VolumeError`` if a directory has something in it.
    public static func create(_ settings: ServerSettings) throws {
        let fileSystem = RealFileSystem()
        try fileSystem.createDirectories(settings.directory, permissions: 0o755)
        try ObjectStore.create(settings.store)
        try rememberVolumes(settings)
    }

    /// Writes a settings file that says where the volumes are, where they are not in their usual places and there is none.
    static func rememberVolumes(_ settings: ServerSettings) throws {
        let fileSystem = RealFileSystem()
        guard settings.volumePaths != ServerSettings(directory: settings.directory).volumePaths else {
            return
        }
        let file = settings.directory + "/" + ServerSettings.fileName
        guard try fileSystem.status(of: file) == nil else { return }
        let bytes = Array(try SettingsFile.text(["volumes": settings.volumePaths]))
        try fileSystem.replaceFile(file, with: bytes, permissions: 0o644)
    }

    /// Whether nothing was made there yet: no volume has anything in it that a new file system has not, and there
    /// is no state.
    public static func isNew(_ settings: ServerSettings) throws -> Bool {
        let fileSystem = RealFileSystem()
        return try ([settings.directory + "/state"] + settings.volumePaths).allSatisfy { path in
            guard try fileSystem.status(of: path) != nil else { return true }
            return try fileSystem.list(path).allSatisfy { $0 == "lost+found" }
        }
    }
}
