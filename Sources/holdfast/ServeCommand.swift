import ArgumentParser
import Foundation
import HoldfastServer
import Logging
import ObjectStore

struct ServeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Serve a store to S3 clients; an empty directory becomes a new store.",
        discussion: """
            The root key comes from HOLDFAST_ROOT_ACCESS_KEY and HOLDFAST_ROOT_SECRET_KEY; without them a random one is \
            made, printed once, and kept in DIR/state/keys.json.

            Every setting can stand in DIR/holdfast.json, in the environment as HOLDFAST_NAME, or be given with --set \
            NAME=VALUE; the last of these counts most. Settings: \(SettingName.allCases.map(\.rawValue).joined(separator: ", ")).

            With tls-certificate and tls-key S3 is served over TLS; the files are read again when they change, and on \
            SIGHUP.

            SIGTERM lets the requests under way end and stops the server.

            Example:
              holdfast serve /srv/holdfast --listen 127.0.0.1:9000 --admin 127.0.0.1:9001
            """)

    @OptionGroup var location: StoreLocation
    @Option(help: "Where S3 clients connect: HOST:PORT, port 0 for a free one.") var listen: String?
    @Option(help: "Where health and metrics are: HOST:PORT.") var admin: String?
    @Option(name: .customLong("set"), help: "A setting: NAME=VALUE. May be repeated.") var assignments:
        [String] = []
    @Flag(help: "Print one JSON object when ready.") var json = false

    private struct Ready: Encodable {
        let ready = true
        let listen: String
        let scheme: String
        let admin: String
        let accessKey: String?
        let secretKey: String?
    }

    func validate() throws { _ = try flags() }

    func run() async throws {
        try await reporting(status: 1) {
            let settings = try location.settings(flags: try flags())
            let level = settings.logLevel
            let format = settings.watching.logFormat
            LoggingSystem.bootstrap { label in
                var handler: any LogHandler =
                    format == .json
                    ? JSONLogHandler(label: label) : StreamLogHandler.standardError(label: label)
                handler.logLevel = level
                return handler
            }
            let stop = StopSignals()
            if try StoreDirectory.isNew(settings) { try StoreDirectory.create(settings) }
            let keys = try KeyStore(
                stateDirectory: settings.store.stateDirectory,
                environment: ProcessInfo.processInfo.environment)
            let server = try await Server.start(settings, keys: keys, logger: Logger(label: "holdfast"))
            // Without TLS it ends the server, as it ends every program whose terminal goes away.
            // Made when nothing can fail any more that keeps it from being printed.
            let made: AccessKey?
            do { made = try keys.makeRootKeyIfNeeded() } catch {
                try await server.stop()
                throw error
            }
            let reload = server.isSecure ? ReloadSignal { server.reloadCertificates() } : nil
            try announce(server, made)
            await stop.wait()
            reload?.stop()
            try await server.stop()
        }
    }

    private func announce(_ server: Server, _ made: AccessKey?) throws {
        let output = TerminalOutput()
        let scheme = server.isSecure ? "https" : "http"
        if json {
            try output.line(
                try CommandJSON.line(
                    Ready(
                        listen: server.address, scheme: scheme, admin: server.adminAddress,
                        accessKey: made?.accessKey,
                        secretKey: made?.secretKey)))
            return
        }
        if let made {
            try output.line("root access key: \(made.accessKey)\nroot secret key: \(made.secretKey)")
        }
        try output.line("ready: S3 on \(scheme)://\(server.address), admin on http://\(server.adminAddress)")
    }

    private func flags() throws -> [(name: String, value: String)] {
        var flags: [(name: String, value: String)] = []
        for assignment in assignments {
            let halves = assignment.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard halves.count == 2 else {
                throw ValidationError("--set takes NAME=VALUE, not '\(assignment)'")
            }
            flags.append((String(halves[0]), String(halves[1])))
        }
        if let listen { flags.append(("listen", listen)) }
        if let admin { flags.append(("admin", admin)) }
        return flags
    }
}

/// SIGHUP, as something to do.
private final class ReloadSignal: @unchecked Sendable {  // its source is made in init and only kept
    private let source: any DispatchSourceSignal

    init(_ body: @escaping @Sendable () -> Void) {
        signal(SIGHUP, SIG_IGN)
        source = DispatchSource.makeSignalSource(signal: SIGHUP, queue: .global())
        source.setEventHandler(handler: body)
        source.resume()
    }

    func stop() { source.cancel() }
}

/// SIGTERM and SIGINT, as something to wait for. A second one ends the process at once.
private final class StopSignals: @unchecked Sendable {  // its sources are made in init and only kept
    private let stream: AsyncStream<Int32>
    private let sources: [any DispatchSourceSignal]

    init() {
        let (stream, continuation) = AsyncStream.makeStream(of: Int32.self)
        self.stream = stream
        sources = [SIGTERM, SIGINT].map { number in
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
            source.setEventHandler {
                continuation.yield(number)
                signal(number, SIG_DFL)
            }
            source.resume()
            return source
        }
        signal(SIGPIPE, SIG_IGN)
    }

    func wait() async {
        for await _ in stream { return }
    }
}
