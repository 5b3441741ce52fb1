import ArgumentParser

@main
struct HoldfastBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holdfast-bench", abstract: "Measures a Holdfast server, and what its machine can do.",
        subcommands: [SuiteCommand.self, LoadCommand.self])
}
