import EventLog
import Model
import ObjectStore
import Volumes

/// Reads the log from its first event to its head on every mirror: each frame, payload included, against its
/// checksums, each chain hash against the one before, and the mirrors against each other.
public struct LogCheck: Sendable {
    public struct Report: Sendable {
        public var head: LogPosition
        /// Each mirror in service, and how many frames are not good there.
        public var mirrors: [(volume: Int, flaws: Int)]
    }

    private let inspection: StoreInspection
    private static let batchCount: UInt64 = 8192

    /// Whether the devices are read, where the file system can, and not what memory has of them.
    private let isDeep: Bool

    public init(_ store: ObjectStore, isDeep: Bool = false) {
        inspection = store.inspection
        self.isDeep = isDeep
    }

    /// - Parameters:
    ///   - report: called with each finding.
    ///   - progress: called with the part of the log that is done, from 0 to 1.
    /// - Throws: ``LogError/damaged(_:_:)`` if no mirror has a good copy of some event; `CancellationError`.
    public func run(
        report: (Finding) throws -> Void, progress: (Double) -> Void = { _ in }
    ) throws -> Report {
        let head = inspection.log.head
        var position = LogPosition.start
        var flaws = Dictionary(uniqueKeysWithValues: inspection.volumes.map { ($0.index, 0) })
        while position.sequence < head.sequence {
            try Task.checkCancellation()
            let last = min(position.sequence.rawValue + Self.batchCount, head.sequence.rawValue)
            let found = try inspection.log.compareMirrors(
                through: SequenceNumber(last), after: &position, pastCache: isDeep)
            for flaw in found where flaws[flaw.mirror] != nil {
                flaws[flaw.mirror, default: 0] += 1
                var finding = Finding(flaw)
                if !flaw.isOfSegment,
                    let event = try inspection.log.events(from: flaw.sequence, limit: 1).first
                {
                    (finding.bucket, finding.key, finding.versionID) = event.subject
                }
                try report(finding)
            }
            progress(Double(last) / Double(head.sequence.rawValue))
        }
        return Report(head: head, mirrors: flaws.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
    }
}
