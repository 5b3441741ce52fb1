import Catalog
import Foundation
import Model
import ObjectStore
import Synchronization
import Volumes

/// The findings that were recorded and have not been mended since, computed from the catalog. What was read of it
/// once is kept, so that asking again costs only what is new.
public final class OpenFindings: Sendable {
    /// Where a finding is: one repair mends all that is wrong there, whatever each was called.
    public struct Place: Hashable, Sendable {
        let volume: UInt32
        let blob: Data
        let frame: UInt64
        let path: String

        init(_ finding: EventFinding) {
            volume = finding.volume
            blob = finding.blobID
            let isFrame = finding.faultClass.hasPrefix("log.") && finding.sequence > 0
            frame = isFrame ? finding.sequence : 0
            path = isFrame || !blob.isEmpty ? "" : finding.path
        }
    }

    private struct State {
        var seen = SequenceNumber.zero
        var open: [Place: EventFinding] = [:]
    }

    private static let pageCount = 1024
    private let inspection: StoreInspection
    private let state = Mutex(State())

    public init(_ store: ObjectStore) { inspection = store.inspection }

    public func all() throws -> [Place: EventFinding] {
        try state.withLock { state in
            while true {
                let page = try inspection.catalog.read {
                    try $0.findings(after: state.seen, limit: Self.pageCount)
                }
                for (sequence, isRepaired, finding) in page {
                    state.open[Place(finding)] = isRepaired ? nil : finding
                    state.seen = sequence
                }
                if page.count < Self.pageCount { return state.open }
            }
        }
    }
}
