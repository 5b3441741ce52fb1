import ArgumentParser
import HoldfastServer

struct EncryptionKeyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "encryption-key",
        abstract: "Make, show and rotate the master keys of encryption at rest.",
        discussion: """
            They stand in DIR/state/master-keys.json, or where the setting master-keys says. Keep a copy of that file \
            in another place: without it, what is enciphered with them is lost.

            Example:
              holdfast encryption-key create /srv/holdfast payroll
              holdfast encryption-key rotate /srv/holdfast payroll --rewrap
            """,
        subcommands: [Create.self, List.self, Rotate.self, Enable.self, Disable.self])

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create", abstract: "Make a master key, for SSE-KMS.",
            discussion: "Example:\n  holdfast encryption-key create /srv/holdfast payroll")

        @OptionGroup var location: StoreLocation
        @Argument(help: "The name by which requests ask for it, as NAME or alias/NAME.") var name: String
        @Flag(help: "Print one JSON object.") var json = false

        func run() async throws { try await location.perform(.createEncryptionKey(name: name, json: json)) }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Show the master keys by name and id, never what they are.",
            discussion: "Example:\n  holdfast encryption-key list /srv/holdfast")

        @OptionGroup var location: StoreLocation
        @Flag(help: "Print one JSON object for each key.") var json = false

        func run() async throws { try await location.perform(.listEncryptionKeys(json: json)) }
    }

    struct Rotate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "rotate",
            abstract: "Give a master key, or all of them, a new generation; older objects stay readable.",
            discussion: "Example:\n  holdfast encryption-key rotate /srv/holdfast payroll --rewrap")

        @OptionGroup var location: StoreLocation
        @Argument(help: "Name or id; without, every key.") var name: String?
        @Flag(help: "Wrap the data keys of existing objects with it too; no object's bytes are rewritten.")
        var rewrap = false
        @Flag(help: "Print one JSON object for each key.") var json = false

        func run() async throws {
            try await location.perform(.rotateEncryptionKey(name: name, rewrap: rewrap, json: json))
        }
    }

    struct Enable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "enable", abstract: "Let a master key serve again.",
            discussion: "Example:\n  holdfast encryption-key enable /srv/holdfast payroll")

        @OptionGroup var location: StoreLocation
        @Argument(help: "Name or id.") var name: String
        @Flag(help: "Print one JSON object.") var json = false

        func run() async throws {
            try await location.perform(.enableEncryptionKey(name: name, enabled: true, json: json))
        }
    }

    struct Disable: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "disable",
            abstract: "Refuse to write or read with a master key, until it is enabled again.",
            discussion: "Example:\n  holdfast encryption-key disable /srv/holdfast payroll")

        @OptionGroup var location: StoreLocation
        @Argument(help: "Name or id.") var name: String
        @Flag(help: "Print one JSON object.") var json = false

        func run() async throws {
            try await location.perform(.enableEncryptionKey(name: name, enabled: false, json: json))
        }
    }
}
