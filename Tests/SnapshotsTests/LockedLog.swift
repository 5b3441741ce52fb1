import Synchronization
import TestSupport
import Volumes

/// A repository whose log is locked, as objects at an endpoint are, while nothing else is.
struct LockedLog: RetainingFileSystem {
    let base: SimulatedFileSystem

    func retain(_ give: (_ paths: @escaping ([String]) throws -> Void) throws -> Void) throws {
        try give { _ in }
    }

    func lockEnd(of path: String) throws(FileSystemError) -> String? {
        path.contains("/log/") ? "2036-11-25T02:09:00Z" : nil
    }

    func open(
        _ path: String, _ options: OpenOptions, permissions: UInt16
    ) throws(FileSystemError) -> any File {
        try base.open(path, options, permissions: permissions)
    }

    func status(of path: String) throws(FileSystemError) -> FileStatus? { try base.status(of: path) }

    func list(_ directory: String) throws(FileSystemError) -> [String] { try base.list(directory) }

    func createDirectory(_ path: String, permissions: UInt16) throws(FileSystemError) {
        try base.createDirectory(path, permissions: permissions)
    }

    func removeDirectory(_ path: String) throws(FileSystemError) { try base.removeDirectory(path) }

    func link(_ path: String, to newPath: String) throws(FileSystemError) {
        try base.link(path, to: newPath)
    }

    func rename(_ path: String, to newPath: String) throws(FileSystemError) {
        if newPath.contains("/log/") { throw FileSystemError.retained(path: newPath, until: "later") }
        try base.rename(path, to: newPath)
    }

    func remove(_ path: String) throws(FileSystemError) { try base.remove(path) }

    func syncDirectory(_ path: String) throws(FileSystemError) { try base.syncDirectory(path) }

    func lock(_ path: String) throws(FileSystemError) -> (any File)? { try base.lock(path) }

    func space(at path: String) throws(FileSystemError) -> (free: UInt64, total: UInt64) {
        try base.space(at: path)
    }
}

/// Counts down what whoever is paced has done.
final class Countdown: Sendable {
    private let left: Mutex<Int>

    init(bytes: Int) { left = Mutex(bytes) }

    /// - Returns: whether there is nothing left.
    func take(_ count: Int) -> Bool {
        left.withLock { left in
            left -= count
            return left < 0
        }
    }
}
