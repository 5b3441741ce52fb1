import Model
import Volumes

/// A volume for as long as it stays in service without a break.
package struct ServiceToken: Sendable {
    let handle: VolumeHandle
    package var volume: any Volume { handle.volume }
}

/// What scrubs need to know of an open store.
extension StoreInspection {
    package var now: Timestamp { engine.clock() }
    package var refills: Refills { engine.refills }
    /// Replicas being written anew, or waiting for it.
    package var pendingRepairs: Int { engine.repairs.depth }
    package var statuses: [VolumeStatus] { engine.volumes.statuses }
    /// Work that requests have queued on the volumes' threads.
    package var queued: Int { engine.volumes.statuses.reduce(0) { $0 + $1.queued } }

    package func token(_ index: Int) -> ServiceToken? {
        engine.volumes.handle(index).map(ServiceToken.init)
    }

    package func isInService(_ token: ServiceToken) -> Bool {
        engine.volumes.handle(token.handle.index) === token.handle
    }

    /// Appends an event that speaks of a volume, unless that has left service since the token was taken: asked on
    /// the commit thread, so that the event of its leaving comes behind.
    /// - Returns: whether it was appended.
    package func record(
        _ change: EventRecord.OneOf_Change, ifStillIn token: ServiceToken
    ) async throws -> Bool {
        try await engine.ledger.commit(
            Proposal(actor: .holdfast) { [engine] _ -> Decision<Bool> in
                guard engine.volumes.handle(token.handle.index) === token.handle else {
                    return .nothing(false)
                }
                return .append(change) { _, _ in true }
            }
        ).value
    }
}
