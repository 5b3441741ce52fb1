import Foundation
import Model
import Synchronization
import Volumes

/// A copy that is seen as it was at a moment, where an endpoint keeps versions of its objects.
///
/// A segment that was written afresh since, by a prune or since it was damaged, has taken away what it was then; all that is
/// left of it is a version of a later time. It is not shown for what it was then. Without it the copy has a gap, or looks as if it had ended
/// before it: no snapshot could be restored from that, and why is only known here.
extension LogCopy {
    /// Sees to it that the copy has the events that snapshots of the moment need.
    /// - Parameter last: the last of them; asked for if the copy is seen as it was at a moment.
    /// - Throws: ``FileSystemError`` with the segment that was written afresh.
    package func requireWhole(through last: () throws -> SequenceNumber) throws {
        guard let past = fileSystem as? any PastFileSystem, past.isPast else { return }
        let head = head.sequence
        guard try last() > head else { return }
        try Self.refuseIfReplaced(path(head.next), fileSystem)
        if let tail = state.withLock({ $0.firsts.last }) {
            try Self.refuseIfReplaced(path(tail), fileSystem)
        }
    }

    /// - Parameter path: of a segment that was there at the moment, whole.
    static func refuseIfReplaced(_ path: String, _ fileSystem: any FileSystem) throws(FileSystemError) {
        guard let past = fileSystem as? any PastFileSystem, past.isPast,
            let time = try past.laterWrite(of: path)
        else { return }
        throw FileSystemError(
            operation: "open", path: path, code: ENOENT,
            detail:
                "it was written afresh at \(time), and what it was at the moment that is asked for is gone: ask for that time or a later one"
        )
    }
}
