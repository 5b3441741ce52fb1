import Foundation
import Model
import ObjectStore
import Snapshots
import Volumes

/// Commands that make a store anew, which no server can have open.
public enum RecoveryCommands {
    private struct ProblemLine: Encodable {
        let path: String
        let reason: String
    }

    private struct BucketLine: Encodable {
        let bucket: String
        let owner: String
        let versioned: Bool
        let versions: Int
        let bytes: UInt64
    }

    private struct PartedLine: Encodable {
        let bucket: String
        let key: String
        let version: String
        /// Whether it is left out, or published.
        let incomplete: Bool
        /// Whether a last part may lack that stood in the log, of either.
        let doubtful: Bool
        let parts: Int
        let bytes: UInt64
        /// Numbers of parts that lack, or runs of them.
        let lacking: [String]
        /// Of one that has gaps: what its ETag was if nothing of it is lost. Not of one that is enciphered.
        let etag: String?
        /// Of an incomplete one, which nothing else names.
        let blobs: [String]?

        init(_ version: RebuildReport.PartedVersion, isIncomplete: Bool) {
            (bucket, key, self.version) = (version.bucket, version.key, version.version)
            (parts, bytes) = (version.parts.count, version.bytes)
            incomplete = isIncomplete
            doubtful = version.isEndInDoubt
            etag = version.gaps.isEmpty ? nil : version.etag
            lacking = version.gaps.map {
                $0.count == 1 ? "\($0.lowerBound)" : "\($0.lowerBound) to \($0.upperBound)"
            }
            blobs = isIncomplete ? version.blobs.map(\.description) : nil
        }

        var text: String {
            let place = "\(bucket)/\(key), version \(version)"
            let there = "\(counted(parts, "part")) of \(bytes) bytes"
            let doubt = "whether a last part of up to 64 KiB followed is not known"
            guard !lacking.isEmpty else { return "in doubt: \(place): it has \(there); \(doubt)" }
            let nothing = "of its parts \(lacking.joined(separator: ", ")) there is nothing"
            let left = "if its client left these out\(doubtful ? ", and no last part followed" : "")"
            let known =
                (etag.map { "; \(left), its ETag was \($0)" } ?? "") + (doubtful ? "; \(doubt)" : "")
            guard incomplete else {
                return "WITH GAPS: \(place): \(nothing); its \(there) are published\(known)"
            }
            return
                "INCOMPLETE: \(place): \(nothing); its \(there) are not published, and a check that repairs moves them to quarantine\(known)"
        }
    }

    private struct RebuildLine: Encodable {
        let summary = true
        let dryRun: Bool
        let buckets: Int
        let versions: Int
        let bytes: UInt64
        let blobs: Int
        let multipart: Int
        let enciphered: Int
        let problems: Int
        let incomplete: Int
        let gapped: Int
        let doubtful: Int
        let unknown: [String]
    }

    /// `holdfast rebuild --from-replicas`.
    /// - Returns: the exit status.
    public static func rebuild(
        _ settings: ServerSettings, publishesGaps: Bool, dryRun: Bool, json: Bool,
        _ output: any CommandOutput
    ) throws -> Int32 {
        let report = try ObjectStore.rebuildFromReplicas(
            settings.store, region: settings.region, publishesGaps: publishesGaps, isDryRun: dryRun)
        for problem in report.problems {
            let line = ProblemLine(path: problem.path, reason: problem.reason)
            try output.line(line, json: json, "left out: \(line.path): \(line.reason)".printable)
        }
        let parted =
            (report.doubtful.filter(\.gaps.isEmpty) + report.gapped).map {
                PartedLine($0, isIncomplete: false)
            } + report.incomplete.map { PartedLine($0, isIncomplete: true) }
        for line in parted { try output.line(line, json: json, line.text.printable) }
        for bucket in report.buckets {
            let line = BucketLine(
                bucket: bucket.name, owner: bucket.owner, versioned: bucket.isVersioned,
                versions: bucket.versions, bytes: bucket.bytes)
            try output.line(
                line, json: json,
                "bucket \(line.bucket): \(counted(line.versions, "version")), \(line.bytes) bytes\(line.versioned ? ", versioned" : "")"
            )
        }
        let line = RebuildLine(
            dryRun: dryRun, buckets: report.buckets.count, versions: report.versions, bytes: report.bytes,
            blobs: report.blobs, multipart: report.multipart, enciphered: report.enciphered,
            problems: report.problems.count, incomplete: report.incomplete.count,
            gapped: report.gapped.count, doubtful: report.doubtful.count, unknown: RebuildReport.unknown)
        try output.line(
            line, json: json,
            "\(dryRun ? "would rebuild" : "rebuilt") \(counted(line.versions, "version")) of \(line.bytes) bytes in \(counted(line.buckets, "bucket")); \(line.multipart) of parts, \(line.gapped) of them with gaps and \(line.doubtful) in doubt, \(line.enciphered) enciphered; \(line.incomplete) incomplete and not published, \(counted(line.problems, "blob")) left out"
        )
        let status: Int32 = report.incomplete.isEmpty ? 0 : 4
        guard !json else { return status }
        if !report.incomplete.isEmpty {
            try output.line(
                "Before 'holdfast fsck --repair', see to what is incomplete: Documentation/recovery.md, \"Only blob files are left\"."
            )
        }
        try output.line("What no replica tells:")
        for sentence in line.unknown { try output.line("- \(sentence)") }
        return status
    }

    private struct MissingLine: Encodable {
        /// The one or the other.
        var blob: String?
        var sequence: UInt64?
        let bucket: String
        let key: String
        let version: String?
        let reason: String

        init(_ missing: StoreRecreation.Missing) {
            switch missing.place {
            case .blob(let id): blob = id.description
            case .event(let sequence): self.sequence = sequence.rawValue
            }
            (bucket, key, version) = (missing.bucket, missing.key, missing.version)
            reason = missing.reason
        }

        var text: String {
            let place =
                blob.map { "replica of blob \($0) is" }
                ?? "copy of the bytes that event \(sequence ?? 0) carries is"
            let object = "\(bucket)/\(key)" + (version.map { ", version \($0)" } ?? "")
            return "FAILED: \(object): the repository's \(place) not good: \(reason)"
        }
    }

    private struct WholeLine: Encodable {
        let summary = true
        let dryRun: Bool
        let snapshot: String
        let sequence: UInt64
        let chain: String
        let versions: Int
        let blobs: Int
        let bytes: UInt64
        let missing: Int
    }

    private struct DuplicateLine: Encodable {
        let volume: Int
        let from: Int
        let blobs: Int
        let bytes: UInt64
        let segments: Int
        let damaged: Int
    }

    /// `holdfast volume replace --from`.
    public static func duplicate(
        _ settings: ServerSettings, from source: Int, to target: Int, json: Bool,
        _ output: any CommandOutput
    ) throws {
        let report = try ObjectStore.duplicateVolume(settings.store, from: source, to: target)
        for damaged in report.damaged {
            let line = ProblemLine(path: damaged.path, reason: damaged.reason)
            try output.line(line, json: json, "not copied: \(line.path): \(line.reason)".printable)
        }
        let line = DuplicateLine(
            volume: target, from: source, blobs: report.blobs, bytes: report.bytes,
            segments: report.segments, damaged: report.damaged.count)
        try output.line(
            line, json: json,
            "volume \(target) made of volume \(source): \(counted(line.blobs, "blob")) of \(line.bytes) bytes, \(counted(line.segments, "segment")) of the log, \(line.damaged) damaged"
        )
    }

    /// Whether `holdfast restore` has a store to restore into, or one to make.
    public static func makesStore(_ settings: ServerSettings) throws -> Bool {
        try StoreDirectory.isNew(settings)
            || StoreRecreation.isCutOff(settings.store, RealFileSystem())
    }

    /// `holdfast restore --all` into empty directories.
    /// - Parameter rate: bytes a second at most, of what the volumes are given; 0 for as fast as it goes.
    /// - Returns: the exit status.
    public static func restoreStore(
        _ settings: ServerSettings, from path: String, snapshot name: String, rate: UInt64, dryRun: Bool,
        json: Bool, _ output: any CommandOutput
    ) async throws -> Int32 {
        let repository = try RepositoryPlace.open(path, of: nil)
        defer { repository.close() }
        if dryRun {
            let plan = try WholeRestore.plan(from: repository, snapshot: name)
            let line = WholeLine(
                dryRun: true, snapshot: name, sequence: plan.sequence, chain: plan.chain,
                versions: plan.versions, blobs: plan.blobs, bytes: plan.blobBytes,
                missing: plan.lostBlobs + (plan.lostPayloads ?? 0))
            try output.line(
                line, json: json,
                "would make the store as it was at event \(line.sequence): \(counted(line.versions, "version")), \(counted(line.blobs, "blob")) of \(line.bytes) bytes on each volume besides the log; \(line.missing) were missing when the snapshot was taken"
            )
            return 0
        }
        let scratch = try CommandScratch()
        defer { scratch.remove() }
        let report = try await WholeRestore(settings.store).run(
            from: repository, snapshot: name, scratch: scratch.path, pace: BytePace(rate: rate)
        ) { output.progress($0) }
        try StoreDirectory.rememberVolumes(settings)
        for missing in report.recreation.missing {
            let line = MissingLine(missing)
            try output.line(line, json: json, line.text.printable)
        }
        let line = WholeLine(
            dryRun: false, snapshot: name, sequence: report.manifest.sequence, chain: report.manifest.chain,
            versions: report.manifest.versions, blobs: report.recreation.blobs,
            bytes: report.recreation.bytes, missing: report.recreation.missing.count)
        try output.line(
            line, json: json,
            "the store is as it was at event \(line.sequence): \(counted(line.versions, "version")), \(counted(line.blobs, "blob")) of \(line.bytes) bytes, \(line.missing) missing"
        )
        return line.missing == 0 ? 0 : 4
    }
}
