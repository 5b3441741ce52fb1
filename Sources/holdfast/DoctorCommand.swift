import ArgumentParser
import Foundation
import HoldfastServer

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Look at the machine: disks, limits, clock, permissions, settings.",
        discussion: """
            Run it as the server's user, with the server's environment. A small file is written to each volume, synced and \
            removed; nothing else changes, and the store may be served meanwhile. Exit status: 0 if nothing failed, 4 if \
            something did; warnings leave it at 0.

            Example:
              holdfast doctor /srv/holdfast
            """)

    @OptionGroup var location: StoreLocation
    @Flag(help: "Print one JSON object for each thing that was looked at.") var json = false

    func run() async throws {
        try await reporting(status: 1) {
            let check = SettingsCheck(
                directory: location.directory, environment: ProcessInfo.processInfo.environment, flags: [])
            let found = Doctor(check).examine()
            let output = TerminalOutput()
            for diagnosis in found {
                try output.line(json ? try CommandJSON.line(diagnosis) : diagnosis.text)
            }
            guard !found.contains(where: { $0.verdict == .fail }) else { throw ExitCode(4) }
        }
    }
}
