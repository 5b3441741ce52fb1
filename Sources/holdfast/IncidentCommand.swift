import ArgumentParser
import Foundation
import HoldfastServer

extension IncidentFormat: ExpressibleByArgument {}

struct IncidentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "incident",
        abstract:
            "Show what a failure damaged, what was repaired and from where, what is lost and whose it was.",
        discussion: """
            A volume that fails opens an incident, and so does a burst of findings. It closes by itself.

            Example:
              holdfast incident list /srv/holdfast
              holdfast incident report /srv/holdfast 1234 --format html --output /tmp/pages
            """,
        subcommands: [List.self, Show.self, Report.self, Open.self, Acknowledge.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Show the incidents, oldest first.",
            discussion: "Example:\n  holdfast incident list /srv/holdfast --json")

        @OptionGroup var location: StoreLocation
        @Flag(help: "Print one JSON object for each incident.") var json = false

        func run() async throws { try await location.perform(.incident(.list, json: json)) }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "show",
            abstract:
                "Show how an incident stands: totals by owner, bucket and prefix, progress and time left.",
            discussion: """
                Incident 0 is what was found and makes no incident.

                Example:
                  holdfast incident show /srv/holdfast 1234 --prefix-depth 2
                """)

        @OptionGroup var location: StoreLocation
        @Argument(help: "The incident, by its number in 'holdfast incident list'.") var incident: UInt64
        @Option(help: "Only of this user, by name or canonical id.") var owner: String?
        @Option(help: "How many parts of a key make its prefix; 0 for no prefixes.") var prefixDepth = 1
        @Flag(help: "Print one JSON object.") var json = false

        func validate() throws { try checkDepth(prefixDepth) }

        func run() async throws {
            try await location.perform(
                .incident(.show(id: incident, owner: owner, prefixDepth: prefixDepth), json: json))
        }
    }

    struct Report: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "report",
            abstract: "Name every version that an incident affects, for each owner or all.",
            discussion: """
                With --output one file is written for each owner; an HTML page needs no other file and can be sent as it is.

                Example:
                  holdfast incident report /srv/holdfast 1234 --format csv > affected.csv
                  holdfast incident report /srv/holdfast 1234 --format html --output /tmp/pages
                """)

        @OptionGroup var location: StoreLocation
        @Argument(help: "The incident, by its number in 'holdfast incident list'.") var incident: UInt64
        @Option(help: "text, csv, json or html.") var format: IncidentFormat?
        @Option(help: "Only of this user, by name or canonical id.") var owner: String?
        @Option(help: "The directory of the files, one for each owner.", completion: .directory)
        var output: String?
        @Option(help: "How many parts of a key make its prefix; 0 for no prefixes.") var prefixDepth = 1
        @Flag(help: "Print JSON: the same as --format json, or the names of the files.") var json = false

        func validate() throws { try checkDepth(prefixDepth) }

        func run() async throws {
            let order = IncidentReportOrder(
                id: incident, format: format ?? (json ? .json : .text), owner: owner,
                directory: output.map { URL(fileURLWithPath: $0).standardizedFileURL.path },
                prefixDepth: prefixDepth)
            try await location.perform(.incident(.report(order), json: json))
        }
    }

    struct Open: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "open",
            abstract: "Open an incident by hand: what is found from now on belongs to it.",
            discussion: "Example:\n  holdfast incident open /srv/holdfast \"rack 4 was under water\"")

        @OptionGroup var location: StoreLocation
        @Argument(help: "What happened, in words for whoever reads the reports.") var reason: String
        @Flag(help: "Print one JSON object.") var json = false

        func run() async throws { try await location.perform(.incident(.open(reason: reason), json: json)) }
    }

    struct Acknowledge: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "acknowledge",
            abstract: "Note that somebody has seen how an incident came out, for all or a part of it.",
            discussion: """
                A version that changes afterwards is news again.

                Example:
                  holdfast incident acknowledge /srv/holdfast 1234 --owner alice --note "told by mail"
                  holdfast incident acknowledge /srv/holdfast 1234 photos/2026/cat.jpg
                """)

        @OptionGroup var location: StoreLocation
        @Argument(help: "The incident, by its number in 'holdfast incident list'.") var incident: UInt64
        @Argument(help: "BUCKET/KEY; without, all, or what --owner and --bucket say.") var object: String?
        @Option(help: "Only of this user, by name or canonical id.") var owner: String?
        @Option(help: "Only of this bucket.") var bucket: String?
        @Option(help: "What to remember of it.") var note = ""
        @Flag(help: "Print one JSON object.") var json = false

        func validate() throws {
            guard let object else { return }
            if bucket != nil { throw ValidationError("BUCKET/KEY goes without --bucket") }
            let slash = object.firstIndex(of: "/")
            guard let slash, slash > object.startIndex, object.index(after: slash) < object.endIndex else {
                throw ValidationError("'\(object)' is not BUCKET/KEY")
            }
        }

        func run() async throws {
            let parts = object.map {
                $0.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
            }
            let what = IncidentAcknowledgement(
                owner: owner, bucket: parts.map { String($0[0]) } ?? bucket, key: parts.map { String($0[1]) },
                note: note)
            try await location.perform(.incident(.acknowledge(id: incident, what), json: json))
        }
    }
}

private func checkDepth(_ depth: Int) throws {
    guard (0...64).contains(depth) else { throw ValidationError("--prefix-depth is 0 to 64") }
}
