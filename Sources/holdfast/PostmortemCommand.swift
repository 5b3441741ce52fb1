import ArgumentParser
import Foundation
import HoldfastServer

struct PostmortemCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "postmortem",
        abstract:
            "Write what the log says of an incident as Markdown: what happened, was seen, done and lost.",
        discussion: """
            Example:
              holdfast postmortem /srv/holdfast --incident 1234 --out incident-1234.md
            """)

    @OptionGroup var location: StoreLocation
    @Option(help: "The incident, by its number in 'holdfast incident list'.") var incident: UInt64
    @Option(help: "The file to write; without, it is printed.", completion: .file()) var out: String?
    @Flag(help: "Print one JSON object.") var json = false

    func run() async throws {
        guard let out else {
            return try await location.perform(.postmortem(incident: incident, json: json))
        }
        try await reporting(status: 1) {
            // Beside its name, so that a file that is there is whole.
            let path = URL(fileURLWithPath: out).standardizedFileURL.path
            let file = try FileOutput(path + ".partial")
            do {
                try await location.perform(.postmortem(incident: incident, json: json), to: file)
                try file.finish(as: path)
            } catch {
                file.discard()
                throw error
            }
        }
    }
}

/// Lines to a file, which has its name when all of them are in it.
private struct FileOutput: CommandOutput {
    private let path: String
    private let handle: FileHandle
    private let terminal = TerminalOutput()

    init(_ path: String) throws {
        try Data().write(to: URL(fileURLWithPath: path))
        self.path = path
        handle = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    }

    func line(_ text: String) throws { try handle.write(contentsOf: Data((text + "\n").utf8)) }
    func progress(_ part: Double) { terminal.progress(part) }

    func finish(as name: String) throws {
        try handle.synchronize()
        try handle.close()
        guard rename(path, name) == 0 else { throw CocoaError(.fileWriteUnknown) }
    }

    /// What is left of it is no report; that it cannot be removed hides no error that matters more.
    func discard() { try? FileManager.default.removeItem(atPath: path) }
}
