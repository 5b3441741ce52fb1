import Foundation
import Integrity
import ObjectStore
import Snapshots
import Volumes

/// What is done by itself with a repository that the settings name: snapshots, pruning, verification, drills.
struct RepositoryJobs: Sendable {
    /// Failures that a finding tells of one by one.
    private static let toldCount = 3

    let store: ObjectStore
    let setting: RepositorySetting
    let findings: RepositoryFindings
    /// A directory of a real file system.
    let scratch: String

    /// All four are there whatever the settings say, so that each can be asked for.
    var definitions: [JobDefinition] {
        var snapshot = definition(.snapshot, setting.snapshots) { try await take($0) }
        snapshot.window = setting.window
        snapshot.endsWithWindow = true
        return [
            snapshot,
            definition(.prune, setting.retention.keepsNothing ? .never : .follows(.snapshot)) {
                try prune($0)
            },
            definition(.drill, setting.drills) { try await drill($0) },
            definition(.verify, setting.verification) { try await verify($0) },
        ]
    }

    private func definition(
        _ kind: JobKind, _ schedule: JobSchedule,
        _ body: @escaping @Sendable (JobContext) async throws -> JobOutcome
    ) -> JobDefinition {
        var definition = JobDefinition(kind, repository: setting.name, schedule, body: body)
        definition.rate = setting.rate
        return definition
    }

    /// - Parameter creates: an empty directory becomes a repository.
    private func open(creates: Bool = false) throws -> Repository {
        try RepositoryPlace.open(setting.place, of: store.storeID, creates: creates)
    }

    /// What a run that was cut off had copied is not copied again.
    private func take(_ context: JobContext) async throws -> JobOutcome {
        // Where a repository was and is no more, its disk is not mounted: a new one would fill another disk.
        let repository = try open(creates: context.record.succeeded == nil)
        defer { repository.close() }
        let creation = SnapshotCreation(
            store, repository, named: setting.name, pace: { try context.spent($0) })
        let line = SnapshotReports.CreationLine(try await creation.run { context.progress($0) })
        return JobOutcome(line.text, isGood: line.isComplete, isMade: true)
    }

    private func prune(_ context: JobContext) throws -> JobOutcome {
        guard !setting.retention.keepsNothing else {
            return JobOutcome("nothing is deleted: the settings say not what to keep")
        }
        let repository = try open()
        defer { repository.close() }
        return JobOutcome(
            try SnapshotPruning(repository, scratch: scratch) { try context.spent($0) }
                .run(keeping: setting.retention))
    }

    private func verify(_ context: JobContext) async throws -> JobOutcome {
        let report = try check(context)
        let text =
            "\(counted(report.snapshots, "snapshot")) and \(counted(report.blobs, "blob")) checked, \(report.blobsRead) read whole"
        var failure: String?
        if let first = report.firstFlaw {
            failure =
                "\(text): \(counted(report.flaws, "flaw")), the first in \(first.path): \(first.reason)"
        } else if report.knownDamage > 0 {
            // This check read others: they are bad until they are read again, or mended.
            failure = "\(text), all good; \(report.knownDamage) that were found damaged before are not mended"
        }
        try await findings.note(.verification, repository: setting.name, failure: failure)
        return JobOutcome(failure ?? "\(text): all good", isGood: failure == nil)
    }

    /// The repository is closed before anything is said of it.
    private func check(_ context: JobContext) throws -> SnapshotVerification.Report {
        let repository = try open()
        defer { repository.close() }
        return try SnapshotVerification(repository, scratch: scratch) { try context.spent($0) }
            .run(nil, percent: setting.verifyPercent)
    }

    private func drill(_ context: JobContext) async throws -> JobOutcome {
        var text: String
        var failure: String?
        do {
            let report = try restoreSample(context)
            text =
                "snapshot \(report.snapshot): \(counted(report.objects, "object")) of \(report.bytes) bytes"
            if report.failures.isEmpty {
                text += " came back as they were"
                if report.unwritten > 0 {
                    text += "; \(report.unwritten) of them not written anywhere, for want of room for them"
                }
            } else {
                let told = report.failures.prefix(Self.toldCount).map {
                    "\($0.bucket)/\($0.key): \($0.reason)"
                }
                failure =
                    "\(report.failures.count) of \(text) did not come back: \(told.joined(separator: "; "))"
            }
        } catch {
            guard isVerdict(error) else { throw error }
            text = ""
            failure = "\(error)"
        }
        try await findings.note(.drill, repository: setting.name, failure: failure)
        return JobOutcome(failure ?? text, isGood: failure == nil)
    }

    private func restoreSample(_ context: JobContext) throws -> SnapshotDrill.Report {
        let repository = try open()
        defer { repository.close() }
        var generator = SystemRandomNumberGenerator()
        return try SnapshotDrill(repository, scratch: scratch) { try context.spent($0) }
            .run(nil, count: setting.drillSample, using: &generator)
    }

    /// Whether what kept a drill from its end would keep a restore from it too.
    private func isVerdict(_ error: any Error) -> Bool {
        if error is JobStopped || error is CancellationError { return false }
        if let error = error as? FileSystemError, error.path.hasPrefix(scratch) { return false }
        switch error as? SnapshotError {
        case .inUse, .empty: return false
        default: return true
        }
    }
}

extension JobOutcome {
    /// - Parameter report: of a prune that came to its end.
    package init(_ report: SnapshotPruning.Report) {
        let more = [
            SnapshotReports.text(of: report.uploads), SnapshotReports.payloadText(of: report),
            SnapshotReports.unknownText(of: report),
        ].compactMap { $0.map { "; \($0)" } }.joined()
        self.init(
            "\(counted(report.deleted.count, "snapshot")) deleted, \(counted(report.blobs, "blob")) of \(report.bytes) bytes removed\(more)",
            isGood: report.isComplete)
    }
}
