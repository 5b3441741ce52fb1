import Catalog
import Foundation
import Model
import ObjectStore
import Synchronization
import Volumes

/// Mends replicas that a read or the completion verifier found damaged, without waiting for a check: the
/// replica is looked at once more, every byte, written anew from the others, and an event says so.
public final class DamageRepair: Sendable {
    private struct Suspect: Hashable {
        let blob: BlobID
        let volume: Int
    }

    /// Suspects that may wait; more of them wait for the next check.
    private static let queueCount = 1024

    private let inspection: StoreInspection
    private let queued = Mutex<Set<Suspect>>([])
    private let suspects: AsyncStream<Suspect>
    private let continuation: AsyncStream<Suspect>.Continuation

    public init(_ store: ObjectStore) {
        inspection = store.inspection
        (suspects, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingOldest(Self.queueCount))
        inspection.onDamage { [weak self] blob, volume in self?.note(Suspect(blob: blob, volume: volume)) }
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
            do { try await mend(suspect) } catch {
                failed("blob \(suspect.blob) on volume \(suspect.volume): \(error)")
            }
        }
    }

    private func mend(_ suspect: Suspect) async throws {
        guard let row = try inspection.catalog.read({ try $0.blob(suspect.blob) }), !row.isReclaiming,
            let volume = inspection.volumes.first(where: { $0.index == suspect.volume })
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
