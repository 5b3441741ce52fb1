import Catalog
import EventLog
import Foundation
import Model
import ObjectStore
import Synchronization
import Volumes

/// Mends what a read or the completion verifier found damaged, without waiting for a check: a replica, or an event
/// that carries bytes, is looked at once more, written anew from the others, and an event says so. What has no
/// source is stated as lost. A version that a read could not decipher cannot be mended: an event names it, once while
/// the server runs.
///
/// Where the settings do not let it mend, what it finds is recorded and stays as it is; and it makes no more repairs in a
/// minute than they say, but for those that a read waits for (``RepairAllowance``).
public final class DamageRepair: Sendable {
    private enum Suspect: Hashable {
        case blob(BlobID)
        case frame(SequenceNumber, volume: Int)
        /// A version that was lost and was read.
        case recovered(SequenceNumber, bucket: String, key: String)
        case undecipherable(UndecipherableVersion)
    }

    /// Suspects that may wait; more of them wait for the next check.
    private static let queueCount = 1024

    private let inspection: StoreInspection
    private struct Queue {
        var suspects: [Suspect] = []
        var queued: Set<Suspect> = []
        /// Wakes the run that waits for more.
        var wake: AsyncStream<Void>.Continuation?
    }

    private let queue = Mutex(Queue())
    /// Told by the run under way of each step.
    private let pulse = Mutex<JobPulse>({ _ in })
    /// Versions that an event has named.
    private let named = Mutex<Set<UndecipherableVersion>>([])
    private let lost: LostVersions
    private let open: OpenFindings

    public init(_ store: ObjectStore) {
        inspection = store.inspection
        open = OpenFindings(store)
        lost = LostVersions(store.inspection)
        inspection.onDamage { [weak self] blob, _ in self?.note(.blob(blob)) }
        inspection.onDamagedFrame { [weak self] in self?.note(.frame($0, volume: $1)) }
        inspection.onRecovery { [weak self] version in
            self?.note(
                .recovered(version.sequence, bucket: version.record.bucket, key: version.key))
        }
        inspection.onUndecipherable { [weak self] version, evidence in
            self?.note(.undecipherable(UndecipherableVersion(version, evidence)))
        }
        inspection.onRescue { [weak self] blob in
            guard let self else { return false }
            return try await mend(blob, isAwaited: true)
        }
    }

    private func note(_ suspect: Suspect) {
        let wake = queue.withLock { queue -> AsyncStream<Void>.Continuation? in
            guard queue.suspects.count < Self.queueCount, queue.queued.insert(suspect).inserted else {
                return nil
            }
            queue.suspects.append(suspect)
            return queue.wake
        }
        wake?.yield()
    }

    private func next() -> Suspect? {
        queue.withLock { queue in
            guard !queue.suspects.isEmpty else { return nil }
            let suspect = queue.suspects.removeFirst()
            queue.queued.remove(suspect)
            return suspect
        }
    }

    /// Mends what is reported until the task is cancelled; a later run goes on with the rest.
    /// - Parameter failed: told what could not be mended, and why.
    public func run(
        _ pulse: @escaping JobPulse = { _ in }, failed: @escaping @Sendable (String) -> Void
    ) async {
        self.pulse.withLock { $0 = pulse }
        let (wakes, wake) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        queue.withLock { $0.wake = wake }
        // What was reported before it could be woken.
        wake.yield()
        for await _ in wakes {
            while !Task.isCancelled, let suspect = next() {
                pulse(.worked)
                if case .undecipherable(let version) = suspect {
                    failed("\(version.finding.bucket)/\(version.finding.key): \(version.finding.evidence)")
                }
                do { try await mend(suspect) } catch is CancellationError { note(suspect) } catch {
                    failed("\(Self.name(suspect)): \(error)")
                }
            }
            pulse(.waits)
        }
    }

    private func step() { pulse.withLock { $0 }(.worked) }

    private static func name(_ suspect: Suspect) -> String {
        switch suspect {
        case .blob(let id): "blob \(id)"
        case .frame(let sequence, let volume): "event \(sequence) on volume \(volume)"
        case .recovered(let sequence, let bucket, let key): "\(bucket)/\(key) of event \(sequence)"
        case .undecipherable(let version): "the finding of \(version.finding.bucket)/\(version.finding.key)"
        }
    }

    private func mend(_ suspect: Suspect) async throws {
        switch suspect {
        case .blob(let id): try await mend(id)
        case .frame(let sequence, let volume): try await mend(sequence, on: volume)
        case .recovered(let sequence, let bucket, let key):
            let versions = try inspection.catalog.read { try $0.allVersions(bucket, key) }
            try await lost.review(
                versions.filter { $0.sequence == sequence }, source: "it was read to its end")
        case .undecipherable(let version): try await record(version)
        }
    }

    /// Records what is not mended, once.
    private func note(_ finding: Finding) async throws {
        guard try open.all()[OpenFindings.Place(finding.event)] == nil else { return }
        var event = EventFindingRecorded()
        event.finding = finding.event
        _ = try await inspection.record(.findingRecorded(event))
    }

    private func record(_ version: UndecipherableVersion) async throws {
        guard named.withLock({ $0.count < Self.queueCount && $0.insert(version).inserted }) else { return }
        var event = EventFindingRecorded()
        event.finding = version.finding.event
        do { _ = try await inspection.record(.findingRecorded(event)) } catch {
            named.withLock { _ = $0.remove(version) }
            throw error
        }
    }

    /// Mends every replica of a blob: where one is damaged, the others are what it is mended from, and are looked
    /// at with it.
    /// - Parameter isAwaited: a read has found the blob good nowhere, and can be answered only from what this makes.
    /// - Returns: whether every replica is good now.
    @discardableResult
    private func mend(_ id: BlobID, isAwaited: Bool = false) async throws -> Bool {
        guard let row = try inspection.catalog.read({ try $0.blob(id) }), !row.isReclaiming else {
            return false
        }
        // A restore is writing it anew. Who reads it hears so before its replicas are read to their ends; for who reports a
        // replica, what the restore leaves damaged is met again.
        guard isAwaited || !inspection.isBeingImported(id) else { return false }
        try inspection.refuseIfImported(id)
        var failure: (any Error)?
        for volume in inspection.volumes {
            do { try await mend(row, on: volume, isAwaited: isAwaited) } catch let error as CancellationError
            {
                throw error
            } catch {
                failure = failure ?? error
            }
        }
        guard let failure else { return isAwaited || inspection.repairAllowance.mends }
        try await lost.declare(row, .danglingMetadata)
        throw failure
    }

    private func mend(_ row: BlobRow, on volume: any Volume, isAwaited: Bool) async throws {
        let flaws = ScanPace.run { _ in
            self.step()
        } _: {
            volume.verify(row.id, length: row.length, sha256: row.sha256, deep: true)
        }
        guard let flaw = flaws.first else { return }
        var finding = Finding(
            try inspection.classify(flaw, row, on: volume), volume: volume.index,
            path: volume.path(of: row.id),
            evidence: flaws.map(\.description).joined(separator: "; "),
            repair: "copy the replica from the other volumes")
        (finding.bucket, finding.key, finding.versionID) = try inspection.owner(of: row)
        finding.blobID = row.id
        if !isAwaited {
            guard inspection.repairAllowance.mends else { return try await note(finding) }
            try await inspection.repairAllowance.wait(step)
        }
        guard
            let report = try await inspection.restoreReplica(
                of: row.id, on: volume.index, reason: finding.evidence)
        else { return }
        finding.isRepaired = true
        try await inspection.recordRepair(finding, source: report.source, quarantined: report.quarantined)
        try await lost.review(row, source: report.source)
    }

    private func mend(_ sequence: SequenceNumber, on index: Int) async throws {
        let bad = inspection.log.verifyFrames(from: sequence, through: sequence, mirror: index)
        guard let flaw = bad.first else { return }
        guard let source = inspection.log.goodMirror(of: sequence, besides: index) else {
            return try await lost.declare(event: sequence)
        }
        var finding = Finding(flaw)
        if let event = try inspection.log.events(from: sequence, limit: 1).first {
            (finding.bucket, finding.key, finding.versionID) = event.subject
        }
        guard inspection.repairAllowance.mends else { return try await note(finding) }
        try await inspection.repairAllowance.wait(step)
        let place = try await inspection.repairLog(sequence, on: index)
        finding.isRepaired = true
        try await inspection.recordRepair(finding, source: "volume \(source)", quarantined: place)
    }
}

extension LoggedEvent {
    /// The object whose bytes the event carries.
    var subject: (bucket: String, key: String, versionID: String) {
        switch record.change {
        case .versionPublished(let change):
            (
                change.bucket, change.key,
                change.nullVersion ? "null" : Array(change.versionID).hexadecimal
            )
        case .partPublished(let change): (change.bucket, change.key, "")
        default: ("", "", "")
        }
    }
}

extension StoreInspection {
    /// The version that has the blob now, else the one it was written for. Where copies share it, the first.
    func owner(of row: BlobRow) throws -> (bucket: String, key: String, versionID: String) {
        guard let version = try catalog.read({ try $0.versions(using: row).first }) else {
            return (row.bucket, row.key, "")
        }
        return (version.record.bucket, version.key, version.wireVersionID)
    }
}

/// A version whose bytes are whole on every volume and do not open under its key. It is known by its event.
private struct UndecipherableVersion: Hashable {
    let finding: Finding

    init(_ version: ObjectVersion, _ evidence: String) {
        var finding = Finding(
            .undecipherable, volume: 0, path: "", evidence: evidence,
            repair: "restore the object, or the log's word of its encryption, from a snapshot")
        finding.bucket = version.record.bucket
        finding.key = version.key
        finding.versionID = version.wireVersionID
        finding.sequence = version.sequence
        self.finding = finding
    }

    static func == (one: Self, other: Self) -> Bool { one.finding.sequence == other.finding.sequence }
    func hash(into hasher: inout Hasher) { hasher.combine(finding.sequence) }
}
