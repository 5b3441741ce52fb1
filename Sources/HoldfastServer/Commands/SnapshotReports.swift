import Model
import ObjectStore
import Snapshots
import Volumes

/// What the commands of a repository print.
public enum SnapshotReports {
    private struct FlawLine: Encodable {
        let snapshot: String
        let path: String
        let reason: String
    }

    private struct VerificationLine: Encodable {
        let summary = true
        let snapshots: Int
        let events: UInt64
        let blobs: Int
        let blobsRead: Int
        let bytesRead: UInt64
        let flaws: Int
        /// Blobs and events that were copied anew, manifests and catalogs that were made anew.
        let mended: Int
        /// Blobs, events, manifests and catalogs that are known to be bad, by this check or an earlier one.
        let unmended: Int
    }

    private struct PruningLine: Encodable {
        /// Whether this is only what would be deleted; what that gives back is not known before.
        let dryRun: Bool
        let deleted: [String]
        let blobs: Int
        let bytes: UInt64
        let locked: [String]
        let lockedBlobs: Int
        /// Objects at an endpoint that a prune that was cut off had left of segments of the log.
        let strays: Int
        /// Uploads to an endpoint that nobody would have finished and that were given up; why they were not, if it refuses that.
        let uploads: Int
        let uploadsRefusal: String?
        /// Events whose payloads were dropped from the log, and the bytes that this gave back.
        let payloads: UInt64
        let payloadBytes: UInt64
        /// Segments of the log that are locked, or damaged, and may have given bytes back otherwise.
        let lockedSegments: Int
        let damagedSegments: Int
        /// Snapshots that stay and of which it is not known what they need: nothing was given back.
        let unknown: [String]
        /// Why nothing was dropped from the log, if it does not lead to a snapshot that stays.
        let unproven: String?
    }

    struct CreationLine: Encodable {
        let snapshot: SnapshotManifest
        let events: UInt64
        let blobs: Int
        let bytes: UInt64
        let lostPayloads: UInt64
        let mended: Int
        let unnoted: String?
        let uploads: Int
        let uploadsRefusal: String?

        init(_ report: SnapshotCreation.Report) {
            snapshot = report.manifest
            events = report.events
            blobs = report.blobs
            bytes = report.bytes
            lostPayloads = report.lostPayloads
            mended = report.mended
            unnoted = report.unnoted
            uploads = report.uploads.removed
            uploadsRefusal = report.uploads.refusal
        }

        var text: String {
            "snapshot \(snapshot.name) of event \(snapshot.sequence): \(counted(snapshot.versions, "version")), \(snapshot.versionBytes) bytes; copied \(counted(events, "event")) and \(counted(blobs, "blob")), \(bytes) bytes\(mended == 0 ? "" : "; mended \(mended)")\(losses)\(unnoted.map { "; the store's log does not say so: \($0)" } ?? "")\(uploadText)"
        }

        var isComplete: Bool { snapshot.isComplete }

        private var uploadText: String {
            SnapshotReports.text(of: UnfinishedUploads(removed: uploads, refusal: uploadsRefusal))
                .map { "; \($0)" } ?? ""
        }

        private var losses: String {
            snapshot.isComplete
                ? "" : "; not in it, because no volume has them good: \(SnapshotReports.losses(snapshot))"
        }
    }

    private static func losses(_ manifest: SnapshotManifest) -> String {
        losses(blobs: UInt64(manifest.lostBlobs), payloads: UInt64(manifest.lostPayloads ?? 0))
    }

    /// "1 blob and the bytes of 2 events"; empty for none.
    static func losses(blobs: UInt64, payloads: UInt64) -> String {
        var parts: [String] = []
        if blobs > 0 { parts.append(counted(blobs, "blob")) }
        if payloads > 0 { parts.append("the bytes of \(counted(payloads, "event"))") }
        return parts.joined(separator: " and ")
    }

    public static func list(_ repository: Repository, json: Bool, _ output: any CommandOutput) throws {
        let (good, damaged) = try repository.snapshots()
        for manifest in good {
            try output.line(
                manifest, json: json,
                "\(manifest.name)  event \(manifest.sequence)  \(manifest.time)  \(counted(manifest.versions, "version"))  \(manifest.versionBytes) bytes"
            )
        }
        for (name, reason) in damaged {
            let line = FlawLine(snapshot: name, path: "snapshots/\(name).json", reason: reason)
            try output.line(line, json: json, "\(name)  damaged: \(reason)".printable)
        }
    }

    public static func show(
        _ repository: Repository, _ name: String, json: Bool, _ output: any CommandOutput
    ) throws {
        let manifest = try repository.snapshot(name)
        guard !json else { return try output.line(try CommandJSON.line(manifest)) }
        try output.line(
            """
            snapshot \(manifest.name)
              store \(manifest.storeID), event \(manifest.sequence) at \(manifest.time)
              chain \(manifest.chain)
              taken \(manifest.created) by \(manifest.software)\(manifest.parent.map { ", after snapshot \($0)" } ?? "")
              \(counted(manifest.buckets, "bucket")), \(counted(manifest.versions, "version")) of \(manifest.versionBytes) bytes, \(counted(manifest.deleteMarkers, "delete marker"))
              \(counted(manifest.blobs, "blob")) of \(manifest.blobBytes) bytes
            """)
        guard !manifest.isComplete else { return }
        try output.line(
            "  it lacks what nobody had good when it was taken: \(losses(manifest)); 'holdfast snapshot verify' names what is not there now"
        )
    }

    private struct MendingLine: Encodable {
        let path: String
        let mended: Bool
        let bytes: UInt64
        let reason: String?
    }

    /// - Returns: whether all is good, what an earlier check found and this one did not read again included.
    public static func verify(
        _ repository: Repository, _ name: String?, percent: Int, json: Bool, _ output: any CommandOutput
    ) throws -> Bool {
        let scratch = try CommandScratch()
        defer { scratch.remove() }
        let verification = SnapshotVerification(repository, scratch: scratch.path)
        let report = try verification.run(name, percent: percent) {
            try tell($0, json, output)
        }
        try summarize(report, mended: 0, unmended: report.knownDamage, json, output)
        return report.flaws == 0 && report.knownDamage == 0
    }

    /// Checks, and mends what is bad from the store.
    /// - Returns: whether all is good by then.
    package static func verify(
        _ repository: Repository, _ name: String?, percent: Int, mendingFrom store: ObjectStore,
        pace: @escaping SnapshotPace = unpaced, json: Bool,
        _ output: any CommandOutput
    ) async throws -> Bool {
        let scratch = try CommandScratch()
        defer { scratch.remove() }
        var left = 0
        let verification = SnapshotVerification(repository, scratch: scratch.path, pace: pace)
        let report = try verification.run(name, percent: percent) { flaw in
            if !flaw.canBeMended { left += 1 }
            try tell(flaw, json, output)
        }
        var mended = 0
        var unmended = 0
        func place(_ path: String, _ sequence: SequenceNumber?) -> String {
            path + (sequence.map { ", event \($0)" } ?? "")
        }
        try await RepositoryMending(store, repository, pace).run { outcome in
            if outcome.reason == nil { mended += 1 } else { unmended += 1 }
            let line = MendingLine(
                path: place(outcome.path, outcome.sequence), mended: outcome.reason == nil,
                bytes: outcome.byteCount,
                reason: outcome.reason)
            try output.line(
                line, json: json,
                "\(line.path): \(line.reason.map { "not mended: \($0)" } ?? outcome.source)"
                    .printable)
        }
        try summarize(report, mended: mended, unmended: unmended, json, output)
        return left == 0 && unmended == 0
    }

    private static func tell(_ flaw: RepositoryFlaw, _ json: Bool, _ output: any CommandOutput) throws {
        let line = FlawLine(snapshot: flaw.snapshot, path: flaw.path, reason: flaw.reason)
        let place = flaw.snapshot.isEmpty ? flaw.path : "\(flaw.path) of snapshot \(flaw.snapshot)"
        try output.line(line, json: json, "\(place): \(flaw.reason)".printable)
    }

    private static func summarize(
        _ report: SnapshotVerification.Report, mended: Int, unmended: Int, _ json: Bool,
        _ output: any CommandOutput
    ) throws {
        let summary = VerificationLine(
            snapshots: report.snapshots, events: report.events, blobs: report.blobs,
            blobsRead: report.blobsRead, bytesRead: report.bytesRead, flaws: report.flaws,
            mended: mended, unmended: unmended)
        let outcome =
            report.flaws > 0
            ? counted(report.flaws, "flaw") : unmended > 0 ? "no flaw in what was read" : "all good"
        let known = unmended == 0 ? "" : "; \(unmended) known to be damaged and not mended"
        try output.line(
            summary, json: json,
            "checked \(counted(report.snapshots, "snapshot")), \(counted(report.events, "event")), \(counted(report.blobs, "blob")), \(counted(report.blobsRead, "blob")) read whole: \(outcome)\(mended == 0 ? "" : ", \(mended) mended")\(known)"
        )
    }

    /// - Returns: whether all was given back that may be.
    public static func delete(
        _ repository: Repository, _ names: [String], json: Bool, _ output: any CommandOutput
    ) throws -> Bool {
        for name in names { try repository.requireManifest(of: name) }
        let scratch = try CommandScratch()
        defer { scratch.remove() }
        let pruning = SnapshotPruning(repository, scratch: scratch.path)
        return try tell(try pruning.run(deleting: names), json, output)
    }

    /// - Returns: whether all was given back that may be.
    public static func prune(
        _ repository: Repository, _ rule: RetentionRule, dryRun: Bool, json: Bool,
        _ output: any CommandOutput
    ) throws -> Bool {
        guard dryRun else {
            let scratch = try CommandScratch()
            defer { scratch.remove() }
            let pruning = SnapshotPruning(repository, scratch: scratch.path)
            return try tell(try pruning.run(keeping: rule), json, output)
        }
        let (good, damaged) = try repository.snapshots()
        let kept = rule.kept(of: good)
        var report = SnapshotPruning.Report()
        report.deleted = good.map(\.name).filter { !kept.contains($0) }
        report.unknown = damaged
        return try tell(report, isDryRun: true, json, output)
    }

    private struct DrillLine: Encodable {
        let summary = true
        let snapshot: String
        let objects: Int
        let bytes: UInt64
        let failures: Int
    }

    /// - Returns: whether everything came back as it was.
    public static func drill(
        _ repository: Repository, _ name: String?, count: Int, json: Bool, _ output: any CommandOutput
    ) throws -> Bool {
        var generator = SystemRandomNumberGenerator()
        let scratch = try CommandScratch()
        defer { scratch.remove() }
        let report = try SnapshotDrill(repository, scratch: scratch.path)
            .run(name, count: count, using: &generator)
        for failure in report.failures {
            try output.line(
                failure, json: json,
                "FAILED: \(failure.bucket)/\(failure.key) \(failure.version): \(failure.reason)"
                    .printable)
        }
        let line = DrillLine(
            snapshot: report.snapshot, objects: report.objects, bytes: report.bytes,
            failures: report.failures.count)
        try output.line(
            line, json: json,
            "snapshot \(line.snapshot): \(counted(line.objects, "object")) restored and compared, \(line.bytes) bytes, \(line.failures) failed"
        )
        return report.failures.isEmpty
    }

    private struct DifferenceLine: Encodable {
        let summary = true
        var added = 0
        var changed = 0
        var removed = 0
    }

    /// What became of each key between two snapshots.
    public static func diff(
        _ repository: Repository, _ first: String, _ second: String, json: Bool,
        _ output: any CommandOutput
    ) throws {
        let scratch = try CommandScratch()
        defer { scratch.remove() }
        let difference = try SnapshotDifference(
            repository, from: try repository.snapshot(first), to: try repository.snapshot(second),
            scratch: scratch.path)
        var line = DifferenceLine()
        try difference.forEach { found in
            switch found.change {
            case .added: line.added += 1
            case .changed: line.changed += 1
            case .removed: line.removed += 1
            }
            try output.line(found, json: json, text(of: found))
        }
        try output.line(
            line, json: json,
            "\(counted(line.added, "key")) added, \(line.changed) changed, \(line.removed) removed")
    }

    private static func text(of difference: KeyDifference) -> String {
        let sign =
            switch difference.change {
            case .added: "+"
            case .changed: "~"
            case .removed: "-"
            }
        var parts: [String] = []
        if !difference.added.isEmpty { parts.append("\(counted(difference.added.count, "version")) added") }
        if !difference.amended.isEmpty { parts.append("\(difference.amended.count) amended") }
        if !difference.removed.isEmpty { parts.append("\(difference.removed.count) removed") }
        return "\(sign) \(difference.bucket)/\(difference.key)  \(parts.joined(separator: ", "))".printable
    }

    static func text(of outcome: RestoreOutcome, _ order: RestoreOrder) -> String {
        let word =
            switch outcome.action {
            case .restored: order.isDryRun ? "would be restored" : "restored"
            case .present: "is there already"
            case .newer: "is newer in the store"
            case .failed: "FAILED"
            }
        if outcome.bucket.isEmpty { return "\(word): \(outcome.detail)".printable }
        let detail = outcome.detail.isEmpty ? "" : " (\(outcome.detail))"
        var name = "\(outcome.bucket)/\(outcome.key)"
        if let upload = outcome.upload, let part = outcome.part {
            name += ", part \(part) of unfinished upload \(upload)"
        }
        return "\(name)  \(outcome.size) bytes  \(word)\(detail)".printable
    }

    package static func text(of summary: RestoreSummary, _ order: RestoreOrder) -> String {
        func line(_ name: String, _ count: RestoreSummary.Count) -> String {
            let parts =
                count.parts > 0 ? "; \(counted(count.parts, "part")) of unfinished uploads among them" : ""
            return
                "\(name): \(count.restored) \(order.isDryRun ? "to restore" : "restored") of \(count.restoredBytes) bytes, \(count.present) there already, \(count.newer) newer in the store, \(count.failed) failed\(parts)"
        }
        let owners = summary.owners.sorted { $0.key < $1.key }.map {
            line("owner \($0.key)".printable, $0.value)
        }
        let unnoted = summary.unnoted.map { ["the store's log does not say so: \($0)".printable] } ?? []
        let nothing =
            summary.total == RestoreSummary.Count()
            ? [
                order.unit.isDamagedOnly
                    ? "nothing of it is damaged"
                    : "nothing is there of what was asked for: \(order.unit.words)".printable
            ] : []
        return (owners + [line("total", summary.total)] + nothing + unnoted).joined(separator: "\n")
    }

    private static func tell(
        _ report: SnapshotPruning.Report, isDryRun: Bool = false, _ json: Bool, _ output: any CommandOutput
    ) throws -> Bool {
        let line = PruningLine(
            dryRun: isDryRun, deleted: report.deleted, blobs: report.blobs, bytes: report.bytes,
            locked: report.locked.map(\.name), lockedBlobs: report.lockedBlobs,
            strays: report.strays, uploads: report.uploads.removed, uploadsRefusal: report.uploads.refusal,
            payloads: report.payloads, payloadBytes: report.payloadBytes,
            lockedSegments: report.lockedSegments, damagedSegments: report.damagedSegments,
            unknown: report.unknown.map(\.name),
            unproven: report.unproven.map { "snapshot \($0.snapshot): \($0.reason)" })
        guard !json else {
            try output.line(try CommandJSON.line(line))
            return report.isComplete
        }
        for name in report.deleted {
            try output.line("snapshot \(name) \(isDryRun ? "would be deleted" : "deleted")")
        }
        for (name, reason) in report.locked {
            try output.line("snapshot \(name) stays: \(reason)".printable)
        }
        if !isDryRun {
            let locked =
                report.lockedBlobs == 0 ? "" : ", \(report.lockedBlobs) stay because they are locked"
            try output.line("\(counted(report.blobs, "blob")) of \(report.bytes) bytes removed\(locked)")
        } else if report.deleted.isEmpty {
            try output.line("no snapshot would be deleted")
        }
        if let text = text(of: report.uploads) { try output.line(text) }
        if let text = payloadText(of: report) { try output.line(text) }
        if let text = unknownText(of: report) { try output.line(text) }
        return report.isComplete
    }
}
