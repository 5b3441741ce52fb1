import Catalog
import EventLog
import Foundation
import Model
import ObjectStore
import Volumes

/// Copies anew from the store what a check has found damaged or missing in its repository, blobs and events of the log,
/// while the store has it: also what history alone still holds. What was there goes to the repository's quarantine.
public struct RepositoryMending: Sendable {
    /// What became of one blob, or one event of the log.
    public struct Outcome: Sendable, Equatable {
        /// Relative to the repository.
        public let path: String
        public var sequence: SequenceNumber?
        /// Of the blob that was copied; 0 for an event, and for what could not be mended.
        public let byteCount: UInt64
        /// Why it could not be mended; `nil` if it was.
        public let reason: String?

        fileprivate static func event(_ sequence: SequenceNumber, reason: String?) -> Outcome {
            Outcome(path: "log", sequence: sequence, byteCount: 0, reason: reason)
        }
    }

    private static let lost = "no mirror of the store has the event with its bytes"

    private let inspection: StoreInspection
    private let repository: Repository

    public init(_ store: ObjectStore, _ repository: Repository) { self.init(store.inspection, repository) }

    init(_ inspection: StoreInspection, _ repository: Repository) {
        self.inspection = inspection
        self.repository = repository
    }

    /// - Parameter report: told of each that was damaged.
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
        try damage.save(repository)
    }

    private func mendLog(_ damage: inout KnownDamage, _ report: (Outcome) throws -> Void) throws {
        let log = inspection.log
        // What is noted and was not copied is noted anew when it is.
        let next = repository.log.head.sequence.next
        let known = damage.events.filter { $0 < next }
        let events = try repository.log.mend(known, from: log, as: repository.mirror)
        for sequence in known.sorted() {
            try report(.event(sequence, reason: events.contains(sequence) ? nil : Self.lost))
        }
        damage.events.subtract(events)
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
        try report(.event(next, reason: reason ?? (lost.contains(next) ? Self.lost : nil)))
        for sequence in lost where sequence != next { try report(.event(sequence, reason: Self.lost)) }
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
