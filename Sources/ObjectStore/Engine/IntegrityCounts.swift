import Model
import Synchronization

/// What this process has found damaged and mended, counted by volume and by class of fault: both are few.
public final class IntegrityCounts: Sendable {
    private struct State {
        var damagedReads: [Int: UInt64] = [:]
        var findings: [String: UInt64] = [:]
        var repairs: [String: UInt64] = [:]
    }

    private let state = Mutex(State())

    func damagedRead(_ volume: Int) { state.withLock { $0.damagedReads[volume, default: 0] += 1 } }

    /// An event of the store's own was committed.
    func note(_ change: EventRecord.OneOf_Change) {
        switch change {
        case .findingRecorded(let change):
            state.withLock { $0.findings[change.finding.faultClass, default: 0] += 1 }
        case .replicaRepaired(let change):
            state.withLock { $0.repairs[change.finding.faultClass, default: 0] += 1 }
        default: break
        }
    }

    /// Replicas that a read found damaged, by volume.
    public var damagedReads: [Int: UInt64] { state.withLock { $0.damagedReads } }
    /// Findings that were recorded, by class.
    public var findings: [String: UInt64] { state.withLock { $0.findings } }
    public var repairs: [String: UInt64] { state.withLock { $0.repairs } }
}
