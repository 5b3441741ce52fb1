import Catalog
import EventLog
import Foundation
import Model
import Synchronization
import Volumes

/// Brings a volume that was set aside back to good standing, from the log alone.
///
/// The directory is opened afresh. Blobs begun and never published are removed. Then the volume's mirror is
/// caught up with the others, each event's blobs brought before the event; the last events under the commit
/// thread's exclusion, so that the volume takes part in every commit after.
struct VolumeReturn {
    /// Events that are brought while nothing is committed, and bytes of their blobs.
    private static let restCount: UInt64 = 64
    private static let restByteCount: UInt64 = 8 * 1024 * 1024
    private static let pacedRoundLimit = 4
    private static let roundLimit = 40

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
            throw StoreError.busy("the catalog is being brought up to the log")
        }
        let handle = Opening.handle(volume, engine.environment)
        let mirror = Opening.mirror(of: volume, lane: handle.log)
        engine.volumes.place(handle, inService: false)
        let index = handle.index
        engine.refills.begin(index)
        defer { engine.refills.end(index) }
        do {
            _ = try Opening.clearIncoming(volume, ledger.catalog)
            var copier = BlobCopier(sources: engine.volumes.inService.map(\.volume))
            let isPaced = Atomic(true)
            copier.copied = { [refills = engine.refills] count in
                refills.change(index) { $0.underWay += UInt64(count) }
                if isPaced.load(ordering: .relaxed) { try refills.pace(index, count) }
            }
            let missed = Opening.missedBlobs(of: volume, ledger.catalog, copier, engine.environment)
            defer { missed.lane.finish() }
            // A replica that is there before its event is no harm; that the log does not have its event yet, it may wait
            // for. These have the fewest others.
            try missed.bring(EndangeredBlobs(catalog: ledger.catalog).find(except: index))
            // They count when their events are there.
            engine.refills.change(index) { $0.finish([]) }
            var reclaimed: [SequenceNumber] = []
            func bringTogether(_ events: [LoggedEvent]) throws {
                try missed.bring(events)
                for event in events {
                    if isPaced.load(ordering: .relaxed) {
                        try engine.refills.pace(index, event.payloadLength)
                    }
                    if case .reclaimed(let change) = event.record.change {
                        reclaimed += change.payloadSequences.map { SequenceNumber($0) }
                    }
                }
                engine.refills.change(index) { $0.finish(events) }
            }
            let bringEvents: ([LoggedEvent]) throws -> Void = { events in
                if let first = events.first { try meet(first, index) }
                if engine.refills.isBounded, isPaced.load(ordering: .relaxed) {
                    // It takes as long as it is to: whoever watches sees each version counted as it comes.
                    for event in events { try bringTogether([event]) }
                } else {
                    try bringTogether(events)
                }
            }
            // An event may be damaged on every mirror that is left: this one may have it, or another that is out.
            let witnesses = [mirror] + engine.volumes.setAside.compactMap { witness($0.index) }
            var behind = ledger.log.head.sequence
            var report = try ledger.log.consulting(witnesses) {
                try ledger.log.catchUp(mirror, before: bringEvents)
            }
            // What is committed meanwhile is brought as well, until what is left is little: nothing is committed
            // while the rest is brought. A rate that is slower than the writes never gets there, and is let go.
            for round in 1..<Self.roundLimit {
                guard try isMuch(after: behind) else { break }
                isPaced.store(round < Self.pacedRoundLimit, ordering: .relaxed)
                behind = ledger.log.head.sequence
                let added = try ledger.log.consulting(witnesses) {
                    try ledger.log.catchUp(mirror, before: bringEvents)
                }
                report.events += added.events
                report.bytes += added.bytes
            }
            isPaced.store(false, ordering: .relaxed)
            let last = try ledger.log.consulting(witnesses) { try finish(handle, mirror, missed) }
            report.events += last.events
            report.bytes += last.bytes
            // Copied segments came without these; the volume's own still have them.
            try ledger.log.dropPayloads(of: reclaimed, mirror: handle.index)
            announce(handle.index, report)
        } catch {
            var error = error
            if (error as? FileSystemError)?.code == ENOSPC {
                // The next attempt may have room then.
                do { try MissedBlobs.removeReclaimed(from: volume, ledger.catalog, ledger.log) } catch let
                    other
                {
                    error = other
                }
            }
            engine.returns.noteFailure(index, isNeeded: engine.isShortOfVolumes)
            engine.volumes.fail(handle, reason: "bringing it back: \(error)")
            throw error
        }
    }

    /// Whether what was committed since is too much for callers to wait for.
    private func isMuch(after behind: SequenceNumber) throws -> Bool {
        let log = engine.ledger.log
        let count = log.head.sequence.rawValue - behind.rawValue
        guard count <= Self.restCount else { return true }
        let events = try log.events(from: behind.next, limit: Int(count))
        return events.reduce(0) { $0 + $1.broughtByteCount } > Self.restByteCount
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

    private func finish(_ handle: VolumeHandle, _ mirror: LogMirror, _ missed: MissedBlobs) throws
        -> CatchUpReport
    {
        let engine = engine
        // Nothing is committed meanwhile, to the catalog either.
        var missed = missed
        missed.patience = 0
        return try engine.onCommitThread { [missed] in
            let report = try engine.ledger.log.catchUp(mirror, before: missed.bring)
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
    /// Events of the missing ones are there, and every blob that was copied for them: nothing is under way.
    fileprivate mutating func finish(_ events: [LoggedEvent]) {
        eventsDone += UInt64(events.count)
        bytesDone += events.reduce(0) { $0 + $1.broughtByteCount }
        underWay = 0
    }
}

extension LoggedEvent {
    /// Bytes of the blobs that it brings: the others came before.
    fileprivate var broughtByteCount: UInt64 { record.newBlobPieces.reduce(0) { $0 + $1.length } }
}
