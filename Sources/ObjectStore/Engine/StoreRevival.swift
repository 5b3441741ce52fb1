import EventLog
import Foundation
import Model
import Synchronization
import Volumes

/// Lets a store take writes again after a flush of the log missed its quorum, or after every mirror has left the
/// log between two flushes, once enough volumes can be used.
///
/// It is an opening in place. The volumes that are left and those that can be opened again are asked what the log
/// is; the events of the failed flush, whose callers heard that the outcome is not known, are in it or are cut off.
/// The catalog follows, blobs that no event names are removed, and a new epoch begins, so that whatever a volume
/// that is still missing holds of the failed flush loses against it. A volume whose log lags is brought back by
/// ``VolumeReturn`` as any other.
struct StoreRevival {
    let engine: Engine

    /// - Throws: why the store cannot take writes yet. Nothing has changed then, and it can be tried again.
    func run() throws {
        var returning: [VolumeHandle] = []
        let outcome: (epoch: UInt64, recovery: LogRecovery)
        do {
            for (index, _) in engine.volumes.setAside where !engine.volumes.hangs(index) {
                // The next round tries again; the others may be enough.
                guard let volume = open(index) else { continue }
                let handle = Opening.handle(volume, engine.environment)
                returning.append(handle)
                engine.volumes.place(handle, inService: false)
            }
            let handles = (engine.volumes.inService + returning).sorted { $0.index < $1.index }
            guard handles.count >= Limits.writeQuorum else {
                throw StoreError.unavailable(
                    "\(handles.count) of \(Limits.volumeCount) volumes can be used: the log cannot be opened again"
                )
            }
            outcome = try engine.onCommitThread { [self] in try revive(handles) }
        } catch {
            for handle in returning { giveUp(handle, "\(error)") }
            throw error
        }
        for handle in returning where engine.volumes.handle(handle.index) == nil {
            giveUp(handle, "its log lags")
        }
        // The volumes' standing says that writes are taken again, should the event not come to be.
        engine.announceEpoch(outcome.epoch) { _ in }
        record(outcome.recovery)
    }

    /// Every repair is an event (DESIGN invariant 5): frames that were taken from another mirror too.
    private func record(_ recovery: LogRecovery) {
        for frame in recovery.repaired {
            var change = EventReplicaRepaired()
            change.finding.code = "HF013"
            change.finding.faultClass = "log.damaged-frame"
            change.finding.volume = UInt32(frame.mirror)
            change.finding.path = frame.path
            change.finding.sequence = frame.sequence.rawValue
            change.finding.evidence = "event \(frame.sequence): \(frame.evidence)"
            change.source = "the other mirrors"
            let event = change
            engine.ledger.propose(
                Proposal(actor: .holdfast) { _ in .append(.replicaRepaired(event)) { _, _ in } }
            ) { _ in }  // the frame is good whether or not the event that says so comes to be
        }
    }

    private func open(_ index: Int) -> DirectoryVolume? {
        do { return try Opening.reopen(index, of: engine) } catch {
            engine.volumes.note(index, reason: "\(error)")
            return nil
        }
    }

    private func giveUp(_ handle: VolumeHandle, _ reason: String) {
        engine.volumes.fail(handle, reason: reason)
        (handle.volume as? DirectoryVolume)?.close()
        // It may have been in the log for a moment.
        _ = engine.ledger.exclude { [engine] in
            if engine.volumes.handle(handle.index) == nil {
                engine.ledger.log.takeOutOfService(handle.index)
            }
        }
    }

    /// The epoch begins before anything else can be appended: what a volume that is missing holds of the failed
    /// flush is of an older one, however long it is.
    private func revive(_ handles: [VolumeHandle]) throws -> (epoch: UInt64, recovery: LogRecovery) {
        let ledger = engine.ledger
        guard handles.allSatisfy({ $0.log.depth == 0 }) else {
            throw StoreError.busy("an append to the log is still under way")
        }
        let mirrors = handles.compactMap { handle in
            (handle.volume as? DirectoryVolume).map { Opening.mirror(of: $0, lane: handle.log) }
        }
        let recovery = try ledger.reopenLog(mirrors)
        let epoch = ledger.log.nextEpoch
        ledger.log.beginEpoch(epoch)
        for handle in handles {
            if recovery.lagging.contains(handle.index) {
                engine.volumes.fail(handle, reason: "its log does not hold event \(ledger.log.head.sequence)")
            } else {
                settle(handle)
            }
        }
        return (epoch, recovery)
    }

    private func settle(_ handle: VolumeHandle) {
        // Uploads go on where they were being written.
        let isReturning = engine.volumes.handle(handle.index) == nil
        let kept = isReturning ? [] : engine.blobsUnderWay
        do {
            _ = try Opening.clearIncoming(handle.volume, engine.ledger.catalog, except: kept)
            if isReturning { engine.volumes.place(handle, inService: true) }
        } catch {
            engine.ledger.log.takeOutOfService(handle.index)
            engine.volumes.fail(handle, reason: "clearing incoming/: \(error)")
        }
    }
}
