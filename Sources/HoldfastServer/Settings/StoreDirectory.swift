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
        if settings.isTestStore {
            let mark = settings.directory + "/" + testMark
            try fileSystem.replaceFile(
                mark, with: Array("faults may be planted here\n".utf8), permissions: 0o644)
        }
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

    /// The file that marks a store as one that faults may be planted in; made with the store, or not at all.
    static let testMark = "test-store"

    public static func isTestStore(_ settings: ServerSettings) throws -> Bool {
        try RealFileSystem().status(of: settings.directory + "/" + testMark)?.kind == .file
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
