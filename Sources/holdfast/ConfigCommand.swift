import ArgumentParser
import Foundation
import HoldfastServer

struct ConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "Check and show the settings of a store, without touching it.",
        discussion:
            "Example:\n  holdfast config check /srv/holdfast\n  holdfast config list /srv/holdfast --json",
        subcommands: [Check.self, List.self])

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "check",
            abstract: "Tell everything that would keep a server from starting with these settings.",
            discussion: """
                The settings file, the environment, --set, and the files of secrets that they name. Exit status: 0 if a server \
                would start, 1 if not; warnings leave it at 0.

                Example:
                  holdfast config check /srv/holdfast --set listen=0.0.0.0:9000
                """)

        @OptionGroup var location: StoreLocation
        @Option(name: .customLong("set"), help: "A setting: NAME=VALUE. May be repeated.") var assignments:
            [String] = []
        @Flag(help: "Print one JSON object for each problem.") var json = false

        func validate() throws { _ = try SettingAssignment.parse(assignments) }

        func run() async throws {
            try await reporting(status: 1) {
                let check = SettingsCheck(
                    directory: location.directory, environment: ProcessInfo.processInfo.environment,
                    flags: try SettingAssignment.parse(assignments))
                let output = TerminalOutput()
                for problem in check.problems {
                    try output.line(json ? try CommandJSON.line(problem) : problem.description)
                }
                if check.problems.isEmpty, !json { try output.line("the settings are good") }
                guard check.isGood else { throw ExitCode(1) }
            }
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Show every setting, its value, and where it came from.",
            discussion: "Secrets are not shown.\n\nExample:\n  holdfast config list /srv/holdfast --json")

        @OptionGroup var location: StoreLocation
        @Option(name: .customLong("set"), help: "A setting: NAME=VALUE. May be repeated.") var assignments:
            [String] = []
        @Flag(help: "Print one JSON object for each setting.") var json = false

        func validate() throws { _ = try SettingAssignment.parse(assignments) }

        func run() async throws {
            try await reporting(status: 1) {
                let environment = ProcessInfo.processInfo.environment
                let settings = try location.settings(flags: try SettingAssignment.parse(assignments))
                let output = TerminalOutput()
                for line in settings.lines(environment: environment) {
                    try output.line(
                        json ? try CommandJSON.line(line) : "\(line.name) = \(line.value)  (\(line.source))")
                }
            }
        }
    }
}

/// What `--set` gives.
enum SettingAssignment {
    /// - Throws: `ValidationError` for one that is not NAME=VALUE.
    static func parse(_ assignments: [String]) throws -> [(name: String, value: String)] {
        try assignments.map { assignment in
            let halves = assignment.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard halves.count == 2 else {
                throw ValidationError("--set takes NAME=VALUE, not '\(assignment)'")
            }
            return (String(halves[0]), String(halves[1]))
        }
    }
}
