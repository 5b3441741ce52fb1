import ArgumentParser
import Foundation
import HoldfastServer

struct RebuildCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rebuild",
        abstract: "Make the log of a stopped store anew when every mirror of it is lost and blobs are left.",
        discussion: """
            Each replica says whose it is: bucket, key, version, owner, metadata, tags and retention as uploaded. What no \
            replica tells is printed at the end. Refused while a volume has a log. If there is a snapshot, restoring it \
            brings back more. Exit status 4 means that objects put in parts are incomplete: they are named and not published. \
            If you know that their clients left numbers of parts out, --publish-with-gaps publishes them. \
            Afterwards: holdfast fsck DIR --deep --repair, which moves blobs of what is not published to quarantine.

            Example:
              holdfast rebuild /srv/holdfast --from-replicas --dry-run
            """)

    @OptionGroup var location: StoreLocation
    @Flag(help: "From what the blobs' replicas say of themselves: the only way there is.") var fromReplicas =
        false
    @Flag(
        help:
            "Publish objects between whose parts numbers lack, too, as if their clients had left these out: also those of which a part is lost."
    )
    var publishWithGaps = false
    @Flag(help: "Only say what would be there.") var dryRun = false
    @Flag(
        help:
            "Print one JSON object for each bucket, each blob left out and each object incomplete, with gaps or in doubt, and a summary last."
    )
    var json =
        false

    func validate() throws {
        guard fromReplicas else { throw ValidationError("say from what: --from-replicas") }
    }

    func run() async throws {
        try await reporting(status: 1) {
            let settings = try location.settings()
            try location.requireStore(settings)
            let status = try RecoveryCommands.rebuild(
                settings, publishesGaps: publishWithGaps, dryRun: dryRun, json: json, TerminalOutput())
            guard status == 0 else { throw ExitCode(status) }
        }
    }
}
