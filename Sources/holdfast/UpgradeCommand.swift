import ArgumentParser
import HoldfastServer

struct UpgradeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "upgrade",
        abstract: "Show the formats of a stopped store, and write what has an earlier one in the newest.",
        discussion: """
            A new release serves a store of an earlier format without changing it, so that the release before can be gone back \
            to. This is the step after which it cannot, but for the copies that are kept beside each file.

            Example:
              holdfast upgrade /srv/holdfast --dry-run
            """)

    @OptionGroup var location: StoreLocation
    @Flag(help: "Show what would be done, and do nothing.") var dryRun = false
    @Flag(help: "Print one JSON object for each file.") var json = false

    func run() async throws {
        try await reporting(status: 1) {
            let settings = try location.settings()
            try location.requireStore(settings)
            let output = TerminalOutput()
            for step in try StoreUpgrade.run(settings, isDryRun: dryRun) {
                try output.line(json ? try CommandJSON.line(step) : step.text)
            }
        }
    }
}
