import Catalog
import EventLog
import Foundation
import Model
import ObjectStore
import Volumes

/// Copies anew from the store what a check has found damaged or missing in its repository, blobs and events of the log,
/// while the store has it: also what history alone still holds. Then makes anew what follows from the log, stored catalogs and
/// manifests. What was there goes to the repository's quarantine, but for catalogs.
public struct RepositoryMending: Sendable {
    /// What became of one blob, one event of the log, or one manifest or catalog.
    public struct Outcome: Sendable, Equatable {
        /// Relative to the repository.
        public let path: String
        public var sequence: SequenceNumber?
        /// Of the blob that was copied, or the catalog that was written; 0 for an event, and for what could not be mended.
        public let byteCount: UInt64
        /// Why it could not be mended; `nil` if it was.
        public let reason: String?

        /// Where what is there now is from.
        public var source: String {
            path.hasPrefix("snapshots/") ? "made anew from the log" : "copied anew from the store"
        }

        init(path: String, sequence: SequenceNumber? = nil, byteCount: UInt64, reason: String?) {
            (self.path, self.sequence, self.byteCount, self.reason) = (path, sequence, byteCount, reason)
        }

        fileprivate static func event(_ sequence: SequenceNumber, reason: String?) -> Outcome {
            Outcome(path: "log", sequence: sequence, byteCount: 0, reason: reason)
        }
    }

    private static let lost = "no mirror of the store has the event with its bytes"
    private static let dropped = "the store has the event's bytes no more"

    let inspection: StoreInspection
    let repository: Repository
    private let taken: SnapshotCatalog?
    let pace: SnapshotPace

    public init(_ store: ObjectStore, _ repository: Repository, _ pace: @escaping SnapshotPace = unpaced) {
        self.init(store.inspection, repository, pace)
    }

    /// - Parameter taken: of a snapshot that is being taken, and has no manifest yet.
    init(
        _ inspection: StoreInspection, _ repository: Repository, taken: SnapshotCatalog? = nil,
        _ pace: @escaping SnapshotPace = unpaced
    ) {
        self.inspection = inspection
        self.repository = repository
        self.taken = taken
        self.pace = pace
    }

    /// - Parameter report: told of each that was damaged; of an event that could not be mended and whose bytes alone are
    ///   bad only if a snapshot needs them, or one is being taken.
    public func run(report: (Outcome) throws -> Void) async throws {
        // Nothing that history holds is given back meanwhile.
        try await inspection.holding(.zero) { try mend(report) }
    }

    /// While nothing is reclaimed.
    func mend(_ report: (Outcome) throws -> Void) throws {
        var damage = try KnownDamage.load(repository)
        for id in damage.blobs.sorted() {
            guard let outcome = try mend(id) else {
                damage.note(id, isDamaged: false)
                continue
            }
            if outcome.reason == nil { damage.note(id, isDamaged: false) }
            try report(outcome)
        }
        try mendLog(&damage, report)
        try mendFiles(&damage, report)
        try damage.save(repository)
    }

    private func mendLog(_ damage: inout KnownDamage, _ report: (Outcome) throws -> Void) throws {
        let log = inspection.log
        let next = repository.log.head.sequence.next
        try mendEvents(before: next, &damage, report)
        // Damage in the last segment looks like a torn end, behind which events are copied again.
        let snapshots = try repository.snapshots().good
        let last = snapshots.last?.position ?? .zero
        guard next <= last else { return }
        var reason: String?
        var lost: [SequenceNumber] = []
        do {
            try repository.refuseOtherBranch(snapshots, log)
            try repository.log.extend(from: log, through: last) { events, lostPayloads in
                lost += lostPayloads
                if damage.noteCopied(events.map(\.sequence), lost: lostPayloads) {
                    try damage.save(repository)
                }
            }
        } catch let error as LogError {
            reason = "\(error)"
        } catch let error as SnapshotError {
            reason = "\(error)"
        }
        // What the store has dropped meanwhile is lost where a snapshot needs it.
        let dropped = repository.log.withBadPayload(Set(lost), droppedBy: log)
        let settled = try unneeded(dropped)
        damage.events.subtract(settled)
        lost.removeAll(where: settled.contains)
        func lack(_ sequence: SequenceNumber) -> String {
            dropped.contains(sequence) ? Self.dropped : Self.lost
        }
        try report(.event(next, reason: reason ?? (lost.contains(next) ? lack(next) : nil)))
        for sequence in lost where sequence != next { try report(.event(sequence, reason: lack(sequence))) }
    }

    /// Those that were copied: what is noted and was not is noted anew when it is.
    private func mendEvents(
        before next: SequenceNumber, _ damage: inout KnownDamage, _ report: (Outcome) throws -> Void
    ) throws {
        let log = inspection.log
        var left = damage.events.filter { $0 < next }
        let dropped = repository.log.withBadPayload(left, droppedBy: log)
        let settled = try unneeded(dropped)
        damage.events.subtract(settled)
        left.subtract(settled)
        let mended = try repository.log.mend(left.subtracting(dropped), from: log, as: repository.mirror)
        damage.events.subtract(mended)
        // Whoever takes a snapshot does not wait until all catalogs were asked: what is not mended is tried again.
        let silent =
            taken == nil ? try unneeded(repository.log.withBadPayload(left.subtracting(mended))) : []
        for sequence in left.subtracting(silent).sorted() {
            let reason = dropped.contains(sequence) ? Self.dropped : Self.lost
            try report(.event(sequence, reason: mended.contains(sequence) ? nil : reason))
        }
    }

    /// Those of some events whose bytes no snapshot needs.
    private func unneeded(_ events: Set<SequenceNumber>) throws -> Set<SequenceNumber> {
        let needed = try repository.neededPayloads(
            of: events, scratch: inspection.stateDirectory, pace)
        let left = events.subtracting(needed)
        return left.subtracting(try taken?.needed(of: left, repository.log) ?? [])
    }

    /// - Returns: `nil` if it is good by now.
    private func mend(_ id: BlobID) throws -> Outcome? {
        let path = repository.volume.path(of: id)
        guard let row = try inspection.catalog.read({ try $0.blob(id) }), !row.isReclaiming else {
            return Outcome(path: path, byteCount: 0, reason: "the store has it no more")
        }
        do {
            let count = try inspection.export(
                id, length: row.length, sha256: row.sha256, to: repository.volume)
            return count.map { Outcome(path: path, byteCount: $0, reason: nil) }
        } catch let flaw as BlobFlaw {
            return Outcome(path: path, byteCount: 0, reason: "no volume of the store has it good: \(flaw)")
        }
    }
}
