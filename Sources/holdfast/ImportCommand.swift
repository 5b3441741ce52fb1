import ArgumentParser
import Foundation
import HoldfastServer
import ObjectStore
import Importing

struct ImportCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import",
        abstract: "Bring in a directory tree, or a bucket of another S3 server.",
        discussion: """
            Each file, or each object with its metadata and tags, becomes an object of the bucket, which is made if it is \
            not there. What is read is compared with the digests that the source has (ETags and checksums of an S3 server, \
            --sums for files); what differs is named and not published. What is there already is left alone, and other \
            bytes under its key too, unless --overwrite is given or they came from the same source. An import that was cut \
            off is finished by giving it again.
            FOLDER and FILEs are read where the command is carried out, by the server if one has the store; an S3 server is \
            asked with the keys that a snapshot repository there would be.
            Exit status: 0 all of it is here, 4 something is not, or may lack its tags, 1 could not run.

            Example:
              holdfast import /srv/holdfast --from /mnt/old-nas --into photos --sums SHA256SUMS --dry-run
              holdfast import /srv/holdfast --from 's3://old?endpoint=https://s3.example' --into photos --owners owners.csv
            """)

    @OptionGroup var location: StoreLocation
    @Option(
        name: .customLong("from"),
        help: "A folder, or s3://BUCKET[/PREFIX]?endpoint=…, as for a repository.", completion: .directory)
    var source: String
    @Option(help: "The bucket.") var into: String
    @Option(help: "What every key begins with, in front of the name in the source.") var prefix = ""
    @Option(help: "The user whose all of it becomes; without, the bucket's owner's.") var owner: String?
    @Option(
        help:
            "Whose it becomes: lines of SOURCE,USER or a JSON object, SOURCE an owner's id, a prefix/ or *.",
        completion: .file())
    var owners: String?
    @Option(
        help:
            "Of a folder: digests that the files must have, as sha256sum or md5sum writes them; - reads them.",
        completion: .file())
    var sums: String?
    @Flag(help: "Of a folder: take what symbolic links lead to.") var followSymlinks = false
    @Flag(help: "Of a bucket: all versions and delete markers, oldest first.") var versions = false
    @Flag(help: "Also where other bytes are under the key.") var overwrite = false
    @Flag(help: "Only say what would be done.") var dryRun = false
    @Option(help: "MiB a second at most.") var rate: Int?
    @Option(help: "Objects that are read at once, 1 to \(ImportOrder.parallelLimit).") var parallel = 4
    @Flag(help: "Print one JSON object for each object, and a summary last.") var json = false

    private var isBucket: Bool { source.lowercased().hasPrefix("s3://") }

    func validate() throws {
        if owner != nil, owners != nil { throw ValidationError("--owner and --owners exclude each other") }
        if isBucket, sums != nil || followSymlinks {
            throw ValidationError("--sums and --follow-symlinks go with a folder")
        }
        if !isBucket, versions { throw ValidationError("--versions goes with an s3:// place") }
        if let rate, rate < 1 { throw ValidationError("--rate takes 1 or more") }
        guard (1...ImportOrder.parallelLimit).contains(parallel) else {
            throw ValidationError("--parallel takes 1 to \(ImportOrder.parallelLimit)")
        }
    }

    func run() async throws {
        var order = ImportOrder(from: RepositoryPlace.absolute(source), into: into)
        order.prefix = prefix
        order.owner = owner
        order.owners = owners.map { URL(fileURLWithPath: $0).path }
        order.followsLinks = followSymlinks
        order.hasEveryVersion = versions
        order.overwrites = overwrite
        order.isDryRun = dryRun
        order.rate = UInt64(rate ?? 0) * 1024 * 1024
        order.parallel = parallel
        guard let sums else { return try await location.perform(.importObjects(order, json: json)) }
        try await reporting(status: 1) {
            let table = try SumsFile(sums, in: location.settings().store.stateDirectory)
            order.sums = table.path
            try await location.perform(.importObjects(order, json: json))
            withExtendedLifetime(table) {}
        }
    }
}
