import ArgumentParser
import Foundation
import HoldfastServer
import ObjectStore

struct InitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Make a new store of three empty directories.",
        discussion: "Example:\n  holdfast init /srv/holdfast --volumes /disk1/hf,/disk2/hf,/disk3/hf")

    @OptionGroup var location: StoreLocation
    @Option(help: "The three volumes, comma-separated. (default: DIR/volume-1 to -3)") var volumes: String?
    @Flag(help: "Mark it as a store that holdfast-inject may damage.") var testStore = false
    @Flag(help: "Print one JSON object.") var json = false

    func run() async throws {
        try await reporting(status: 1) {
            var flags: [(name: String, value: String)] = []
            if testStore { flags.append((SettingName.testStore.rawValue, "true")) }
            if let volumes {
                // Relative to where the command is run, and kept whole.
                let paths = volumes.split(separator: ",").map { URL(fileURLWithPath: String($0)).path }
                flags.append(("volumes", paths.joined(separator: ",")))
            }
            let settings = try location.settings(flags: flags)
            try StoreDirectory.create(settings)
            if json {
                print(try CommandJSON.line(["volumes": settings.volumePaths]))
            } else {
                for (offset, path) in settings.volumePaths.enumerated() {
                    print("volume \(offset + 1): \(path)")
                }
            }
        }
    }
}

struct FsckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fsck",
        abstract:
            "Check log mirrors, catalog and every replica against each other, and mend what is damaged.",
        discussion: """
            Without --repair nothing is changed.
            With --refs the store is compared with an application's own records instead: CSV with a row of column names, or \
            one JSON object a line; of key, and any of bucket, version, size, hash (MD5, SHA-256 or ETag) and owner.
            Exit status: 0 clean, 1 all corrected, 4 damage or differences left, 8 could not run, 16 usage.

            Example:
              holdfast fsck /srv/holdfast --deep --repair
              psql -c "COPY uploads (key, size, hash) TO STDOUT CSV HEADER" >rows.csv
              holdfast fsck /srv/holdfast --refs rows.csv --bucket photos
            """)

    @OptionGroup var location: StoreLocation
    @Flag(help: "Read every byte, not only presence and trailers.") var deep = false
    @Flag(help: "Mend replicas from their siblings; set unexplained files aside.") var repair = false
    @Option(help: "Compare with the records in this file; - is the standard input.") var refs: String?
    @Option(help: "The bucket of records that name none.") var bucket: String?
    @Flag(help: "Print one JSON object for each finding, and a summary last.") var json = false

    func validate() throws {
        if refs != nil, deep || repair { throw ValidationError("--refs goes without --deep and --repair") }
        if refs == nil, bucket != nil { throw ValidationError("--bucket goes with --refs") }
    }

    func run() async throws {
        if let refs {
            try await reporting(status: 8) {
                let file = try ReferenceFile(
                    refs, bucket: bucket ?? "", in: location.settings().store.stateDirectory)
                try await location.perform(.checkReferences(table: file.path, json: json), failureStatus: 8)
                withExtendedLifetime(file) {}
            }
            return
        }
        try await location.perform(.fsck(deep: deep, repair: repair, json: json), failureStatus: 8)
    }
}

struct LogCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "log", abstract: "Show or verify the event log.",
        discussion:
            "Example:\n  holdfast log /srv/holdfast --from 100 --bucket photos --json\n  holdfast log verify /srv/holdfast",
        subcommands: [Show.self, Verify.self, LogCut.self], defaultSubcommand: Show.self)

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show", abstract: "Show the events, oldest first.",
            discussion: "Example:\n  holdfast log show /srv/holdfast --follow")

        @OptionGroup var location: StoreLocation
        @Option(help: "The first event to show.") var from: UInt64 = 1
        @Option(help: "Only events of this bucket.") var bucket: String?
        @Flag(help: "Go on with the events that come.") var follow = false
        @Flag(help: "Print one JSON object for each event.") var json = false

        func run() async throws {
            try await location.perform(.log(from: from, bucket: bucket, follow: follow, json: json))
        }
    }

    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "verify",
            abstract: "Check every event, the chain of hashes and the mirrors; print the head hash.",
            discussion:
                "Exit status: 0 all good, 4 a mirror has damaged events, 1 could not run.\n\nExample:\n  holdfast log verify /srv/holdfast"
        )

        @OptionGroup var location: StoreLocation
        @Flag(help: "Print one JSON object for each finding and mirror.") var json = false

        func run() async throws { try await location.perform(.verifyLog(json: json)) }
    }
}

struct ExplainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Tell all that the store knows of one object, and whether each replica of it is good.",
        discussion:
            """
            With --repository also which of its snapshots hold which versions of the object, one that the store has not any \
            more among them, and whether their bytes are there.
            Exit status: 0 all replicas good, 4 some are not, 1 no such object in the store.

            Example:
              holdfast explain /srv/holdfast photos/2026/cat.jpg
              holdfast explain /srv/holdfast photos/2026/cat.jpg --repository /mnt/backup/holdfast
            """
    )

    @OptionGroup var location: StoreLocation
    @Argument(help: "BUCKET/KEY") var object: String
    @Option(name: .customLong("version"), help: "A version's id, or null; without, the current one.")
    var version: String?
    @Option(help: "A repository to ask for the object, too; may be given more than once.")
    var repository: [String] = []
    @Flag(help: "Print one JSON object.") var json = false

    func run() async throws {
        let repositories = repository.map(RepositoryPlace.absolute)
        try await location.perform(
            .explain(object: object, versionID: version, repositories: repositories, json: json))
    }
}

struct RebuildCatalogCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rebuild-catalog",
        abstract: "Compute the catalog of a stopped store from the log again.",
        discussion: "Example:\n  holdfast rebuild-catalog /srv/holdfast")

    @OptionGroup var location: StoreLocation
    @Flag(help: "Print one JSON object.") var json = false

    func run() async throws {
        try await reporting(status: 1) {
            let settings = try location.settings()
            try location.requireStore(settings)
            var rebuilding = settings.store
            rebuilding.rebuildsCatalog = true
            let store = try await ObjectStore.open(rebuilding)
            defer { store.close() }
            let count = store.opening.eventsReplayed
            print(
                json ? try CommandJSON.line(["events": count]) : "catalog computed from \(count) events")
        }
    }
}

struct VolumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "volume", abstract: "Show and replace the volumes of a store.",
        discussion:
            "Example:\n  holdfast volume list /srv/holdfast\n  holdfast volume replace /srv/holdfast 2",
        subcommands: [List.self, Replace.self, Return.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Show how each volume stands.",
            discussion: "Example:\n  holdfast volume list /srv/holdfast --json")

        @OptionGroup var location: StoreLocation
        @Flag(help: "Print one JSON object for each volume.") var json = false

        func run() async throws { try await location.perform(.volumes(json: json)) }
    }
}

extension VolumeCommand {
    struct Replace: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "replace",
            abstract: "Make a new volume in the empty directory of a lost one, and fill it from the others.",
            discussion: """
                A store opens with two volumes. When one alone is left, --from makes a second one of it while the store is \
                stopped; what the lost volumes alone had acknowledged is then not there.

                Example:
                  holdfast volume replace /srv/holdfast 2
                  holdfast volume replace /srv/holdfast 2 --from 1
                """)

        @OptionGroup var location: StoreLocation
        @Argument(help: "The volume: 1, 2 or 3.") var number: Int
        @Option(help: "The one volume that is left, to fill it from.") var from: Int?
        @Flag(help: "Print one JSON object for each volume.") var json = false

        func run() async throws {
            if let from {
                return try await reporting(status: 1) {
                    let settings = try location.settings()
                    try location.requireStore(settings)
                    try RecoveryCommands.duplicate(
                        settings, from: from, to: number, json: json, TerminalOutput())
                }
            }
            try await location.perform(.replaceVolume(number: number, json: json))
        }
    }
}

extension VolumeCommand {
    struct Return: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "return",
            abstract: "Bring a volume back that stays aside because it left too often.",
            discussion: """
                The server brings volumes back by itself, but not more often than heal-returns-per-hour says. See first why \
                it left: 'holdfast volume list' says so.

                Example:
                  holdfast volume return /srv/holdfast 2
                """)

        @OptionGroup var location: StoreLocation
        @Argument(help: "The volume: 1, 2 or 3.") var number: Int
        @Flag(help: "Print one JSON object for each volume.") var json = false

        func run() async throws { try await location.perform(.returnVolume(number: number, json: json)) }
    }
}

struct KeyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "key", abstract: "Make, show and delete access keys.",
        discussion:
            "Example:\n  holdfast key create /srv/holdfast --user backup\n  holdfast key list /srv/holdfast",
        subcommands: [Create.self, List.self, Delete.self])

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create", abstract: "Make an access key, and print it with its secret, once.",
            discussion: "Example:\n  holdfast key create /srv/holdfast --user backup")

        @OptionGroup var location: StoreLocation
        @Option(help: "Who holds it: the owner of what is written with it.") var user: String = "root"
        @Flag(help: "Print one JSON object.") var json = false

        func run() async throws { try await location.perform(.createKey(user: user, json: json)) }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Show the access keys, without their secrets.",
            discussion: "Example:\n  holdfast key list /srv/holdfast")

        @OptionGroup var location: StoreLocation
        @Flag(help: "Print one JSON object for each key.") var json = false

        func run() async throws { try await location.perform(.listKeys(json: json)) }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "delete", abstract: "Delete an access key: requests signed with it are refused.",
            discussion: "Example:\n  holdfast key delete /srv/holdfast HFXXXXXXXXXXXXXXXXXX")

        @OptionGroup var location: StoreLocation
        @Argument(help: "The access key.") var accessKey: String
        @Flag(help: "Print one JSON object.") var json = false

        func run() async throws {
            try await location.perform(.deleteKey(accessKey: accessKey, json: json))
        }
    }
}
