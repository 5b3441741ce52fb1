import Catalog
import EventLog
import Foundation
import Model
import ObjectStore
import Volumes

/// Compares the replicas on every volume in service with the catalog, in both directions: each blob that is
/// needed has a good replica on each volume, and each file is a replica of a blob that is known.
///
/// The check is pinned to the log's head at its start: a blob that is younger is not looked for, and a file
/// that an upload is writing is no orphan (DESIGN invariant 8). What changes while the check runs is looked
/// at again before it is called a finding: a replica that is missing because its blob was reclaimed meanwhile
/// is none.
public struct ReplicaCheck: Sendable {
    public struct Options: Sendable {
        /// Read every byte, not only presence and trailers.
        public var isDeep = false
        public var repairs = false
        public init(isDeep: Bool = false, repairs: Bool = false) {
            self.isDeep = isDeep
            self.repairs = repairs
        }
    }

    private let inspection: StoreInspection
    private let options: Options
    private let statuses: [VolumeStatus]
    private static let pageCount = 1024
    /// Blobs that are verified at once.
    private static let batchCount = 256
    /// Blobs that the log has, whatever the catalog says: DESIGN invariant 8.
    var known: Set<BlobID> = []

    public init(_ store: ObjectStore, _ options: Options) {
        inspection = store.inspection
        self.options = options
        statuses = store.volumeStatuses
    }

    /// - Parameters:
    ///   - report: called with each finding as it is made, after its repair was tried.
    ///   - progress: called with the part of the blobs that is done, from 0 to 1.
    public func run(
        report: (Finding) throws -> Void, progress: (Double) -> Void = { _ in }
    ) async throws -> CheckSummary {
        var summary = CheckSummary()
        summary.sequence = inspection.log.head.sequence
        let volumes = inspection.volumes
        for status in statuses where status.standing != .inService {
            let finding = Finding(
                inspection.classifyPlace(status), volume: status.index, path: "",
                evidence: "\(status.path): \(status.reason ?? status.standing.rawValue)",
                repair: "it is brought back from the log when it can be used again")
            try count(finding, &summary, report)
        }
        for volume in volumes { try await checkIncoming(volume, &summary, report) }
        // Two threads for each volume, so that one reads while the other computes digests: the check takes as long as
        // the slowest disk does, or the cores.
        var orphans: [StrangeFile] = []
        let lanes = volumes.map { inspection.makeLane("check-\($0.index)", threads: 2) }
        defer { for lane in lanes { lane.finish() } }
        // Page by page, so that memory does not grow with the store.
        var after: BlobID?
        repeat {
            try Task.checkCancellation()
            let page = try inspection.catalog.read { try $0.blobs(after: after, limit: Self.pageCount) }
            let last = page.count == Self.pageCount ? page.last?.id : nil
            let rows = page.filter { $0.born <= summary.sequence && !$0.isReclaiming }
            try await check(rows, Array(zip(volumes, lanes)), &summary, report)
            let ids = Set(rows.map(\.id))
            try await checkFiles(after, last, explainedBy: ids, volumes, &orphans, &summary, report)
            progress(last.map { Double($0.high) / Double(UInt64.max) } ?? 1)
            after = last
        } while after != nil
        for file in try StrangeFile.classify(orphans, by: inspection.log) {
            try await strange(file, &summary, report)
        }
        return summary
    }

    private func count(
        _ finding: Finding, _ summary: inout CheckSummary, _ report: (Finding) throws -> Void
    ) throws {
        summary.findings += 1
        if finding.isRepaired { summary.repaired += 1 }
        try report(finding)
    }

    // MARK: Blobs

    private func check(
        _ rows: [BlobRow], _ volumes: [(volume: any Volume, lane: any Lane)],
        _ summary: inout CheckSummary, _ report: (Finding) throws -> Void
    ) async throws {
        for start in stride(from: 0, to: rows.count, by: Self.batchCount) {
            try Task.checkCancellation()
            let wave = rows[start..<min(start + Self.batchCount, rows.count)]
            let proven = options.isDeep ? try await proven(wave, volumes) : []
            let jobs = wave.map { proven.contains($0.id) ? nil : verifications(of: $0, volumes) }
            for (row, jobs) in zip(wave, jobs) {
                var replicas: [(volume: any Volume, flaws: [BlobFlaw])] = []
                for (index, (volume, _)) in volumes.enumerated() {
                    replicas.append((volume, try await jobs?[index].value() ?? []))
                }
                try await check(row, replicas, &summary, report)
            }
        }
    }

    /// Blobs whose replicas are good on all volumes, every byte of them read. The others are verified one by one.
    private func proven(
        _ rows: ArraySlice<BlobRow>, _ volumes: [(volume: any Volume, lane: any Lane)]
    ) async throws -> Set<BlobID> {
        guard !volumes.isEmpty else { return [] }
        let replicas = volumes.map(\.volume)
        let jobs = zip(rows, rows.indices).map { row, index in
            BackgroundJob(on: volumes[index % volumes.count].lane) {
                ReplicaComparison.areGood(row.id, length: row.length, sha256: row.sha256, on: replicas)
            }
        }
        var proven = Set<BlobID>()
        for (row, job) in zip(rows, jobs) where try await job.value() { proven.insert(row.id) }
        return proven
    }

    private func verifications(
        of row: BlobRow, _ volumes: [(volume: any Volume, lane: any Lane)]
    ) -> [BackgroundJob<[BlobFlaw]>] {
        volumes.map { volume, lane in
            BackgroundJob(on: lane) { [isDeep = options.isDeep] in
                volume.verify(row.id, length: row.length, sha256: row.sha256, deep: isDeep)
            }
        }
    }

    private func checkFiles(
        _ after: BlobID?, _ last: BlobID?, explainedBy ids: Set<BlobID>, _ volumes: [any Volume],
        _ orphans: inout [StrangeFile], _ summary: inout CheckSummary, _ report: (Finding) throws -> Void
    ) async throws {
        for volume in volumes {
            for item in try volume.listBlobs(after: after, through: last) {
                switch item {
                case .foreign(let path):
                    try await strange(.named(otherwise: path, on: volume), &summary, report)
                case .blob(let id) where !ids.contains(id):
                    if try isOrphan(id, volume) { orphans.append(.orphan(id, on: volume)) }
                case .blob: break
                }
            }
        }
    }

    private func check(
        _ row: BlobRow, _ replicas: [(volume: any Volume, flaws: [BlobFlaw])],
        _ summary: inout CheckSummary, _ report: (Finding) throws -> Void
    ) async throws {
        summary.blobs += 1
        summary.replicas += replicas.count
        summary.bytes += options.isDeep ? row.length * UInt64(replicas.count) : 0
        let damaged = replicas.filter { !$0.flaws.isEmpty }.compactMap { look(again: row, at: $0.volume) }
        guard !damaged.isEmpty, try isStillNeeded(row.id) else { return }
        let owner = try inspection.owner(of: row)
        for (volume, flaws) in damaged {
            var findings = try flaws.map { flaw in
                var finding = Finding(
                    try inspection.classify(flaw, row, on: volume), volume: volume.index,
                    path: volume.path(of: row.id),
                    evidence: flaw.description, repair: "copy the replica from the other volumes")
                finding.bucket = owner.bucket
                finding.key = owner.key
                finding.versionID = owner.versionID
                finding.blobID = row.id
                return finding
            }
            if options.repairs { await mend(&findings, row, volume) }
            for finding in findings { try count(finding, &summary, report) }
        }
        if damaged.count == replicas.count, !(try await inspection.canRead(row)) {
            var finding = Finding(
                .danglingMetadata, volume: 0, path: replicas.first?.volume.path(of: row.id) ?? "",
                evidence: "no volume has a good replica of some block of blob \(row.id)",
                repair: "restore the object from a snapshot")
            finding.bucket = owner.bucket
            finding.key = owner.key
            finding.versionID = owner.versionID
            finding.blobID = row.id
            if options.repairs { try await LostVersions(inspection).declare(row, .danglingMetadata) }
            try count(finding, &summary, report)
        }
    }

    /// A volume that left service while it was read may be back, with everything: only what is wrong on the
    /// volume that is in service now counts.
    private func look(
        again row: BlobRow, at volume: any Volume
    ) -> (volume: any Volume, flaws: [BlobFlaw])? {
        guard let present = inspection.volumes.first(where: { $0.index == volume.index }) else { return nil }
        let flaws = present.verify(
            row.id, length: row.length, sha256: row.sha256, deep: options.isDeep)
        guard !flaws.isEmpty, inspection.isInService(volume.index) else { return nil }
        return (present, flaws)
    }

    private func isStillNeeded(_ id: BlobID) throws -> Bool {
        guard let row = try inspection.catalog.read({ try $0.blob(id) }) else { return false }
        return !row.isReclaiming
    }

    private func mend(_ findings: inout [Finding], _ row: BlobRow, _ volume: any Volume) async {
        let reason = findings.map(\.evidence).joined(separator: "; ")
        do {
            let written = try await inspection.restoreReplica(of: row.id, on: volume.index, reason: reason)
            for index in findings.indices { findings[index].isRepaired = true }
            // Whoever was faster has recorded it.
            guard let written else { return }
            for finding in findings {
                try await inspection.recordRepair(
                    finding, source: written.source, quarantined: written.quarantined)
            }
            try await LostVersions(inspection).review(row, source: written.source)
        } catch {
            for index in findings.indices where !findings[index].isRepaired {
                findings[index].repair += "; that failed: \(error)"
            }
        }
    }

    // MARK: Files that no blob explains

    /// The order of the questions matters: a blob whose name in incoming/ was gone before the catalog was
    /// asked is published or removed, so one that the catalog does not know and that is still there is an
    /// orphan.
    private func isOrphan(_ id: BlobID, _ volume: any Volume) throws -> Bool {
        if inspection.isBeingWritten(id) || known.contains(id) { return false }
        if try volume.incoming().blobs.contains(id) { return false }
        if try inspection.catalog.read({ try $0.blob(id) }) != nil { return false }
        // What is reclaimed while a volume is away is removed from it when it returns.
        guard inspection.isStillInService(volume) else { return false }
        return try volume.hasFile(of: id)
    }

    private func checkIncoming(
        _ volume: any Volume, _ summary: inout CheckSummary, _ report: (Finding) throws -> Void
    ) async throws {
        let found = try volume.incoming()
        for path in found.foreign {
            try await strange(.named(otherwise: path, on: volume), &summary, report)
        }
        let suspects = found.blobs.filter { !inspection.isBeingWritten($0) }
        guard !suspects.isEmpty else { return }
        // A blob that was published just now loses this name on the writer's thread.
        try await inspection.waitForWriter(of: volume.index)
        let still = Set(try volume.incoming().blobs)
        for id in suspects where still.contains(id) && !inspection.isBeingWritten(id) {
            // Who brings a volume back writes there too.
            guard inspection.isStillInService(volume) else { return }
            if try inspection.catalog.read({ try $0.blob(id) }) != nil {
                // Published: only the name that says otherwise was left.
                if options.repairs { try volume.settle(id) }
                continue
            }
            let leftover = StrangeFile(
                volume: volume, path: "incoming/\(id)", code: .leftover,
                evidence: "no upload is writing blob \(id)", blobID: id)
            try await strange(leftover, &summary, report)
        }
    }

    private func strange(
        _ file: StrangeFile, _ summary: inout CheckSummary, _ report: (Finding) throws -> Void
    ) async throws {
        var finding = Finding(
            file.code, volume: file.volume.index, path: file.path, evidence: file.evidence,
            repair: "move the file to quarantine")
        finding.blobID = file.blobID
        if options.repairs {
            let place: String
            do {
                place = try file.volume.quarantine(
                    file.path, reason: "\(file.code.rawValue): \(file.evidence)")
            } catch let error as FileSystemError where error.code == ENOENT {
                return  // it went by itself since it was listed
            }
            finding.isRepaired = true
            try await inspection.recordRepair(finding, source: "", quarantined: place)
        }
        try count(finding, &summary, report)
    }
}
