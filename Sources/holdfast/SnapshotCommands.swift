import ArgumentParser
import Foundation
import HoldfastServer
import Snapshots

struct SnapshotCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot", abstract: "Take snapshots into a repository, and look after them.",
        discussion: """
            A repository is a directory on another disk, or a bucket of an S3 endpoint. Each snapshot copies what the \
            repository lacks.

            Example:
              holdfast snapshot create /srv/holdfast --to /backup/holdfast
              holdfast snapshot verify /backup/holdfast --read-data 5
              holdfast snapshot create /srv/holdfast --to 's3://backup/holdfast?endpoint=https://s3.example&credentials=/etc/holdfast/backup.json'
            """,
        subcommands: [
            Create.self, List.self, Show.self, Diff.self, Verify.self, Delete.self, Prune.self,
        ])

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create", abstract: "Take a snapshot of a store, which may be serving.",
            discussion:
                "Example:\n  holdfast snapshot create /srv/holdfast --to /backup/holdfast --name monday")

        @OptionGroup var location: StoreLocation
        @Option(
            name: .customLong("to"),
            help:
                "The repository: a directory, an s3:// place, or its name in the settings; an empty or missing one becomes a repository.",
            completion: .directory)
        var repository: String
        @Option(help: "The snapshot's name. (default: made of the time)") var name: String?
        @Flag(help: "Print one JSON object.") var json = false

        func run() async throws {
            try await reporting(status: 1) {
                let path = try location.settings().repositoryPlace(repository)
                try await location.perform(.createSnapshot(repository: path, name: name, json: json))
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Show the snapshots of a repository, oldest first.",
            discussion: "Example:\n  holdfast snapshot list /backup/holdfast --json")

        @OptionGroup var location: RepositoryLocation
        @Flag(help: "Print one JSON object for each snapshot.") var json = false

        func run() async throws {
            try await reporting(status: 1) {
                try location.use { try SnapshotReports.list($0, json: json, TerminalOutput()) }
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show", abstract: "Show one snapshot.",
            discussion: "Example:\n  holdfast snapshot show /backup/holdfast monday")

        @OptionGroup var location: RepositoryLocation
        @Argument(help: "The snapshot's name.") var name: String
        @Flag(help: "Print one JSON object.") var json = false

        func run() async throws {
            try await reporting(status: 1) {
                try location.use { try SnapshotReports.show($0, name, json: json, TerminalOutput()) }
            }
        }
    }

    struct Diff: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "diff", abstract: "Show what was added, changed and removed between two snapshots.",
            discussion:
                "One line for each key: + it shows an object now, - it shows none any more, ~ it shows another.\n\nExample:\n  holdfast snapshot diff /backup/holdfast monday tuesday --json"
        )

        @OptionGroup var location: RepositoryLocation
        @Argument(help: "The earlier snapshot.") var first: String
        @Argument(help: "The later snapshot.") var second: String
        @Flag(help: "Print one JSON object for each key, and a summary last.") var json = false

        func run() async throws {
            try await reporting(status: 1) {
                try location.use {
                    try SnapshotReports.diff($0, first, second, json: json, TerminalOutput())
                }
            }
        }
    }

    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "verify", abstract: "Check that snapshots can be restored.",
            discussion: """
                Manifests, chain of hashes, stored catalogs and the presence of every blob are always checked. With --mend, \
                blobs and events that are damaged or missing are copied anew from the store while it has them, and catalogs \
                and manifests made anew; without, the next snapshot does that. Exit status: 0 all good or mended, 4 something is damaged, or was found so by an earlier \
                check and is neither mended nor read good since, 1 could not run.

                Example:
                  holdfast snapshot verify /backup/holdfast --read-data 10
                  holdfast snapshot verify /backup/holdfast --read-data 100 --mend /srv/holdfast
                """)

        @OptionGroup var location: RepositoryLocation
        @Argument(help: "One snapshot; without, all.") var name: String?
        @Option(
            name: .customLong("read-data"),
            help: "Percent of the blobs to read whole; each check goes on where the last one ended.")
        var percent: Int = 0
        @Option(help: "The store's directory, to mend the repository from.", completion: .directory)
        var mend: String?
        @Flag(help: "Print one JSON object for each flaw, and a summary last.") var json = false

        func validate() throws {
            guard (0...100).contains(percent) else { throw ValidationError("--read-data takes 0 to 100") }
        }

        func run() async throws {
            if let mend {
                var store = StoreLocation()
                store.directory = mend
                let path = RepositoryPlace.absolute(location.repository)
                return try await store.perform(
                    .verifySnapshots(repository: path, name: name, percent: percent, json: json))
            }
            try await reporting(status: 1) {
                let isGood = try location.use {
                    try SnapshotReports.verify($0, name, percent: percent, json: json, TerminalOutput())
                }
                guard isGood else { throw ExitCode(4) }
            }
        }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "delete", abstract: "Delete snapshots, and give back the space that no other needs.",
            discussion: """
                One whose manifest is damaged can be deleted too. While what another one needs is not known, since its manifest \
                is damaged, or its catalog and its log are, no space is given back: mend it with 'holdfast snapshot verify \
                --mend', or delete it as well. Exit status: 0 done, 4 deleted, and damage kept space from being given back, \
                1 could not be done.

                Example:
                  holdfast snapshot delete /backup/holdfast monday
                """)

        @OptionGroup var location: RepositoryLocation
        @Argument(help: "The snapshots' names.") var names: [String]
        @Flag(help: "Print one JSON object.") var json = false

        func run() async throws {
            try await reporting(status: 1) {
                let isComplete = try location.use {
                    try SnapshotReports.delete($0, names, json: json, TerminalOutput())
                }
                guard isComplete else { throw ExitCode(4) }
            }
        }
    }

    struct Prune: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "prune", abstract: "Delete the snapshots that a rule does not keep.",
            discussion: """
                Times are those of the snapshots' last events, in UTC; weeks begin on Monday. A snapshot whose manifest is damaged \
                stays, and while one does no space is given back. Exit status: 0 done, 4 deleted, and damage kept space from being \
                given back, 1 could not be done.

                Example:
                  holdfast snapshot prune /backup/holdfast --keep-last 3 --keep-daily 7 --keep-monthly 12
                """)

        @OptionGroup var location: RepositoryLocation
        @Option(help: "Keep the newest so many.") var keepLast: Int = 0
        @Option(help: "Keep the newest of so many hours.") var keepHourly: Int = 0
        @Option(help: "Keep the newest of so many days.") var keepDaily: Int = 0
        @Option(help: "Keep the newest of so many weeks.") var keepWeekly: Int = 0
        @Option(help: "Keep the newest of so many months.") var keepMonthly: Int = 0
        @Flag(help: "Only say what would be deleted.") var dryRun = false
        @Flag(help: "Print one JSON object.") var json = false

        private var rule: RetentionRule {
            RetentionRule(
                last: keepLast, hourly: keepHourly, daily: keepDaily, weekly: keepWeekly,
                monthly: keepMonthly)
        }

        func validate() throws {
            let counts = [keepLast, keepHourly, keepDaily, keepWeekly, keepMonthly]
            guard counts.allSatisfy({ $0 >= 0 }), !rule.keepsNothing else {
                throw ValidationError(
                    "say what to keep, with --keep-last, --keep-hourly, --keep-daily, --keep-weekly or --keep-monthly"
                )
            }
        }

        func run() async throws {
            try await reporting(status: 1) {
                let isComplete = try location.use {
                    try SnapshotReports.prune($0, rule, dryRun: dryRun, json: json, TerminalOutput())
                }
                guard isComplete else { throw ExitCode(4) }
            }
        }
    }
}

/// A repository.
struct RepositoryLocation: ParsableArguments {
    @Argument(
        help:
            "The repository: a directory, s3://BUCKET/PREFIX?endpoint=https://HOST&credentials=FILE, or with --of its name.",
        completion: .directory)
    var repository: String
    @Option(help: "The store whose settings name the repository.", completion: .directory) var of: String?

    func use<Value>(_ body: (Repository) throws -> Value) throws -> Value {
        let settings = try of.map {
            try ServerSettings.load(
                directory: $0, environment: ProcessInfo.processInfo.environment, flags: [])
        }
        let path = settings?.repositoryPlace(repository) ?? RepositoryPlace.absolute(repository)
        let opened = try RepositoryPlace.open(path, of: nil)
        defer { opened.close() }
        return try body(opened)
    }
}
