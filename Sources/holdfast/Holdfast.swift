import ArgumentParser
import Foundation
import Model
import ObjectStore
import Volumes

@main
struct Holdfast: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "holdfast",
        abstract: "An object store that can prove what it holds.",
        version: Release.name,
        subcommands: [
            InitCommand.self, FsckCommand.self, LogCommand.self, RebuildCatalogCommand.self,
            VolumeCommand.self,
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

/// The directory of a store, and where its parts are.
struct StoreLocation: ParsableArguments {
    @Argument(help: "The store's directory.")
    var directory: String

    @Option(help: "Its three volumes, comma-separated, if they are not DIR/volume-1 to -3.")
    var volumes: String?

    func settings() throws -> StoreSettings {
        let base = URL(fileURLWithPath: directory).path
        let paths =
            volumes?.split(separator: ",").map { URL(fileURLWithPath: String($0)).path }
            ?? (1...Limits.volumeCount).map { "\(base)/volume-\($0)" }
        guard paths.count == Limits.volumeCount, Set(paths).count == paths.count else {
            throw ValidationError(
                "--volumes names \(paths.count) directories: it takes \(Limits.volumeCount) different ones")
        }
        return StoreSettings(stateDirectory: base + "/state", volumePaths: paths)
    }
}

/// Runs a command's work; an error is printed as a sentence, and ends the command with `status`.
func reporting(status: Int32, _ body: () async throws -> Void) async throws {
    do { try await body() } catch let exit as ExitCode { throw exit } catch let error as ValidationError {
        throw error
    } catch {
        FileHandle.standardError.write(Data("holdfast: \(error)\n".utf8))
        throw ExitCode(status)
    }
}

/// One JSON object on a line, its keys in order.
func jsonLine(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
}

struct InitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Make a new store of three empty directories.",
        discussion: "Example:\n  holdfast init /srv/holdfast --volumes /disk1/hf,/disk2/hf,/disk3/hf")

    @OptionGroup var location: StoreLocation
    @Flag(help: "Print one JSON object.") var json = false

    func run() async throws {
        try await reporting(status: 1) {
            let settings = try location.settings()
            try ObjectStore.create(settings)
            if json {
                print(try jsonLine(["volumes": settings.volumePaths]))
            } else {
                for (offset, path) in settings.volumePaths.enumerated() {
                    print("volume \(offset + 1): \(path)")
                }
            }
        }
    }
}

struct VolumeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "volume", abstract: "Show the volumes of a store.", subcommands: [ListCommand.self])

    struct ListCommand: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Show how each volume stands.",
            discussion: "Example:\n  holdfast volume list /srv/holdfast --json")

        @OptionGroup var location: StoreLocation
        @Flag(help: "Print one JSON object for each volume.") var json = false

        struct Line: Encodable {
            let volume: Int
            let path: String
            let standing: String
            let reason: String?
        }

        func run() async throws {
            try await reporting(status: 1) {
                let store = try await ObjectStore.open(try location.settings())
                defer { store.close() }
                for status in store.volumeStatuses {
                    let line = Line(
                        volume: status.index, path: status.path, standing: status.standing.rawValue,
                        reason: status.reason)
                    print(
                        json
                            ? try jsonLine(line)
                            : "volume \(line.volume): \(line.standing)  \(line.path)\(line.reason.map { "  (\($0))" } ?? "")"
                    )
                }
            }
        }
    }
}

struct RebuildCatalogCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rebuild-catalog",
        abstract: "Delete the catalog and compute it from the log again.",
        discussion: "Example:\n  holdfast rebuild-catalog /srv/holdfast")

    @OptionGroup var location: StoreLocation
    @Flag(help: "Print one JSON object.") var json = false

    func run() async throws {
        try await reporting(status: 1) {
            let settings = try location.settings()
            try ObjectStore.deleteCatalog(settings)
            let store = try await ObjectStore.open(settings)
            defer { store.close() }
            let count = store.opening.eventsReplayed
            print(json ? try jsonLine(["events": count]) : "catalog computed from \(count) events")
        }
    }
}
