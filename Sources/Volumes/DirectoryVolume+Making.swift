import Model

extension DirectoryVolume {
    private static let parts = ["log", "blobs", "incoming", "quarantine"]
    /// What `volume.json` is until it is whole; whoever makes the volume has it locked.
    private static let unfinished = VolumeFile.name + ".new"

    /// Makes a directory that is missing or has nothing in it a volume, locked until it is closed. `volume.json` comes
    /// last: a directory that has it is complete, and what was cut off before is done again (``isUnused(_:_:)``).
    /// - Throws: ``VolumeError/notEmpty(path:)``; ``VolumeError/inUse(path:)`` if another is making it.
    public static func create(
        _ identity: VolumeIdentity, at directory: String, fileSystem: any FileSystem,
        clock: @escaping @Sendable () -> Timestamp = { .now() }
    ) throws -> DirectoryVolume {
        try fileSystem.createDirectories(directory)
        // Looked at before anything is put there, and again when nobody else can have gone on from here.
        try requireUnused(directory, fileSystem)
        let path = directory + "/" + unfinished
        guard let lock = try fileSystem.lock(path) else { throw VolumeError.inUse(path: directory) }
        do {
            try requireUnused(directory, fileSystem)
            for part in parts where try fileSystem.status(of: directory + "/" + part) == nil {
                try fileSystem.createDirectory(directory + "/" + part, permissions: 0o700)
            }
            // Also those that were there: whoever made them may have been cut off before this.
            try fileSystem.syncDirectory(directory)
            let file = try fileSystem.open(path, [.write, .createIfMissing], permissions: 0o600)
            defer { file.close() }
            try file.truncate(to: 0)
            try file.write(try VolumeFile(identity).encoded(), at: 0)
            try file.sync()
            // The lock is the file's, whatever its name.
            try fileSystem.rename(path, to: directory + "/" + VolumeFile.name)
            try fileSystem.syncDirectory(directory)
            return try DirectoryVolume(
                identity: identity, directory: directory, fileSystem: fileSystem, lock: lock, clock: clock)
        } catch {
            lock.close()
            throw error
        }
    }

    private static func requireUnused(_ directory: String, _ fileSystem: any FileSystem) throws {
        guard try isUnused(directory, fileSystem) else { throw VolumeError.notEmpty(path: directory) }
    }

    /// Whether a directory has nothing in it but what a file system puts there, and what is left where making it a volume
    /// was cut off: empty directories, and a file that was not `volume.json` yet.
    static func isUnused(_ directory: String, _ fileSystem: any FileSystem) throws(FileSystemError) -> Bool {
        for name in try fileSystem.list(directory) where name != "lost+found" {
            let path = directory + "/" + name
            switch try fileSystem.status(of: path)?.kind {
            case .file where name == unfinished: continue
            case .directory where parts.contains(name):
                guard try fileSystem.list(path).isEmpty else { return false }
            default: return false
            }
        }
        return true
    }
}
