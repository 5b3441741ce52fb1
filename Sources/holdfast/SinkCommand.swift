import ArgumentParser
import HoldfastServer

struct SinkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sink", abstract: "Show and steer those whom a server tells of what happens.",
        discussion: """
            Sinks stand in the settings file. Each follows the event log from where it is, so that one that does not \
            answer misses nothing.

            Example:
              holdfast sink status /srv/holdfast
              holdfast sink replay /srv/holdfast orders --from 1200
            """,
        subcommands: [Status.self, Pause.self, Resume.self, Replay.self])

    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "status", abstract: "Show how far each sink is told, and whether it answers.",
            discussion: "Example:\n  holdfast sink status /srv/holdfast --json")

        @OptionGroup var location: StoreLocation
        @Argument(help: "Only this sink.") var sink: String?
        @Flag(help: "Print one JSON object for each sink.") var json = false

        func run() async throws { try await location.perform(.sink(.status(sink), json: json)) }
    }

    struct Pause: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "pause", abstract: "Tell a sink nothing until it is resumed.",
            discussion: "Example:\n  holdfast sink pause /srv/holdfast orders")

        @OptionGroup var location: StoreLocation
        @Argument(help: "The sink.") var sink: String
        @Flag(help: "Print one JSON object.") var json = false

        func run() async throws { try await location.perform(.sink(.pause(sink), json: json)) }
    }

    struct Resume: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "resume", abstract: "Go on telling a sink from where it was paused.",
            discussion: "Example:\n  holdfast sink resume /srv/holdfast orders")

        @OptionGroup var location: StoreLocation
        @Argument(help: "The sink.") var sink: String
        @Flag(help: "Print one JSON object.") var json = false

        func run() async throws { try await location.perform(.sink(.resume(sink), json: json)) }
    }

    struct Replay: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "replay", abstract: "Tell a sink again of everything from an event on.",
            discussion: "Example:\n  holdfast sink replay /srv/holdfast orders --from 1200")

        @OptionGroup var location: StoreLocation
        @Argument(help: "The sink.") var sink: String
        @Option(name: .customLong("from"), help: "The sequence of the first event.") var first: UInt64
        @Flag(help: "Print one JSON object.") var json = false

        func run() async throws {
            try await location.perform(.sink(.replay(sink, from: first), json: json))
        }
    }
}
