import ArgumentParser
import HoldfastServer

struct ScrubCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scrub",
        abstract: "Show, start and pause the server's reading back of everything that it holds.",
        discussion:
            "Example:\n  holdfast scrub status /srv/holdfast\n  holdfast scrub start /srv/holdfast --volume 2",
        subcommands: [Status.self, Start.self, Pause.self])

    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "status",
            abstract:
                "Show how far each volume is read, and since when everything in each bucket is verified.",
            discussion: "Example:\n  holdfast scrub status /srv/holdfast --json")

        @OptionGroup var location: StoreLocation
        @Flag(help: "Print one JSON object for each volume and each bucket.") var json = false

        func run() async throws { try await location.perform(.scrub(.status, json: json)) }
    }

    struct Start: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "start",
            abstract: "Read volumes now, whatever the window says, and go on after a pause.",
            discussion: "Example:\n  holdfast scrub start /srv/holdfast --volume 2")

        @OptionGroup var location: StoreLocation
        @Option(help: "Only this volume: 1, 2 or 3.") var volume: Int?
        @Flag(help: "Print one JSON object for each volume and each bucket.") var json = false

        func run() async throws {
            try await location.perform(.scrub(.start(volume: volume), json: json))
        }
    }

    struct Pause: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "pause", abstract: "Read nothing until it is started again.",
            discussion: "Example:\n  holdfast scrub pause /srv/holdfast")

        @OptionGroup var location: StoreLocation
        @Flag(help: "Print one JSON object for each volume and each bucket.") var json = false

        func run() async throws { try await location.perform(.scrub(.pause, json: json)) }
    }
}

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Tell whether everything was verified in time and nothing is open: green, or why not.",
        discussion:
            "Exit status: 0 green, 4 not green, 1 could not run.\n\nExample:\n  holdfast status /srv/holdfast --json"
    )

    @OptionGroup var location: StoreLocation
    @Flag(help: "Print one JSON object.") var json = false

    func run() async throws { try await location.perform(.status(json: json)) }
}
