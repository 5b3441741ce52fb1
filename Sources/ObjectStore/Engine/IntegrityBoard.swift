import Catalog
import Model
import Synchronization

/// How an upload stands, as clients and operators are told.
public enum UploadStanding: Sendable, Equatable {
    /// Durable on a quorum; not read back yet.
    case published
    /// Read back from every volume in service and found good.
    case confirmed
    /// A mismatch affects it, or did; `detail` names the older version, the source, the snapshot.
    case affected(EventAffectedVersion.State, detail: String)
}

/// What a request is told of the integrity of a version: kept in memory, so that it costs a comparison while
/// nothing is wrong.
///
/// Only versions whose last event of the kind `VersionsStated` is known are in it; all others stand as the
/// confirmations say.
final class IntegrityBoard: Sendable {
    /// Versions that are kept in memory; where more are affected, the catalog is asked.
    static let versionLimit = 1_000_000

    private struct Entry {
        let state: EventAffectedVersion.State
        let detail: String
    }

    private struct Affected {
        var entries: [UInt64: Entry] = [:]
        var isComplete = true
    }

    private let confirmed = Atomic<UInt64>(0)
    private let count = Atomic<Int>(0)
    private let affected = Mutex(Affected())

    /// What the catalog knows when the store is opened.
    func load(_ catalog: Catalog) throws {
        let (through, versions) = try catalog.read {
            (try $0.confirmedThrough(), try $0.standings(limit: Self.versionLimit + 1))
        }
        confirmed.store(through.rawValue, ordering: .releasing)
        affected.withLock { affected in
            for version in versions.prefix(Self.versionLimit) { set(version, in: &affected) }
            if versions.count > Self.versionLimit { affected.isComplete = false }
            count.store(affected.entries.count, ordering: .releasing)
        }
    }

    /// An event of the store's own was committed.
    func note(_ change: EventRecord.OneOf_Change) {
        switch change {
        case .uploadsConfirmed(let change):
            confirmed.store(change.throughSequence, ordering: .releasing)
        case .versionsStated(let change):
            affected.withLock { affected in
                for version in change.versions { set(version, in: &affected) }
                count.store(affected.entries.count, ordering: .releasing)
            }
        default: break
        }
    }

    private func set(_ version: EventAffectedVersion, in affected: inout Affected) {
        guard
            affected.entries[version.publishedSequence] != nil || affected.entries.count < Self.versionLimit
        else {
            affected.isComplete = false
            return
        }
        affected.entries[version.publishedSequence] = Entry(state: version.state, detail: version.detail)
    }

    /// - Returns: `nil` if only the catalog can say.
    func standing(of sequence: SequenceNumber) -> UploadStanding? {
        if count.load(ordering: .acquiring) > 0 {
            let (entry, isComplete) = affected.withLock { ($0.entries[sequence.rawValue], $0.isComplete) }
            if let entry { return .affected(entry.state, detail: entry.detail) }
            if !isComplete { return nil }
        }
        return sequence.rawValue <= confirmed.load(ordering: .acquiring) ? .confirmed : .published
    }

    var hasEntries: Bool {
        guard count.load(ordering: .acquiring) == 0 else { return true }
        return affected.withLock { !$0.isComplete }
    }

    func isGone(_ sequence: SequenceNumber) -> Bool {
        guard case .affected(let state, _) = standing(of: sequence) else { return false }
        return state.isGone
    }

    func isConfirmed(_ sequence: SequenceNumber) -> Bool {
        sequence.rawValue <= confirmed.load(ordering: .acquiring)
    }
}

extension ObjectStore {
    /// How a version stands. Reads the catalog only where more versions are affected than memory keeps.
    public func standing(of version: ObjectVersion) throws -> UploadStanding {
        if let standing = engine.board.standing(of: version.sequence) { return standing }
        if let affected = try engine.ledger.catalog.read({ try $0.standing(of: version.sequence) }) {
            return .affected(affected.state, detail: affected.detail)
        }
        return engine.board.isConfirmed(version.sequence) ? .confirmed : .published
    }

    /// Volumes in good standing: each holds what the log has, as far as is known.
    public var replicaCount: Int { engine.volumes.inServiceCount }
}
