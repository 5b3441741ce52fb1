import EventLog
import Model
import Volumes

/// A store that has gone back: it was restored whole as it was at a snapshot, or its log was cut. What its repository has
/// of the time after that is of another branch of its history. Events there that no snapshot needs, such as those of a
/// snapshot that was cut off, are set aside, and the copy goes on with the store; snapshots are not.
extension Repository {
    /// Sees to it that the copy of the log can go on with the store's.
    /// - Throws: ``SnapshotError/otherBranch(_:repository:)``, with nothing changed.
    func join(_ log: EventLog, _ pace: SnapshotPace = unpaced) throws {
        let (good, damaged) = try snapshots()
        try refuseOtherBranch(good, log)
        guard try !self.log.isFollowed(by: log) else { return }
        // What a snapshot needs whose manifest cannot be read is not known (DESIGN invariant 5).
        if let first = damaged.first {
            throw SnapshotError.damagedManifest(path: manifestPath(first.name), reason: first.reason)
        }
        let last = try self.log.lastCommon(with: log, from: good.last?.position ?? .zero)
        // What was dead at a snapshot that is given up lives in the store again where it has gone back to before that. Noted
        // before the cut, which whoever comes after one that is cut off has no sign of.
        var damage = try KnownDamage.load(self)
        damage.events.formUnion(try self.log.payloadsDropped(through: last, andNotIn: log, pace: pace))
        try damage.save(self)
        do {
            try self.log.cut(
                after: last,
                reason:
                    "events behind event \(last), which no snapshot needs, are others than those of the store",
                as: mirror)
        } catch let error as FileSystemError where error.isRetained {
            throw SnapshotError.lockedBranch(repository: directory, reason: "\(error)")
        }
        damage.events = damage.events.filter { $0 <= last }
        try damage.save(self)
    }

    /// - Parameter snapshots: all, oldest first.
    func refuseOtherBranch(_ snapshots: [SnapshotManifest], _ log: EventLog) throws {
        let isFollowed = try self.log.isFollowed(by: log)
        let head = self.log.head.sequence
        // The log has all that is before an event which it has. Of damage at its end the copy may be shorter than a
        // snapshot needs.
        let others = try snapshots.reversed().prefix { manifest in
            guard !isFollowed || manifest.position > head else { return false }
            guard manifest.position <= log.head.sequence else { return true }
            return try log.chainHash(at: manifest.position).description != manifest.chain
        }
        guard others.isEmpty else {
            throw SnapshotError.otherBranch(others.reversed().map(\.name), repository: directory)
        }
    }
}
