import Foundation
import Volumes

/// Where a command that has no store's state directory puts catalogs and what it restores to compare, as large as these are: a
/// directory among the temporary files. It goes when the command ends; if that is killed, when the next one makes its own.
package final class CommandScratch: Sendable {
    private static let prefix = "holdfast-scratch-"

    package let path: String
    private let lock: any File

    /// - Parameter directory: of temporary files, which may be everybody's.
    package init(in directory: String = FileManager.default.temporaryDirectory.path) throws {
        // What cannot be removed takes room, and keeps no command from its work: the next one tries again.
        try? LockedDirectory.clear(Self.prefix, in: directory, if: Self.isOwn)
        (path, lock) = try LockedDirectory.make(Self.prefix, in: directory)
    }

    /// Where everybody makes files, one that is somebody else's may lead anywhere.
    private static func isOwn(_ path: String) -> Bool {
        var information = stat()
        return lstat(path, &information) == 0 && information.st_mode & S_IFMT == S_IFDIR
            && information.st_uid == geteuid()
    }

    /// Whoever has it open reads on.
    package func remove() {
        // As of a command that is killed.
        try? FileManager.default.removeItem(atPath: path)
        lock.close()
    }
}
