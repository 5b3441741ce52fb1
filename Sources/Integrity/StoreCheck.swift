import EventLog
import Foundation
import Model
import ObjectStore
import Volumes

/// The whole check of a store, `holdfast fsck`: log mirrors against each other, the catalog against the log,
/// and every replica against the catalog.
public struct StoreCheck: Sendable {
    private let store: ObjectStore
    private let options: ReplicaCheck.Options
    private let includesOpening: Bool

    /// - Parameter includesOpening: what was mended when the store was opened counts as found: for a store that
    ///   was opened to be checked.
    public init(_ store: ObjectStore, _ options: ReplicaCheck.Options, includesOpening: Bool) {
        self.store = store
        self.options = options
        self.includesOpening = includesOpening
    }

    /// - Parameters:
    ///   - report: called with each finding as it is made, after its repair was tried.
    ///   - progress: called with the part of the work that is done, from 0 to 1.
    public func run(
        report: (Finding) throws -> Void, progress: (Double) -> Void = { _ in }
    ) async throws -> CheckSummary {
        var before = CheckSummary()
        func count(_ finding: Finding) throws {
            before.findings += 1
            if finding.isRepaired { before.repaired += 1 }
            try report(finding)
        }
        let inspection = store.inspection
        if includesOpening {
            for finding in openingFindings() { try count(finding) }
        }
        let catalog = CatalogCheck(
            inspection: inspection, repairs: options.repairs, isDeep: options.isDeep)
        let lane = inspection.makeLane("check-catalog")
        defer { lane.finish() }
        let comparison = BackgroundJob(on: lane) { try catalog.compare() }
        var damaged: [Finding] = []
        do {
            _ = try LogCheck(store, isDeep: options.isDeep).run {
                damaged.append($0)
            } progress: {
                progress($0 * 0.2)
            }
        } catch LogError.damaged(let sequence, let reason) {
            damaged.append(.lostEvent(sequence, reason))
        }
        // A sealed segment is written afresh as a whole, whichever of its events is damaged.
        var rewritten: [String: String] = [:]
        for var finding in damaged {
            if options.repairs, finding.code != .lostEvent { await mend(&finding, inspection, &rewritten) }
            try count(finding)
        }
        var forgotten: Set<BlobID> = []
        do {
            let (differences, blobs) = try await catalog.findings(try await comparison.value())
            for finding in differences { try count(finding) }
            forgotten = blobs
        } catch LogError.damaged where damaged.contains(where: { $0.code == .lostEvent }) {
            // The catalog cannot be computed anew without the event that was reported: it stands as it is.
        }
        progress(0.3)
        var replicas = ReplicaCheck(store, options)
        replicas.known = forgotten
        var summary = try await replicas.run(report: report) {
            progress(0.3 + 0.7 * $0)
        }
        // What was lost and is there again, whoever brought it.
        if options.repairs { try await LostVersions(inspection).reviewAll(source: "found by a check") }
        summary.findings += before.findings
        summary.repaired += before.repaired
        return summary
    }

    private func openingFindings() -> [Finding] {
        var findings: [Finding] = []
        for frame in store.opening.log.repaired {
            var finding = Finding(
                .damagedFrame, volume: frame.mirror, path: frame.path,
                evidence: "event \(frame.sequence): \(frame.evidence)",
                repair: "copy it from the other mirrors")
            finding.sequence = frame.sequence
            findings.append(finding)
        }
        for parting in store.opening.log.partings where store.inspection.isInService(parting.mirror) {
            var finding = Finding(
                FindingCode(parting.kind), volume: parting.mirror, path: "log",
                evidence: parting.evidence, repair: "bring it up to date from the other mirrors")
            finding.sequence = parting.sequence
            findings.append(finding)
        }
        for tail in store.opening.log.cut {
            var finding = Finding(
                .longMirror, volume: tail.mirror, path: tail.path,
                evidence: "it has event \(tail.sequence) and maybe more, which no quorum has",
                repair: "move them to quarantine")
            finding.sequence = tail.sequence
            findings.append(finding)
        }
        if let flaw = store.opening.catalogFlaw {
            findings.append(
                Finding(
                    .damagedCatalog, volume: 0, path: "state/catalog.sqlite",
                    evidence: flaw,
                    repair: "compute it from the log"))
        }
        for (volume, id) in store.opening.unpublishedBlobs {
            var finding = Finding(
                .leftover, volume: volume, path: "incoming/\(id)",
                evidence: "no event publishes blob \(id): its upload did not end", repair: "remove it")
            finding.blobID = id
            findings.append(finding)
        }
        for index in findings.indices { findings[index].isRepaired = options.repairs }
        return findings
    }

    private func mend(
        _ finding: inout Finding, _ inspection: StoreInspection, _ rewritten: inout [String: String]
    ) async {
        do {
            let source = inspection.log.goodMirror(of: finding.sequence, besides: finding.volume)
            let segment = "\(finding.volume) \(finding.path)"
            let isSealed = !inspection.log.isInActiveSegment(finding.sequence)
            let place: String
            let sequence = finding.sequence
            if let earlier = rewritten[segment],
                inspection.log.verifyFrames(from: sequence, through: sequence, mirror: finding.volume).isEmpty
            {
                place = earlier
            } else {
                place = try await inspection.repairLog(finding.sequence, on: finding.volume)
                if isSealed { rewritten[segment] = place }
            }
            finding.isRepaired = true
            try await inspection.recordRepair(
                finding, source: source.map { "volume \($0)" } ?? "the other mirrors", quarantined: place)
        } catch {
            finding.repair += "; that failed: \(error)"
        }
    }
}

extension StoreInspection {
    /// Appends the event that says what a repair did.
    func recordRepair(_ finding: Finding, source: String, quarantined: String = "") async throws {
        var change = EventReplicaRepaired()
        change.finding = finding.event
        change.source = source
        change.quarantined = quarantined
        _ = try await record(.replicaRepaired(change))
    }
}

extension Finding {
    /// An event that no mirror has any more. What the catalog has of it stands; nothing is computed from it again.
    public static func lostEvent(_ sequence: SequenceNumber, _ reason: String) -> Finding {
        var finding = Finding(
            .lostEvent, volume: 0, path: "log", evidence: "event \(sequence): \(reason)",
            repair: "put back a mirror that has it, from quarantine or a copy of a volume")
        finding.sequence = sequence
        return finding
    }
}
