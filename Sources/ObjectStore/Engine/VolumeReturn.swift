import Catalog
import EventLog
import Foundation
import Model
import Volumes

/// Brings a volume that was set aside back to good standing, from the log alone.
///
/// The directory is opened afresh. Blobs begun and never published are removed. Then the volume's mirror is
/// caught up with the others, each event's blobs brought before the event; the last events under the commit
/// thread's exclusion, so that the volume takes part in every commit after.
struct VolumeReturn {
    /// Events that are brought while nothing is committed.
    private static let restCount: UInt64 = 64
    private static let pacedRoundLimit = 4
    private static let roundLimit = 12

    let engine: Engine

    func run(_ index: Int) throws {
        let volume = try Opening.reopen(index, of: engine)
        do { try bring(volume) } catch {
            volume.close()
            throw error
        }
    }

    private func bring(_ volume: DirectoryVolume) throws {
        let ledger = engine.ledger
        // What the catalog does not know yet may be published all the same.
        let head = ledger.log.head.sequence
        guard try ledger.catalog.read({ try $0.position() }).sequence >= head else {
            throw StoreError.busy("the catalog, which is being brought up to the log,")
        }
        let handle = Opening.handle(volume, engine.environment)
        let mirror = Opening.mirror(of: volume, lane: handle.log)
        engine.volumes.place(handle, inService: false)
        let index = handle.index
        engine.refills.begin(index)
        defer { engine.refills.end(index) }
        do {
            _ = try Opening.clearIncoming(volume, ledger.catalog)
            let copier = BlobCopier(sources: engine.volumes.inService.map(\.volume))
            var paced = copier
            paced.copied = { [refills = engine.refills] count in
                refills.change(index) { $0.underWay += UInt64(count) }
                try refills.pace(index, count)
            }
            try bringEndangered(to: volume, paced)
            engine.refills.change(index) { $0.underWay = 0 }
            var reclaimed: [SequenceNumber] = []
            var isPaced = true
            let bringEvent: (LoggedEvent) throws -> Void = { event in
                try meet(event, index)
                try Opening.bring(event, to: volume, ledger.catalog, isPaced ? paced : copier)
                if isPaced { try engine.refills.pace(index, event.payloadLength) }
                engine.refills.change(index) { $0.finish(event) }
                if case .reclaimed(let change) = event.record.change {
                    reclaimed += change.payloadSequences.map { SequenceNumber($0) }
                }
            }
            // An event may be damaged on every mirror that is left: this one may have it, or another that is out.
            let witnesses = [mirror] + engine.volumes.setAside.compactMap { witness($0.index) }
            var behind = ledger.log.head.sequence
            var report = try ledger.log.consulting(witnesses) {
                try ledger.log.catchUp(mirror, before: bringEvent)
            }
            // What is committed meanwhile is brought as well, until what is left is little: nothing is committed
            // while the rest is brought. A rate that is slower than the writes never gets there, and is let go.
            for round in 1..<Self.roundLimit
            where ledger.log.head.sequence.rawValue - behind.rawValue > Self.restCount {
                isPaced = round < Self.pacedRoundLimit
                behind = ledger.log.head.sequence
                let added = try ledger.log.consulting(witnesses) {
                    try ledger.log.catchUp(mirror, before: bringEvent)
                }
                report.events += added.events
                report.bytes += added.bytes
            }
            let last = try ledger.log.consulting(witnesses) { try finish(handle, mirror, copier) }
            report.events += last.events
            report.bytes += last.bytes
            // Copied segments came without these; the volume's own still have them.
            try ledger.log.dropPayloads(of: reclaimed, mirror: handle.index)
            announce(handle.index, report)
        } catch {
            engine.volumes.fail(handle, reason: "bringing it back: \(error)")
            throw error
        }
    }

    /// The log of a volume that stays set aside, to be read only; `nil` if the volume that belongs there cannot be
    /// read, of which its own return says why.
    private func witness(_ index: Int) -> LogMirror? {
        let path = engine.volumes.path(of: index)
        let fileSystem = engine.environment.fileSystem
        guard let identity = try? DirectoryVolume.readIdentity(path, fileSystem: fileSystem),
            identity.storeID == engine.storeID, identity.index == index
        else { return nil }
        return Opening.mirror(at: path, index: index, fileSystem, lane: InlineLane())
    }

    private func finish(_ handle: VolumeHandle, _ mirror: LogMirror, _ copier: BlobCopier) throws
        -> CatchUpReport
    {
        let engine = engine
        return try engine.onCommitThread {
            let report = try engine.ledger.log.catchUp(mirror) {
                try Opening.bring($0, to: handle.volume, engine.ledger.catalog, copier)
            }
            try engine.ledger.log.putInService(mirror)
            engine.volumes.place(handle, inService: true)
            return report
        }
    }

    /// The first event that the volume missed tells how much it is.
    private func meet(_ event: LoggedEvent, _ index: Int) throws {
        if engine.refills.progress(of: index)?.events == 0 {
            engine.refills.noteBrought(index, from: event.sequence)
            let totals = try engine.ledger.catalog.read { try $0.blobTotals(bornFrom: event.sequence) }
            let head = engine.ledger.head.sequence
            engine.refills.change(index) {
                $0.events = head.rawValue + 1 - event.sequence.rawValue
                $0.bytes = totals.bytes
            }
        }
    }

    /// Blobs that another volume has no good replica of are brought before all others: they have the fewest. A
    /// replica that is there before its event is no harm; that the log does not have its event yet, it may wait for.
    private func bringEndangered(to volume: any Volume, _ copier: BlobCopier) throws {
        for id in try EndangeredBlobs(catalog: engine.ledger.catalog).find(except: volume.index) {
            guard let row = try engine.ledger.catalog.read({ try $0.blob(id) }), !row.isReclaiming else {
                continue
            }
            let flaws = volume.verify(id, length: row.length, sha256: row.sha256, deep: false)
            if flaws.isEmpty { continue }
            let reason = flaws == [.missing] ? nil : flaws.map(\.description).joined(separator: "; ")
            do { try copier.copy(id, to: volume, replacing: reason) } catch is BlobFlaw {
                // Nobody has it whole: the event that names it will say so, after the others are brought.
            }
        }
    }

    private func announce(_ index: Int, _ report: CatchUpReport) {
        var change = EventVolumeReturned()
        change.volume = UInt32(index)
        change.events = report.events
        change.bytes = report.bytes
        let event = change
        engine.ledger.propose(
            Proposal(actor: .holdfast) { _ in .append(.volumeReturned(event)) { _, _ in } }
        ) { _ in }  // the volume is back whether or not the event that says so is
    }
}

extension RefillProgress {
    /// An event of the missing ones is there, with its blobs.
    fileprivate mutating func finish(_ event: LoggedEvent) {
        eventsDone += 1
        underWay = 0
        switch event.record.change {
        case .versionPublished(let change) where change.copiedFrom.isEmpty && change.uploadID.isEmpty:
            bytesDone += change.pieces.filter { !$0.blobID.isEmpty }.reduce(0) { $0 + $1.length }
        case .partPublished(let change) where !change.piece.blobID.isEmpty:
            bytesDone += change.piece.length
        default: break
        }
    }
}
