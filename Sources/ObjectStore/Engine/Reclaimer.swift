import Catalog
import EventLog
import Foundation
import Model
import Synchronization
import Volumes

/// Gives space back (DESIGN, "Reclaiming"): blobs and payloads that nothing refers to, once neither the history
/// window nor a reader can see them.
///
/// An event says what is about to go before any of it goes, so a replica that is missing afterwards is
/// explained; a second event says that it is gone. What a process that ended had planned is carried out by the
/// next one.
final class Reclaimer: Sendable {
    /// Blobs or payloads that one plan names at most.
    private static let planCount = 512
    /// A segment is written afresh when this part of it is dead payloads: 1 in so many bytes.
    private static let segmentShare = 4

    private let engine: Engine

    init(_ engine: Engine) { self.engine = engine }

    /// One round.
    /// - Returns: whether there may be more to do at once.
    func run() async throws -> Bool {
        let unfinished = try engine.ledger.catalog.read {
            (try $0.reclaimingBlobs(limit: Self.planCount), try $0.reclaimingPayloads())
        }
        if !unfinished.0.isEmpty || !unfinished.1.isEmpty {
            try await carryOut(blobs: unfinished.0, payloads: unfinished.1)
            return true
        }
        let now = engine.clock().microseconds
        let window = engine.settings.historySeconds * 1_000_000
        let limit = Timestamp(microseconds: now > window ? now - window : 0)
        let pin = engine.readPins.oldest(else: engine.ledger.head.sequence)
        let blobs = try engine.ledger.catalog.read {
            try $0.deadBlobs(diedBefore: pin.next, limit, limit: Self.planCount)
        }
        let payloads = try payloadsWorthDropping(diedBefore: pin.next, limit)
        guard !blobs.isEmpty || !payloads.isEmpty else { return false }
        try await plan(blobs.map(\.id), payloads)
        return true
    }

    /// Dead payloads of one sealed segment that has enough of them.
    private func payloadsWorthDropping(
        diedBefore pin: SequenceNumber, _ limit: Timestamp
    ) throws -> [SequenceNumber] {
        let dead = try engine.ledger.catalog.read {
            try $0.deadPayloads(diedBefore: pin, limit, limit: 100_000)
        }
        var index = 0
        while index < dead.count {
            guard let segment = engine.ledger.log.sealedSegment(of: dead[index].sequence) else { return [] }
            let run = dead[index...].prefix { $0.sequence <= segment.last }
            let byteCount = run.reduce(0) { $0 + $1.length }
            if byteCount * Self.segmentShare >= engine.settings.segmentByteCount {
                return run.prefix(100_000).map(\.sequence)
            }
            index += run.count
        }
        return []
    }

    /// Gives up blobs that nothing refers to, whether or not history sees them.
    func giveUp(_ blobs: [BlobID]) async throws {
        for start in stride(from: 0, to: blobs.count, by: Self.planCount) {
            try await plan(Array(blobs[start..<min(start + Self.planCount, blobs.count)]), [])
            let planned = try engine.ledger.catalog.read {
                (try $0.reclaimingBlobs(limit: 2 * Self.planCount), try $0.reclaimingPayloads())
            }
            try await carryOut(blobs: planned.0, payloads: planned.1)
        }
    }

    private func plan(_ blobs: [BlobID], _ payloads: [SequenceNumber]) async throws {
        _ = try await engine.ledger.commit(
            Proposal(actor: .holdfast) { view in
                var change = EventReclaimPlanned()
                // A copy may have found a use for one meanwhile.
                change.blobIds = try blobs.filter(view.isDead).map { Data($0.bytes) }
                change.payloadSequences = payloads.map(\.rawValue)
                if change.blobIds.isEmpty, change.payloadSequences.isEmpty { return .nothing(()) }
                return .append(.reclaimPlanned(change)) { _, _ in }
            })
    }

    private func carryOut(blobs: [BlobRow], payloads: [SequenceNumber]) async throws {
        var cleaned: Set<Int> = []
        var change = EventReclaimed()
        change.blobIds = blobs.map { Data($0.id.bytes) }
        change.payloadSequences = payloads.map(\.rawValue)
        change.bytes = blobs.reduce(0) { $0 + $1.length }
        for _ in 0..<ObjectStore.preparationLimit {
            for handle in engine.volumes.inService where !cleaned.contains(handle.index) {
                try await clean(handle, blobs, payloads)
                cleaned.insert(handle.index)
            }
            let event = change
            let ready = cleaned
            do {
                _ = try await engine.ledger.commit(
                    Proposal(actor: .holdfast, preparedVolumes: { ready }) { _ in
                        .append(.reclaimed(event)) { _, _ in }
                    })
                return
            } catch is ReplicaMissing {
                // A volume came back meanwhile: it is cleaned too.
            }
        }
        throw StoreError.busy("volumes leave and return while space is reclaimed")
    }

    private func clean(_ handle: VolumeHandle, _ blobs: [BlobRow], _ payloads: [SequenceNumber]) async throws
    {
        do {
            try await WatchedJob.run(on: handle.writer, watch: engine.watch) {
                for blob in blobs { try handle.volume.removeBlob(blob.id) }
            }
        } catch {
            engine.volumes.fail(handle, reason: "reclaiming: \(error)")
            return
        }
        try engine.ledger.log.dropPayloads(of: payloads, mirror: handle.index)
    }
}
