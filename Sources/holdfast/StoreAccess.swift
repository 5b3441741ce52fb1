import ArgumentParser
import EventLog
import Foundation
import HoldfastServer
import ObjectStore
import Volumes

/// The directory of a store.
struct StoreLocation: ParsableArguments {
    @Argument(help: "The store's directory.", completion: .directory)
    var directory: String

    func settings(flags: [(name: String, value: String)] = []) throws -> ServerSettings {
        try ServerSettings.load(
            directory: directory, environment: ProcessInfo.processInfo.environment, flags: flags)
    }

    func requireStore(_ settings: ServerSettings) throws {
        guard !(try StoreDirectory.isNew(settings)) else {
            throw StoreError.invalidState(
                "there is no store in \(settings.directory): 'holdfast init' makes one, and so does 'holdfast serve'"
            )
        }
    }

    /// A server may see another directory than the command line does: a repository in a service's own `/tmp` goes with the
    /// service.
    private func requireRepository(of command: StoreCommand, _ settings: ServerSettings) throws {
        // One that the settings name is the server's affair.
        guard let path = command.newRepository, !settings.repositories.contains(where: { $0.place == path }),
            !FileManager.default.fileExists(atPath: path + "/volume.json")
        else { return }
        throw StoreError.invalidState(
            "the server says that it has taken the snapshot, but there is no repository in \(path) that this command can see: a service has a /tmp of its own, which goes with it, and sees no /home. Put the repository into a directory that both see and that the server may write to (with systemd, ReadWritePaths= in 'systemctl edit holdfast')"
        )
    }

    /// Carries out a command: by the server that has the store, or else on the store itself.
    func perform(
        _ command: StoreCommand, to output: any CommandOutput = TerminalOutput(), failureStatus: Int32 = 1
    ) async throws {
        try await reporting(status: failureStatus) {
            let settings = try settings()
            let socket = settings.store.stateDirectory + "/holdfast.sock"
            if let status = try AdminClient.run(command, socket: socket, output) {
                if status == 0 { try requireRepository(of: command, settings) }
                guard status == 0 else { throw ExitCode(status) }
                return
            }
            try requireStore(settings)
            let store: ObjectStore
            do {
                store =
                    command.changesStore
                    ? try await ObjectStore.open(settings.store)
                    : try await ObjectStore.openForInspection(settings.store)
            } catch {
                // What keeps the store from being opened is a finding too.
                for line in try command.refusal(error, settings.volumePaths) { try output.line(line) }
                throw error
            }
            defer { store.close() }
            for note in store.opening.log.notes { complain("opening: \(note)") }
            let keys = try KeyStore(stateDirectory: settings.store.stateDirectory)
            let masterKeys = try MasterKeyStore(path: settings.masterKeysPath)
            let runner = try CommandRunner(
                stopped: store, keys: keys, masterKeys: masterKeys, settings: settings)
            let status = try await runner.run(command, output)
            guard status == 0 else { throw ExitCode(status) }
        }
    }
}

/// Lines to the standard output; progress to a terminal, and nowhere else.
struct TerminalOutput: CommandOutput {
    private let isTerminal = isatty(STDERR_FILENO) == 1

    func line(_ text: String) throws {
        try FileHandle.standardOutput.write(contentsOf: Data((text + "\n").utf8))
    }

    func progress(_ part: Double) {
        guard isTerminal else { return }
        let text = part < 1 ? "\r\(Int(part * 100)) % " : "\r      \r"
        FileHandle.standardError.write(Data(text.utf8))
    }
}

/// A sentence for the person at the terminal, on the standard error.
func complain(_ text: String) { FileHandle.standardError.write(Data("holdfast: \(text)\n".utf8)) }

/// Runs a command's work; an error is printed as a sentence, and ends the command with `status`.
func reporting(status: Int32, _ body: () async throws -> Void) async throws {
    do { try await body() } catch let exit as ExitCode { throw exit } catch let error as ValidationError {
        throw error
    } catch {
        complain("\(error)")
        throw ExitCode(status)
    }
}
