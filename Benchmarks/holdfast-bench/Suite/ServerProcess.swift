import Foundation

/// A Holdfast server on the loopback, with a store of its own.
final class ServerProcess {
    static let accessKey = "benchmark"
    static let secretKey = "benchmark-secret-of-the-loopback"

    let target: LoadTarget
    let figures: ProcessFigures
    /// The store's directory.
    let store: String
    private let process: Process

    private struct Ready: Decodable { let listen: String }

    init(binary: String, store: String) throws {
        self.store = store
        process = Process()
        process.executableURL = URL(fileURLWithPath: binary)
        process.arguments = ["serve", store, "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--json"]
        process.environment = ProcessInfo.processInfo.environment.merging([
            "HOLDFAST_ROOT_ACCESS_KEY": Self.accessKey, "HOLDFAST_ROOT_SECRET_KEY": Self.secretKey,
        ]) { $1 }
        let output = Pipe()
        process.standardOutput = output
        process.standardInput = FileHandle.nullDevice
        try process.run()
        Running.insert(process.processIdentifier)
        do {
            let ready = try JSONDecoder().decode(Ready.self, from: try Self.line(of: output))
            guard let endpoint = Endpoint(ready.listen) else {
                throw LoadError("the server listens on '\(ready.listen)', which is no IPv4 address")
            }
            figures = ProcessFigures(id: process.processIdentifier)
            target = LoadTarget(
                endpoint: endpoint,
                credentials: .init(accessKey: Self.accessKey, secretKey: Self.secretKey, region: "us-east-1"),
                process: figures)
        } catch {
            process.terminate()
            process.waitUntilExit()
            Running.remove(process.processIdentifier)
            throw LoadError("the server did not start: \(error)")
        }
    }

    private static func line(of output: Pipe) throws -> Data {
        var line = Data()
        while let byte = try output.fileHandleForReading.read(upToCount: 1), !byte.isEmpty, byte != Data([10])
        {
            line += byte
        }
        return line
    }

    func stop() throws {
        guard process.isRunning else { throw LoadError("the server ended by itself") }
        process.terminate()
        process.waitUntilExit()
        Running.remove(process.processIdentifier)
        guard process.terminationStatus == 0 else {
            throw LoadError("the server ended with status \(process.terminationStatus)")
        }
    }

    /// Ends the server without a word: after an error.
    func abandon() {
        guard process.isRunning else { return }
        kill(process.processIdentifier, SIGKILL)
        process.waitUntilExit()
        Running.remove(process.processIdentifier)
    }
}
