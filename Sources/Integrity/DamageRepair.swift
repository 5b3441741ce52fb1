import Catalog
import Foundation
import Model
import ObjectStore
import Synchronization
import Volumes

/// Mends replicas that a read or the completion verifier found damaged, without waiting for a check: the
/// replica is looked at once more, every byte, written anew from the others, and an event says so. A version that a
/// read could not decipher cannot be mended: an event names it, once while the server runs.
public final class DamageRepair: Sendable {
    private enum Suspect: Hashable {
        case replica(BlobID, volume: Int)
        case version(UndecipherableVersion)
    }

    /// Suspects that may wait; more of them wait for the next check.
    private static let queueCount = 1024

    private let inspection: StoreInspection
    private let queued = Mutex<Set<Suspect>>([])
    /// Versions that an event has named.
    private let named = Mutex<Set<UndecipherableVersion>>([])
    private let suspects: AsyncStream<Suspect>
    private let continuation: AsyncStream<Suspect>.Continuation

    public init(_ store: ObjectStore) {
        inspection = store.inspection
        (suspects, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.queueCount))
        inspection.onDamage { [weak self] blob, volume in self?.note(.replica(blob, volume: volume)) }
        inspection.onUndecipherable { [weak self] version, evidence in
            self?.note(.version(UndecipherableVersion(version, evidence)))
        }
    }

    private func note(_ suspect: Suspect) {
        guard queued.withLock({ $0.insert(suspect).inserted }) else { return }
        if case .enqueued = continuation.yield(suspect) { return }
        queued.withLock { _ = $0.remove(suspect) }
    }

    /// Mends what is reported until the task is cancelled.
    /// - Parameter failed: told what could not be mended, and why.
    public func run(failed: @escaping @Sendable (String) -> Void) async {
        for await suspect in suspects {
            queued.withLock { _ = $0.remove(suspect) }
            switch suspect {
            case .replica(let blob, let volume):
                do { try await mend(blob, on: volume) } catch {
                    failed("blob \(blob) on volume \(volume): \(error)")
                }
            case .version(let version):
                failed("\(version.finding.bucket)/\(version.finding.key): \(version.finding.evidence)")
                do { try await record(version) } catch { failed("the finding of it: \(error)") }
            }
        }
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

    private func mend(_ blob: BlobID, on index: Int) async throws {
        guard let row = try inspection.catalog.read({ try $0.blob(blob) }), !row.isReclaiming,
            let volume = inspection.volumes.first(where: { $0.index == index })
        else { return }
        let flaws = volume.verify(row.id, length: row.length, sha256: row.sha256, deep: true)
        guard let flaw = flaws.first else { return }
        var finding = Finding(
            FindingCode(flaw, length: row.length), volume: volume.index, path: volume.path(of: row.id),
            evidence: flaws.map(\.description).joined(separator: "; "),
            repair: "copy the replica from the other volumes")
        finding.bucket = row.bucket
        finding.key = row.key
        finding.blobID = row.id
        guard
            try await inspection.restoreReplica(of: row.id, on: volume.index, reason: finding.evidence)
        else { return }
        finding.isRepaired = true
        try await inspection.recordRepair(finding, source: "the other volumes")
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
