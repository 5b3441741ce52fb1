import ArgumentParser
import Foundation
import ObjectStore

@main
struct Holdfast: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holdfast",
        abstract: "An object store that can prove what it holds.",
        discussion: "Example:\n  holdfast serve /srv/holdfast\n  holdfast fsck /srv/holdfast --deep",
        version: Release.name,
        subcommands: [
            InitCommand.self, ServeCommand.self, FsckCommand.self, LogCommand.self, ExplainCommand.self,
            RebuildCatalogCommand.self, RebuildCommand.self, RepairCommand.self, IncidentCommand.self,
            PostmortemCommand.self,
            ListCommand.self, SnapshotCommand.self, RestoreCommand.self, ImportCommand.self,
            DrillCommand.self,
            VolumeCommand.self,
            ScrubCommand.self, JobsCommand.self, SinkCommand.self, StatusCommand.self, KeyCommand.self,
            UserCommand.self,
            EncryptionKeyCommand.self, ConfigCommand.self, DoctorCommand.self, UpgradeCommand.self,
        ])

    static func main() async {
        do {
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            // fsck(8) has an exit status of its own for a command line that it does not understand.
            let isUsage = exitCode(for: error) == .validationFailure
            guard isUsage, CommandLine.arguments.dropFirst().first == "fsck" else { exit(withError: error) }
            FileHandle.standardError.write(Data((fullMessage(for: error) + "\n").utf8))
            Foundation.exit(16)
        }
    }
}
