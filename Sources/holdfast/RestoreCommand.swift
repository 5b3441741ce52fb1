import ArgumentParser
import Foundation
import HoldfastServer
import Snapshots

struct RestoreCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Bring back objects from a snapshot, into the store or out to files.",
        discussion: """
            Say what: --all, --bucket, --owner, or --damaged-only for what no volume has good any more. Each object becomes a \
            new version with everything it had; one whose bytes are there is left alone, and so is one that the store has \
            newer. A restore that was cut off is finished by giving it again.
            Exit status: 0 done, 4 something could not be restored, 1 could not run.

            Example:
              holdfast restore /srv/holdfast --from /backup/holdfast --snapshot monday --damaged-only
              holdfast restore /srv/holdfast --from /backup/holdfast --snapshot monday --bucket photos --prefix 2026/ --dry-run
            """)

    @OptionGroup var location: StoreLocation
    @Option(name: .customLong("from"), help: "The repository's directory.", completion: .directory)
    var repository: String
    @Option(help: "The snapshot's name.") var snapshot: String
    @Flag(help: "Everything that the snapshot shows.") var all = false
    @Option(help: "The objects of one bucket.") var bucket: String?
    @Option(help: "With --bucket: those whose keys begin so.") var prefix: String?
    @Option(help: "With --bucket: one object.") var key: String?
    @Option(help: "With --key: a version's id, or null; without, the one that was current.") var version:
        String?
    @Option(help: "The objects of one owner: a user's name or canonical id.") var owner: String?
    @Flag(help: "Only what no volume has good any more, in place.") var damagedOnly = false
    @Option(help: "Into another bucket.") var into: String?
    @Option(help: "Out to plain files in this directory; the store is not changed.", completion: .directory)
    var out: String?
    @Flag(help: "Also where the store has a newer version.") var overwrite = false
    @Flag(help: "Only say what would be done.") var dryRun = false
    @Option(help: "MiB a second at most.") var rate: Int?
    @Flag(help: "Print one JSON object for each object, and a summary last.") var json = false

    func validate() throws {
        guard all || bucket != nil || owner != nil || damagedOnly else {
            throw ValidationError("say what to restore: --all, --bucket, --owner or --damaged-only")
        }
        if bucket == nil, prefix != nil || key != nil {
            throw ValidationError("--prefix and --key go with --bucket")
        }
        if key == nil, version != nil { throw ValidationError("--version goes with --key") }
        if into != nil, out != nil { throw ValidationError("--into and --out exclude each other") }
        if damagedOnly, into != nil || out != nil || overwrite || version != nil {
            throw ValidationError(
                "--damaged-only mends in place, without --into, --out, --overwrite and --version")
        }
        if let rate, rate < 1 { throw ValidationError("--rate takes 1 or more") }
    }

    func run() async throws {
        var order = RestoreOrder(repository: URL(fileURLWithPath: repository).path, snapshot: snapshot)
        order.unit.bucket = bucket
        order.unit.prefix = prefix
        order.unit.key = key
        order.unit.version = version
        order.unit.owner = owner
        order.unit.isDamagedOnly = damagedOnly
        order.into = into
        order.folder = out.map { URL(fileURLWithPath: $0).path }
        order.overwrites = overwrite
        order.isDryRun = dryRun
        order.rate = UInt64(rate ?? 0) * 1024 * 1024
        try await location.perform(.restore(order, json: json))
    }
}
