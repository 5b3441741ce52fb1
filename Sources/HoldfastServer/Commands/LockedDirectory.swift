import Foundation
import Model
import Volumes

/// Scratch directories, each of which is somebody's for as long as a file in it is locked. The lock goes with its process, however
/// that ends; a process's number would not do, since another one gets it.
///
/// A directory whose maker has not locked it yet looks like one of somebody who was killed: whoever clears up takes it away, and
/// the maker makes another.
enum LockedDirectory {
    private static let attemptLimit = 10

    private static func lockPath(_ directory: String) -> String { directory + "/lock" }

    /// - Parameter prefix: of the name of the new one.
    static func make(_ prefix: String, in directory: String) throws -> (path: String, lock: any File) {
        let fileSystem = RealFileSystem()
        for attempt in 1... {
            let path = directory + "/" + prefix + "\(OperationID.random())"
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
            do {
                if let lock = try fileSystem.lock(lockPath(path)) {
                    // Not one that was taken away between its opening and its lock.
                    if try fileSystem.status(of: lockPath(path)) != nil { return (path, lock) }
                    lock.close()
                }
            } catch {
                guard error.code == ENOENT, attempt < attemptLimit else { throw error }
            }
            guard attempt < attemptLimit else {
                throw FileSystemError(operation: "flock", path: lockPath(path), code: EWOULDBLOCK)
            }
        }
        preconditionFailure("the last attempt returns or throws")
    }

    /// Removes those that nobody has locked. One that cannot be removed keeps no other from that.
    /// - Parameter isOwn: whether one may be touched at all.
    static func clear(
        _ prefix: String, in directory: String, if isOwn: (_ path: String) -> Bool = { _ in true }
    ) throws {
        var failure: (any Error)?
        for name in try FileManager.default.contentsOfDirectory(atPath: directory)
        where name.hasPrefix(prefix) {
            let path = directory + "/" + name
            guard isOwn(path) else { continue }
            do {
                guard let lock = try RealFileSystem().lock(lockPath(path)) else { continue }
                defer { lock.close() }
                try FileManager.default.removeItem(atPath: path)
            } catch { failure = failure ?? error }
        }
        if let failure { throw failure }
    }
}
