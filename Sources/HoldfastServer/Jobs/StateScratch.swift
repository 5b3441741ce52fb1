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
        try LockedDirectory.clear(tablePrefix, in: directory)
    }

    /// A directory for the table that a command makes for whoever carries it out. It goes with this object; if the command is
    /// killed, with the next such command, or when the store is served the next time.
    ///
    /// The superuser's command makes it as whom the store is of: a server of theirs is to read it, and what the superuser made or
    /// gave away there would be made, or given, wherever a link of theirs leads.
    final class TableDirectory: Sendable {
        let path: String
        private let lock: any File
        private let owner: StateOwner?

        /// - Parameters:
        ///   - state: the store's state directory; where it is not there, one for temporary files is taken.
        ///   - fill: makes the table in the directory.
        init(in state: String, _ fill: (_ directory: String) throws -> Void) throws {
            let owner = StateOwner(of: state)
            let isThere = FileManager.default.fileExists(atPath: state)
            (path, lock) = try StateOwner.acting(as: owner) {
                // What cannot be removed is the server's to clear away.
                if isThere { try? StateScratch.clearTables(state) }
                let made = try LockedDirectory.make(
                    StateScratch.tablePrefix, in: isThere ? state : NSTemporaryDirectory())
                do { try fill(made.path) } catch {
                    try? FileManager.default.removeItem(atPath: made.path)  // as of a command that is killed
                    throw error
                }
                return made
            }
            self.owner = owner
        }

        deinit {
            // What cannot be removed is cleared away with what killed commands leave.
            try? StateOwner.acting(as: owner) { try FileManager.default.removeItem(atPath: path) }
            lock.close()
        }
    }
}

/// Whom a state directory is of, where that is not the superuser, who asks.
struct StateOwner: Sendable {
    private let user: uid_t
    private let group: gid_t

    /// `nil` where nothing has to be done as another.
    init?(of state: String) {
        var information = stat()
        guard geteuid() == 0, stat(state, &information) == 0, information.st_uid != 0 else { return nil }
        (user, group) = (information.st_uid, information.st_gid)
    }

    /// Does something with the rights of an owner. For commands alone: the whole process has no other rights meanwhile.
    /// - Throws: ``FileSystemError`` if the rights cannot be taken.
    static func acting<Value>(as owner: StateOwner?, _ body: () throws -> Value) throws -> Value {
        guard let owner else { return try body() }
        let groups = try currentGroups()
        defer {
            let isBack = seteuid(0) == 0 && setegid(0) == 0 && setgroups(groups.count, groups) == 0
            precondition(isBack, "the superuser may be the superuser again")
        }
        guard setgroups(1, [owner.group]) == 0, setegid(owner.group) == 0, seteuid(owner.user) == 0 else {
            throw FileSystemError(operation: "seteuid", path: "user \(owner.user)", code: errno)
        }
        return try body()
    }

    private static func currentGroups() throws -> [gid_t] {
        var groups = [gid_t](repeating: 0, count: Int(max(0, getgroups(0, nil))))
        let count = getgroups(Int32(groups.count), &groups)
        guard count >= 0 else { throw FileSystemError(operation: "getgroups", path: "", code: errno) }
        return Array(groups.prefix(Int(count)))
    }
}
