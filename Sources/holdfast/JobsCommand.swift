import ArgumentParser
import HoldfastServer

struct JobsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "jobs", abstract: "Show, pause and start what the server does by itself.",
        discussion:
            "Example:\n  holdfast jobs /srv/holdfast\n  holdfast jobs run /srv/holdfast snapshot:nas",
        subcommands: [List.self, Pause.self, Resume.self, Run.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list",
            abstract:
                "Show each job: what it does or waits for, what its last run came to, and its next run.",
            discussion: "Example:\n  holdfast jobs list /srv/holdfast --json")

        @OptionGroup var location: StoreLocation
        @Flag(help: "Print one JSON object for each job.") var json = false

        func run() async throws { try await location.perform(.jobs(.list, json: json)) }
    }

    struct Pause: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "pause", abstract: "Stop a job until it is resumed, also after a restart.",
            discussion: "Example:\n  holdfast jobs pause /srv/holdfast scrub")

        @OptionGroup var location: StoreLocation
        @Argument(help: "The job's name.") var name: String
        @Flag(help: "Print one JSON object for each job.") var json = false

        func run() async throws { try await location.perform(.jobs(.pause(name), json: json)) }
    }

    struct Resume: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "resume", abstract: "Let a job that was paused run again when it is due.",
            discussion: "Example:\n  holdfast jobs resume /srv/holdfast scrub")

        @OptionGroup var location: StoreLocation
        @Argument(help: "The job's name.") var name: String
        @Flag(help: "Print one JSON object for each job.") var json = false

        func run() async throws { try await location.perform(.jobs(.resume(name), json: json)) }
    }

    struct Run: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "run", abstract: "Let a job run now, whatever its schedule and its window say.",
            discussion: "Example:\n  holdfast jobs run /srv/holdfast drill:nas")

        @OptionGroup var location: StoreLocation
        @Argument(help: "The job's name.") var name: String
        @Flag(help: "Print one JSON object for each job.") var json = false

        func run() async throws { try await location.perform(.jobs(.run(name), json: json)) }
    }
}
