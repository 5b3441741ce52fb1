import ArgumentParser
import EventLog
import HoldfastServer
import Model
import ObjectStore

private struct CutLine: Encodable {
    let after: UInt64
    /// Whose quarantine has what was cut off.
    let volumes: [Int]
}

/// The way out where no mirror has an event good that acknowledged events stand behind, and no copy of one is to be
/// had: the log ends before it. What is cut off goes to quarantine on each volume.
struct LogCut: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cut",
        abstract:
            "Give up what stands behind an event that no volume has good, so that the store opens again.",
        discussion:
            "Only for a stopped store that refuses to open because of it. What is cut off goes to the quarantine of each volume; what it published can be restored from a snapshot.\n\nExample:\n  holdfast log cut /srv/holdfast --after 1041"
    )

    @OptionGroup var location: StoreLocation
    @Option(help: "The last event that is kept: the one before the event that the refusal names.")
    var after: UInt64
    @Flag(help: "Print one JSON object.") var json = false

    func run() async throws {
        try await reporting(status: 1) {
            let settings = try location.settings()
            try location.requireStore(settings)
            var cutting = settings.store
            cutting.cutsLogAfter = SequenceNumber(after)
            let store = try await ObjectStore.open(cutting)
            defer { store.close() }
            guard store.opening.log.isCutByWord else {
                throw StoreError.invalidState(
                    "nothing was cut: the log opens as it is, and does not end with event \(after)")
            }
            let volumes = store.opening.log.cut.map(\.mirror).sorted()
            let kept =
                volumes.isEmpty
                ? "nothing stood behind it"
                : "what stood behind it is in the quarantine of volume \(volumes.map(String.init).joined(separator: ", "))"
            print(
                json
                    ? try CommandJSON.line(CutLine(after: after, volumes: volumes))
                    : "the log ends with event \(after); \(kept)")
        }
    }
}
