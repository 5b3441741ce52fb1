import Foundation
import Model
import Volumes

/// What stands in the state directory for as long as something is at work.
package enum StateScratch {
    private static let tablePrefix = "refs-"

    /// Removes what a process that was killed left; nothing else reads it. Releases before this one left lists of blobs, too.
    package static func clear(_ directory: String) throws {
        for name in try FileManager.default.contentsOfDirectory(atPath: directory)
        where name.hasPrefix("snapshot-") && name.contains(".sqlite") || name.hasPrefix("drill-")
            || name.hasPrefix("blobs-")
        {
            try FileManager.default.removeItem(atPath: directory + "/" + name)
        }
        try clearTables(directory)
    }

    /// Those of commands that are at work are locked, and stay.
    private static func clearTables(_ directory: String) throws {
        for name in try FileManager.default.contentsOfDirectory(atPath: directory)
        where name.hasPrefix(tablePrefix) {
            let path = directory + "/" + name
            guard let lock = try RealFileSystem().lock(path + "/lock") else { continue }
            defer { lock.close() }
            try FileManager.default.removeItem(atPath: path)
        }
    }

    /// A directory for the table that a command makes for whoever carries it out. It goes with this object; if the command is
    /// killed, with the next such command, or when the store is served the next time.
    final class TableDirectory: Sendable {
        let path: String
        private let lock: any File
        private let owner: (user: uid_t, group: gid_t)?

        /// - Parameter state: the store's state directory; where it is not there, one for temporary files is taken.
        init(in state: String) throws {
            var information = stat()
            let isThere = stat(state, &information) == 0
            // The superuser's files are handed over to whom the store is of.
            owner = isThere && geteuid() == 0 ? (information.st_uid, information.st_gid) : nil
            // What cannot be removed is the server's to clear away.
            if isThere { try? StateScratch.clearTables(state) }
            path =
                (isThere ? state : NSTemporaryDirectory()) + "/" + StateScratch.tablePrefix
                + "\(OperationID.random())"
            try FileManager.default.createDirectory(
                atPath: path, withIntermediateDirectories: false, attributes: [.posixPermissions: 0o700])
            guard let taken = try RealFileSystem().lock(path + "/lock") else {
                throw FileSystemError(operation: "flock", path: path + "/lock", code: EWOULDBLOCK)
            }
            lock = taken
            try handOver("lock")
            try handOver("")
        }

        deinit {
            // What cannot be removed is cleared away with what killed commands leave.
            try? FileManager.default.removeItem(atPath: path)
            lock.close()
        }

        /// Lets whoever the store is of use a file of the directory.
        func handOver(_ name: String) throws {
            guard let owner else { return }
            let file = name.isEmpty ? path : path + "/" + name
            guard chown(file, owner.user, owner.group) == 0 else {
                throw FileSystemError(operation: "chown", path: file, code: errno)
            }
        }
    }
}
