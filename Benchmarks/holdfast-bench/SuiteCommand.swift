import ArgumentParser
import Foundation

struct SuiteCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "suite",
        abstract: "Measure everything and print one table in Markdown.",
        discussion: """
            Example:
              holdfast-bench suite --server .build/release/holdfast --directory /var/tmp --quick
            """)

    @Option(help: "The holdfast program.") var server: String
    @Option(help: "A directory on the disk to measure; what is made in it is removed.") var directory: String
    @Flag(help: "About a minute, with figures that are less steady.") var quick = false

    func run() throws {
        let signals = Running.endWithSignals()
        defer { for source in signals { source.cancel() } }
        let place =
            URL(fileURLWithPath: directory).standardizedFileURL.path
            + "/holdfast-bench-\(getpid())"
        try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: true)
        let machine = try Machine(directory: place)
        Running.removeAtEnd(place)
        defer { Running.removeDirectory() }
        guard machine.fileSystem != "tmpfs" else {
            throw ValidationError("\(directory) is on tmpfs: it has to be on the disk that is measured")
        }
        var suite = Suite(
            binary: URL(fileURLWithPath: server).path, directory: place, scale: quick ? .quick : .full)
        let start = Clock.now
        try suite.run()
        print(machine.text(quick: quick, seconds: Clock.seconds(since: start)))
        print("\n" + suite.table.text)
        let missed = suite.table.missed
        print("\n" + (missed.isEmpty ? "All goals reached." : "Goals missed: \(missed.count)."))
    }
}
