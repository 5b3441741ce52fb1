import ArgumentParser
import Foundation
import HoldfastServer
import Snapshots

struct RestoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Bring back objects as they were, into the store or out to files.",
        discussion: """
            Say from where: a snapshot of a repository, or a moment of the store's own history. Say what: --all, --bucket, \
            --owner, or --damaged-only for what no volume has good any more. Each object becomes a new version with \
            everything it had; one whose bytes are there is left alone, and so is one that the store has newer. With \
            --overwrite neither is, unless it has the same bytes, metadata, tags, lock, access and owner. One that is there \
            and known to be damaged on every volume is a failure: --damaged-only mends it, --overwrite puts a new version. With --out, a \
            file that has the object's bytes is left alone; it is read to its end for that. --versions brings back what stood behind them too, oldest first, under the ids they had (a null version under a new one); what was shown and is \
            there, hidden by a delete marker or, with --overwrite, by other bytes, becomes a new version. \
            A restore that was cut off is finished by giving it again. One that has ended says in the store's log how it came \
            out for each owner ('holdfast log').
            Into an empty directory, --all makes the whole store anew, as it was at the snapshot, version for version; --overwrite and \
            --versions do not go with that.
            Exit status: 0 done, 4 something could not be restored, 1 could not run.

            Example:
              holdfast restore /srv/holdfast --from /backup/holdfast --snapshot monday --damaged-only
              holdfast restore /srv/holdfast --from /backup/holdfast --snapshot monday --bucket photos --prefix 2026/ --dry-run
              holdfast restore /srv/holdfast --at 2026-11-25T02:09:00Z --all --overwrite
            """)

    @OptionGroup var location: StoreLocation
    @Option(
        name: .customLong("from"),
        help: "The repository: a directory, an s3:// place, or its name in the settings.",
        completion: .directory)
    var repository: String?
    @Option(help: "The snapshot's name.") var snapshot: String?
    @Option(help: "Instead of a snapshot, the store as it was then: \(momentHelp)") var at: String?
    @Flag(help: "Everything that is shown there.") var all = false
    @Option(help: "The objects of one bucket.") var bucket: String?
    @Option(help: "With --bucket: those whose keys begin so.") var prefix: String?
    @Option(help: "With --bucket: one object.") var key: String?
    @Option(help: "With --key: a version's id, or null; without, the one that was current.") var version:
        String?
    @Flag(help: "Versions behind the current ones too, and delete markers, where a bucket keeps versions.")
    var versions = false
    @Option(
        help: """
            The objects of one owner: a user's name, a canonical id, or, where no user has that name, the display name that \
            objects have.
            """) var owner: String?
    @Flag(help: "Only what no volume has good any more, in place.") var damagedOnly = false
    @Option(help: "With --damaged-only: what this incident affects ('holdfast incident list').") var incident:
        UInt64?
    @Option(help: "With --bucket: into another bucket.") var into: String?
    @Option(
        help: "Out to plain files in this directory; no object of the store is changed.",
        completion: .directory)
    var out: String?
    @Flag(help: "Also where the store has a newer version.") var overwrite = false
    @Flag(help: "Only say what would be done.") var dryRun = false
    @Option(
        help: """
            MiB a second at most; without, requests to a server go first; with --damaged-only, of what is read to find the damage, and of what is written to one volume \
            after the other; into an empty directory, of that.
            """) var rate: Int?
    @Flag(help: "Print one JSON object for each object, and a summary last.") var json = false

    func validate() throws {
        guard (at == nil) == (repository != nil), (repository == nil) == (snapshot == nil) else {
            throw ValidationError("say from where: --from with --snapshot, or --at")
        }
        if at != nil {
            _ = try moment(at)
            if damagedOnly {
                throw ValidationError(
                    "--damaged-only needs other bytes than the store's: --from and --snapshot")
            }
        }
        guard all || bucket != nil || owner != nil || damagedOnly else {
            throw ValidationError("say what to restore: --all, --bucket, --owner or --damaged-only")
        }
        if bucket == nil, prefix != nil || key != nil {
            throw ValidationError("--prefix and --key go with --bucket")
        }
        if key == nil, version != nil { throw ValidationError("--version goes with --key") }
        if versions, version != nil || out != nil || damagedOnly {
            throw ValidationError("--versions goes without --version, --out and --damaged-only")
        }
        if into != nil, bucket == nil { throw ValidationError(RestoreOrder.intoNeedsBucket) }
        if into != nil, out != nil { throw ValidationError("--into and --out exclude each other") }
        if damagedOnly, into != nil || out != nil || overwrite || version != nil {
            throw ValidationError(
                "--damaged-only mends in place, without --into, --out, --overwrite and --version")
        }
        if incident != nil, !damagedOnly { throw ValidationError("--incident goes with --damaged-only") }
        if let rate, rate < 1 { throw ValidationError("--rate takes 1 or more") }
    }

    func run() async throws {
        var order = try order()
        order.unit.bucket = bucket
        order.unit.prefix = prefix
        order.unit.key = key
        order.unit.version = version
        order.unit.hasEveryVersion = versions
        order.unit.owner = owner
        order.unit.isDamagedOnly = damagedOnly
        order.unit.incident = incident
        order.into = into
        order.folder = out.map { URL(fileURLWithPath: $0).path }
        // Who may not look at it has nothing to compare.
        order.sight = order.folder.flatMap { try? FolderSight(of: $0) }
        order.overwrites = overwrite
        order.isDryRun = dryRun
        order.rate = UInt64(rate ?? 0) * 1024 * 1024
        if let repository, let snapshot, all, into == nil, out == nil, !damagedOnly, bucket == nil,
            owner == nil
        {
            let path = try location.settings().repositoryPlace(repository)
            if try await makeStore(order, from: path, snapshot) { return }
        }
        try await location.perform(.restore(order, json: json))
    }

    /// - Returns: `false` if there is a store to restore into.
    private func makeStore(
        _ order: RestoreOrder, from repository: String, _ snapshot: String
    ) async throws -> Bool {
        var isMade = false
        try await reporting(status: 1) {
            let settings = try location.settings()
            guard try RecoveryCommands.makesStore(settings) else { return }
            isMade = true
            try order.checkMakingStore()
            let status = try await RecoveryCommands.restoreStore(
                settings, from: repository, snapshot: snapshot, rate: order.rate, dryRun: dryRun, json: json,
                TerminalOutput())
            guard status == 0 else { throw ExitCode(status) }
        }
        return isMade
    }

    private func order() throws -> RestoreOrder {
        if let repository, let snapshot {
            return RestoreOrder(
                repository: try location.settings().repositoryPlace(repository), snapshot: snapshot)
        }
        guard let moment = try moment(at) else { preconditionFailure("one or the other was given") }
        return RestoreOrder(at: moment)
    }
}
