import ArgumentParser
import Foundation
import HoldfastServer

struct DrillCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drill",
        abstract: "Practise a restore: bring a random sample of a snapshot out to scratch, and compare it.",
        discussion: """
            Needs the repository alone, neither the store nor any key; nothing is changed. Scratch is TMPDIR.
            Exit status: 0 all came back as it was, 4 something did not, 1 could not run.

            Example:
              holdfast drill /backup/holdfast --sample 100
            """)

    @OptionGroup var location: RepositoryLocation
    @Option(help: "The snapshot's name. (default: the newest)") var snapshot: String?
    @Option(help: "Objects to restore, taken at random.") var sample: Int = 20
    @Flag(help: "Print one JSON object for each failure, and a summary last.") var json = false

    func validate() throws {
        guard sample > 0 else { throw ValidationError("--sample takes 1 or more") }
    }

    func run() async throws {
        try await reporting(status: 1) {
            let isGood = try location.use {
                try SnapshotReports.drill($0, snapshot, count: sample, json: json, TerminalOutput())
            }
            guard isGood else { throw ExitCode(4) }
        }
    }
}
