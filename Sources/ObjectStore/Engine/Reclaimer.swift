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
///
/// Each event is one transaction of the catalog, which nobody else can write meanwhile: so no event names more than
/// ``planCount``, and what is more is more events. A segment that loses a hundred thousand payloads is planned in two hundred
/// of them, is written afresh once, and is told of in two hundred again.
final class Reclaimer: Sendable {
    /// Blobs, payloads or parts that one event names at most: their rows are a few milliseconds' work.
    static let planCount = 512
    /// A segment is written afresh when this part of it is dead payloads: 1 in so many bytes.
    private static let segmentShare = 4
    /// The same, where a volume is nearly full.
    private static let earlySegmentShare = 32
    /// How many times as long as it counted it rests; not at all where a volume is nearly full.
    private static let countingRests = 9
    /// Payloads of a segment that are planned in one round at most.
    private static let roundCount = 100_000

    private let engine: Engine
    private let share: Int
    private let rests: Int

    init(_ engine: Engine, early: Bool = false) {
        self.engine = engine
        rests = early ? 0 : Self.countingRests
        share = early ? Self.earlySegmentShare : Self.segmentShare
    }

    /// One round.
    /// - Returns: whether there may be more to do at once.
    func run() async throws -> Bool {
        if try await releaseParts() { return true }
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
        let worth = try await payloadsWorthDropping(diedBefore: pin.next, limit)
        guard !blobs.isEmpty || worth != nil else { return false }
        for part in Self.parts(blobs.map(\.id), worth?.payloads ?? []) {
            try await plan(part.blobs, part.payloads)
        }
        if let worth { engine.deadPayloads.take(worth.byteCount, from: worth.segment) }
        return true
    }

    /// What one event names each.
    private static func parts<Blob>(
        _ blobs: [Blob], _ payloads: [SequenceNumber]
    ) -> [(blobs: ArraySlice<Blob>, payloads: ArraySlice<SequenceNumber>)] {
        let blobParts = stride(from: 0, to: blobs.count, by: planCount).map {
            (blobs[$0..<min($0 + planCount, blobs.count)], payloads[..<0])
        }
        let payloadParts = stride(from: 0, to: payloads.count, by: planCount).map {
            (blobs[..<0], payloads[$0..<min($0 + planCount, payloads.count)])
        }
        return blobParts + payloadParts
    }

    /// Takes some of the parts of an upload that was aborted and had too many for one event.
    /// - Returns: whether there were any.
    private func releaseParts() async throws -> Bool {
        guard
            let (id, last) = try engine.ledger.catalog.read({
                try $0.abortedParts(limit: Self.planCount)
            })
        else { return false }
        var change = EventPartsReleased()
        change.uploadID = Data(id.bytes)
        change.throughPart = UInt32(last)
        let event = change
        _ = try await engine.ledger.commit(
            Proposal(actor: .holdfast) { _ in .append(.partsReleased(event)) { _, _ in } })
        return true
    }

    private struct Worth {
        /// Its first event.
        let segment: SequenceNumber
        let payloads: [SequenceNumber]
        let byteCount: Int
    }

    /// Dead payloads of one sealed segment that has enough of them.
    private func payloadsWorthDropping(
        diedBefore pin: SequenceNumber, _ limit: Timestamp
    ) async throws -> Worth? {
        let (catalog, log) = (engine.ledger.catalog, engine.ledger.log)
        try await engine.deadPayloads.count(catalog, log, diedBefore: pin, limit, rests: rests)
        let least = (engine.settings.segmentByteCount + share - 1) / share
        let candidates = engine.deadPayloads.segments(ofAtLeast: least)
        for (first, counted) in candidates.segments {
            guard let segment = log.sealedSegment(of: first) else { continue }
            let dead = try catalog.read {
                try $0.deadPayloads(
                    in: segment.first...segment.last, diedBefore: pin, limit, limit: Self.roundCount)
            }
            guard dead.byteCount >= least else {
                // What a reader of the past holds now is counted all the same. What is planned is not there any more: by a round
                // that came to no end, or because a repository had dropped it.
                let there = try catalog.read {
                    try $0.deadPayloadByteCount(in: segment.first...segment.last, through: candidates.last)
                }
                engine.deadPayloads.take(counted - there, from: first)
                continue
            }
            return Worth(
                segment: first, payloads: dead.first.map(\.sequence),
                byteCount: dead.first.reduce(0) { $0 + $1.length })
        }
        return nil
    }

    /// Gives up blobs that nothing refers to, whether or not history sees them.
    func giveUp(_ blobs: [BlobID]) async throws {
        for start in stride(from: 0, to: blobs.count, by: Self.planCount) {
            try await plan(blobs[start..<min(start + Self.planCount, blobs.count)], [])
            let planned = try engine.ledger.catalog.read {
                (try $0.reclaimingBlobs(limit: 2 * Self.planCount), try $0.reclaimingPayloads())
            }
            try await carryOut(blobs: planned.0, payloads: planned.1)
        }
    }

    /// Gives up payloads that nothing refers to and that the log has not: a repository had dropped them. There is nothing to
    /// clean on any volume.
    func giveUpDroppedPayloads() async throws {
        let ledger = engine.ledger
        var after = SequenceNumber.zero
        while true {
            let dead = try ledger.catalog.read {
                try $0.deadPayloads(after: after, limit: Self.planCount)
            }
            guard let last = dead.last else { return }
            let dropped = try dead.filter { try ledger.log.isPayloadDropped($0) }
            if !dropped.isEmpty {
                try await plan([], dropped[...])
                var change = EventReclaimed()
                change.payloadSequences = dropped.map(\.rawValue)
                try await record(change) { [engine] in Set(engine.volumes.inService.map(\.index)) }
            }
            after = last
        }
    }

    private func plan(_ blobs: ArraySlice<BlobID>, _ payloads: ArraySlice<SequenceNumber>) async throws {
        precondition(blobs.count + payloads.count <= Self.planCount, "one event names no more")
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
        for part in Self.parts(blobs, payloads) {
            var change = EventReclaimed()
            change.blobIds = part.blobs.map { Data($0.id.bytes) }
            change.payloadSequences = part.payloads.map(\.rawValue)
            change.bytes = part.blobs.reduce(0) { $0 + $1.length }
            try await record(change) { [engine] in
                for handle in engine.volumes.inService where !cleaned.contains(handle.index) {
                    try await clean(handle, blobs, payloads)
                    cleaned.insert(handle.index)
                }
                return cleaned
            }
        }
    }

    /// - Parameter clean: cleans every volume in service that is not clean yet, and tells which are.
    private func record(_ event: EventReclaimed, clean: () async throws -> Set<Int>) async throws {
        for _ in 0..<ObjectStore.preparationLimit {
            let ready = try await clean()
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
