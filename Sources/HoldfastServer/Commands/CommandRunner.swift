import Catalog
import Foundation
import Integrity
import Logging
import Model
import Notifications
import ObjectStore
import S3
import Snapshots

/// Carries out the commands of operators on an open store: the same code whether the command line opened the
/// store itself or asks the server that has it.
///
/// Runs on a thread that may wait for disks.
public struct CommandRunner: Sendable {
    let store: ObjectStore
    let keys: KeyStore
    let masterKeys: MasterKeyStore
    /// What new buckets and objects are given.
    let s3: S3Settings
    let scrub: ScrubService
    let sinks: Sinks
    let jobs: JobScheduler
    let repositories: [RepositorySetting]
    /// The store was opened for this command, and serves nobody.
    let isStopped: Bool
    /// Makes incidents of what a stopped store's log has; of a running one's the server does.
    private let follower: IncidentFollower?

    init(
        store: ObjectStore, keys: KeyStore, masterKeys: MasterKeyStore, s3: S3Settings,
        scrub: ScrubService, jobs: JobScheduler, repositories: [RepositorySetting], sinks: Sinks = Sinks([]),
        isStopped: Bool,
        follower: IncidentFollower? = nil
    ) {
        self.follower = follower
        self.jobs = jobs
        self.repositories = repositories
        self.scrub = scrub
        self.sinks = sinks
        self.store = store
        self.keys = keys
        self.masterKeys = masterKeys
        self.s3 = s3
        self.isStopped = isStopped
    }

    /// For a store that was opened for one command.
    public init(
        stopped store: ObjectStore, keys: KeyStore, masterKeys: MasterKeyStore, settings: ServerSettings
    ) throws {
        let scrub = try ScrubService(store, settings.scrubSchedule, .init(pace: LoadPace { LatencyCounts() }))
        self.init(
            store: store, keys: keys, masterKeys: masterKeys,
            s3: settings.protocolSettings(masterKeys), scrub: scrub,
            jobs: StoreJobs.scheduler(
                store, settings, scrub, Logger(label: "holdfast"), isServing: false),
            repositories: settings.repositories, isStopped: true,
            follower: IncidentFollower(store, settings.incidents))
    }

    /// - Returns: the exit status of the command.
    /// - Throws: what kept the command from being carried out.
    public func run(_ command: StoreCommand, _ output: any CommandOutput) async throws -> Int32 {
        if command.tellsOfIncidents { try await follower?.followToEnd() }
        let status = try await carryOut(command, output)
        if command.changesStore { try await follower?.followToEnd() }
        return status
    }

    private func carryOut(_ command: StoreCommand, _ output: any CommandOutput) async throws -> Int32 {
        switch command {
        case .fsck(let deep, let repair, let json):
            return try await fsck(deep: deep, repair: repair, json: json, output)
        case .checkReferences(let table, let json):
            return try checkReferences(table, json: json, output)
        case .log(let from, let bucket, let follow, let json):
            try await log(from: from, bucket: bucket, follow: follow, json: json, output)
        case .verifyLog(let json): return try verifyLog(json: json, output)
        case .explain(let object, let version, let repositories, let json):
            return try await Explanation(store, scrub).run(
                object, versionID: version, repositories: repositories, json: json, output)
        case .listRepairs(let json): try listRepairs(json: json, output)
        case .undoRepair(let id, let json): try await undoRepair(id, json: json, output)
        case .incident(let action, let json): try await incident(action, json: json, output)
        case .postmortem(let id, let json): try postmortem(id, json: json, output)
        case .status(let json): return try status(json: json, output)
        case .scrub(let action, let json): try scrub(action, json: json, output)
        case .sink(let action, let json): try sink(action, json: json, output)
        case .jobs(let action, let json): try jobs(action, json: json, output)
        case .volumes(let json): try volumes(json: json, output)
        case .replaceVolume(let number, let json): try await replace(number, json, output)
        case .returnVolume(let number, let json): try await bringBack(number, json, output)
        case .createSnapshot(let repository, let name, let json):
            return try await createSnapshot(repository, name, json, output)
        case .verifySnapshots(let repository, let name, let percent, let json):
            return try await verifySnapshots(repository, name, percent, json, output)
        case .restore(let order, let json): return try await restore(order, json, output)
        case .importObjects(let order, let json):
            return try await importObjects(order, json: json, output)
        case .list(let order, let json): try StoreListingReport.run(store, order, json: json, output)
        case .createKey(let user, let json):
            try show([try keys.create(user: user)], secrets: true, json, output)
        case .listKeys(let json): try show(keys.all, secrets: false, json, output)
        case .deleteKey(let accessKey, let json):
            try keys.delete(accessKey)
            try output.line(
                ["deleted": accessKey], json: json, "access key \(accessKey) deleted")
        case .createUser(let name, let displayName, let accessKey, let secretKey, let canonicalID, let json):
            try createUser(name, displayName, accessKey, secretKey, canonicalID, json: json, output)
        case .listUsers(let json): try listUsers(json: json, output)
        case .deleteUser(let name, let force, let json):
            try deleteUser(name, force: force, json: json, output)
        case .putUserPolicy(let user, let policy, let document, let json):
            try putPolicy(policy, of: user, document, json: json, output)
        case .listUserPolicies(let user, let json): try listPolicies(of: user, json: json, output)
        case .showUserPolicy(let user, let policy, let json):
            try showPolicy(policy, of: user, json: json, output)
        case .deleteUserPolicy(let user, let policy, let json):
            try deletePolicy(policy, of: user, json: json, output)
        case .createEncryptionKey(let name, let json):
            try showEncryptionKeys([try masterKeys.create(name)], json, output)
        case .listEncryptionKeys(let json): try showEncryptionKeys(masterKeys.all, json, output)
        case .enableEncryptionKey(let name, let enabled, let json):
            try showEncryptionKeys(try masterKeys.setEnabled(enabled, name), json, output)
        case .rotateEncryptionKey(let name, let rewrap, let json):
            try await rotateEncryptionKey(name, rewrap: rewrap, json, output)
        }
        return 0
    }

    private func fsck(
        deep: Bool, repair: Bool, json: Bool, _ output: any CommandOutput
    ) async throws -> Int32 {
        let check = StoreCheck(
            store, .init(isDeep: deep, repairs: repair), includesOpening: isStopped)
        let summary = try await check.run { finding in
            try output.line(FindingLine(finding), json: json, finding.text)
        } progress: {
            output.progress($0)
        }
        try output.line(SummaryLine(summary), json: json, summary.text)
        return summary.exitStatus
    }

    /// Users' names by their canonical ids.
    var userNames: [String: String] {
        var names = Dictionary(keys.users.map { ($0.canonicalID, $0.name) }) { first, _ in first }
        names[AccessKey.canonicalID(of: AccessKey.rootUser)] = AccessKey.rootUser
        return names
    }

    private func checkReferences(_ table: String, json: Bool, _ output: any CommandOutput) throws -> Int32 {
        let check = ReferenceCheck(store, try ReferenceTable(reading: table), names: userNames)
        let summary = try check.run { finding in
            try output.line(FindingLine(finding), json: json, finding.text)
        }
        try output.line(ReferenceLine(summary), json: json, summary.text)
        return summary.exitStatus
    }

    private func log(
        from: UInt64, bucket: String?, follow: Bool, json: Bool, _ output: any CommandOutput
    ) async throws {
        var next = SequenceNumber(max(from, 1))
        let names = userNames
        while true {
            try Task.checkCancellation()
            let events = try store.events(from: next, limit: 1000)
            for event in events where bucket == nil || event.bucket == bucket {
                try output.line(json ? try event.json() : event.text(names: names))
            }
            if let last = events.last {
                next = last.sequence.next
            } else {
                guard follow else { return }
                await store.waitForEvents(after: SequenceNumber(next.rawValue - 1))
            }
        }
    }

    private struct MirrorLine: Encodable {
        let volume: Int
        let events: UInt64
        let head: String
        let flaws: Int
    }

    private func verifyLog(json: Bool, _ output: any CommandOutput) throws -> Int32 {
        let check = LogCheck(store)
        let report = try check.run { finding in
            try output.line(FindingLine(finding), json: json, finding.text)
        } progress: {
            output.progress($0)
        }
        for mirror in report.mirrors {
            let line = MirrorLine(
                volume: mirror.volume, events: report.head.sequence.rawValue,
                head: report.head.chain.description, flaws: mirror.flaws)
            try output.line(
                line, json: json,
                "volume \(line.volume): \(line.events) events, \(line.flaws == 0 ? "all good" : "\(line.flaws) damaged")"
            )
        }
        if !json { try output.line("event \(report.head.sequence)  chain \(report.head.chain)") }
        return report.mirrors.allSatisfy { $0.flaws == 0 } ? 0 : 4
    }

    private func check(_ number: Int) throws {
        guard (1...Limits.volumeCount).contains(number) else {
            throw StoreError.invalidState("there is no volume \(number): they are 1 to \(Limits.volumeCount)")
        }
    }

    /// Returns when the new volume holds what the others do.
    private func replace(_ number: Int, _ json: Bool, _ output: any CommandOutput) async throws {
        try check(number)
        _ = try await store.replaceVolume(number)
        try await waitForReturn(of: number)
        try volumes(json: json, output)
    }

    /// Returns when the volume is in service again.
    private func bringBack(_ number: Int, _ json: Bool, _ output: any CommandOutput) async throws {
        try check(number)
        guard !isStopped else {
            throw StoreError.invalidState(
                "no server has the store: a volume comes back when it is served, or with 'holdfast volume replace'"
            )
        }
        try store.returnVolume(number)
        try await waitForReturn(of: number)
        try volumes(json: json, output)
    }

    private func waitForReturn(of number: Int) async throws {
        var patience = 50
        while let status = store.volumeStatuses.first(where: { $0.index == number }),
            status.standing != .inService
        {
            if status.standing == .setAside { patience -= isStopped ? 25 : 1 }
            guard patience > 0 else {
                throw StoreError.unavailable("volume \(number) is not filled: \(status.reason ?? "")")
            }
            if isStopped { store.maintain() } else { try await Task.sleep(for: .milliseconds(100)) }
        }
    }

    private func createSnapshot(
        _ path: String, _ name: String?, _ json: Bool, _ output: any CommandOutput
    ) async throws -> Int32 {
        let known = repositories.first { $0.place == path }
        // Where a repository was and is no more, its disk is not mounted: a new one would fill another disk.
        let creates = known.map { !jobs.hasSucceeded(.snapshot, repository: $0.name) } ?? true
        let line = try await jobs.asGuest(.snapshot, repository: known?.name, isGood: \.isComplete) {
            let repository = try RepositoryPlace.open(path, of: store.storeID, creates: creates)
            defer { repository.close() }
            let creation = SnapshotCreation(
                store, repository, named: known?.name, pace: { [jobs] _ in try jobs.pace() })
            return SnapshotReports.CreationLine(try await creation.run(name: name) { output.progress($0) })
        }
        try output.line(line, json: json, line.text)
        return line.isComplete ? 0 : 4
    }

    /// Checks a repository of the store, and mends it from the store.
    private func verifySnapshots(
        _ path: String, _ name: String?, _ percent: Int, _ json: Bool, _ output: any CommandOutput
    ) async throws -> Int32 {
        let repository = try RepositoryPlace.open(path, of: store.storeID)
        defer { repository.close() }
        let isGood = try await SnapshotReports.verify(
            repository, name, percent: percent, mendingFrom: store, pace: { [jobs] _ in try jobs.pace() },
            json: json, output)
        return isGood ? 0 : 4
    }

    private func restore(
        _ order: RestoreOrder, _ json: Bool, _ output: any CommandOutput
    ) async throws -> Int32 {
        if let sight = order.sight, !sight.isSeenHere {
            throw StoreError.invalidState(
                "the server writes the files, and sees no \(sight.path), or another one than you do: a service has a /tmp of its own, and sees no /home. Name a directory that both see and that the server may write to (with systemd, ReadWritePaths= in 'systemctl edit holdfast')"
            )
        }
        var order = order
        order.unit.ownerID = order.unit.owner.flatMap { keys.canonicalID(named: $0) }
        // Who says no rate has requests go first.
        func pace() -> BytePace { BytePace(rate: order.rate) { [jobs] in try jobs.pace() } }
        guard case .snapshot(_, let path) = order.source else {
            return try await restore(Restore(store, order, pace: pace()), order, json, output)
        }
        let repository = try RepositoryPlace.open(path, of: store.storeID)
        defer { repository.close() }
        let restore = Restore(
            store, repository, order, named: repositories.first { $0.place == path }?.name,
            isAffected: try affection(order.unit.incident), pace: pace(), search: pace())
        return try await self.restore(restore, order, json, output)
    }

    /// Whether an incident affects a version, as of now.
    /// - Throws: ``IncidentRefusal/noSuchIncident(_:)``.
    private func affection(_ id: UInt64?) throws -> (@Sendable (ObjectVersion) throws -> Bool)? {
        guard let id else { return nil }
        let incidents = IncidentReport(store)
        let incident = try incidents.incident(id)
        let pinned = try incidents.pinned(to: incident)
        return { try pinned.line(of: $0, in: incident) != nil }
    }

    private func restore(
        _ restore: Restore, _ order: RestoreOrder, _ json: Bool, _ output: any CommandOutput
    ) async throws -> Int32 {
        let summary = try await restore.run {
            try output.line($0, json: json, SnapshotReports.text(of: $0, order))
        } progress: {
            output.progress($0)
        }
        try output.line(summary, json: json, SnapshotReports.text(of: summary, order))
        return summary.total.failed == 0 ? 0 : 4
    }

    private struct KeyLine: Encodable {
        let accessKey: String
        let secretKey: String?
        let user: String
        let created: String
        let root: Bool
    }

    private func show(
        _ keys: [AccessKey], secrets: Bool, _ json: Bool, _ output: any CommandOutput
    ) throws {
        for key in keys {
            let line = KeyLine(
                accessKey: key.accessKey, secretKey: secrets ? key.secretKey : nil, user: key.user,
                created: key.created, root: key.isRoot)
            if json {
                try output.line(try CommandJSON.line(line))
            } else if secrets {
                try output.line("access key: \(key.accessKey)\nsecret key: \(key.secretKey)")
            } else {
                let origin = key.created.isEmpty ? "from the server's environment" : key.created
                try output.line("\(key.accessKey)  \(key.user)  \(origin)")
            }
        }
    }
}
