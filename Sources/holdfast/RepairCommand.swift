import ArgumentParser
import Foundation
import HoldfastServer

struct RepairCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "repair", abstract: "Show what was repaired, from what, and take repairs back.",
        discussion:
            "Example:\n  holdfast repair list /srv/holdfast\n  holdfast repair undo /srv/holdfast 1234",
        subcommands: [List.self, Undo.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list",
            abstract:
                "Show every repair: what it mended, from where, and where what was there before is now.",
            discussion: "Example:\n  holdfast repair list /srv/holdfast --json")

        @OptionGroup var location: StoreLocation
        @Flag(help: "Print one JSON object for each repair.") var json = false

        func run() async throws { try await location.perform(.listRepairs(json: json)) }
    }

    struct Undo: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "undo",
            abstract: "Put back what a repair set aside; what the repair had made goes to quarantine.",
            discussion: """
                A check then finds the damage again. Repairs of the log and of the catalog are not undone.

                Example:
                  holdfast repair undo /srv/holdfast 1234
                """)

        @OptionGroup var location: StoreLocation
        @Argument(help: "The repair, by its number in 'holdfast repair list'.") var repair: UInt64
        @Flag(help: "Print one JSON object.") var json = false

        func run() async throws { try await location.perform(.undoRepair(id: repair, json: json)) }
    }
}
