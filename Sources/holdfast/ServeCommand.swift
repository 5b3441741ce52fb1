import ArgumentParser
import Foundation
import HoldfastServer
import Logging

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

            SIGTERM drains the server: it says that it is not ready, takes no more connections after drain-delay-seconds, lets \
            the requests under way end within drain-seconds, and closes the store. A second one cuts them off.

            With --takeover a server that runs on the same store is followed without a connection refused: the new process \
            checks its settings, gets the sockets, and serves when the old one has ended its requests and let the store go. \
            If it cannot, the old one goes on. Without a server it starts as ever.

            Example:
              holdfast serve /srv/holdfast --listen 127.0.0.1:9000 --admin 127.0.0.1:9001
              holdfast serve /srv/holdfast --takeover
            """)

    @OptionGroup var location: StoreLocation
    @Option(help: "Where S3 clients connect: HOST:PORT, port 0 for a free one.") var listen: String?
    @Option(help: "Where health and metrics are: HOST:PORT.") var admin: String?
    @Option(name: .customLong("set"), help: "A setting: NAME=VALUE. May be repeated.") var assignments:
        [String] = []
    @Flag(help: "Take the sockets and the store over from the server that has them.") var takeover = false
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
            let environment = ProcessInfo.processInfo.environment
            let check = SettingsCheck(
                directory: location.directory, environment: environment, flags: try flags())
            // Before anything is touched.
            if let refusal = check.refusal { throw refusal }
            let settings = check.settings
            let level = settings.logLevel
            let format = settings.watching.logFormat
            LoggingSystem.bootstrap { label in
                var handler: any LogHandler =
                    format == .json
                    ? JSONLogHandler(label: label) : StreamLogHandler.standardError(label: label)
                handler.logLevel = level
                return handler
            }
            let logger = Logger(label: "holdfast")
            for problem in check.problems { logger.warning("\(problem)") }
            try await ServerProcess(settings, environment, logger, isTakingOver: takeover).run {
                server, made in
                try announce(server, made)
            }
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
        var flags = try SettingAssignment.parse(assignments)
        if let listen { flags.append(("listen", listen)) }
        if let admin { flags.append(("admin", admin)) }
        return flags
    }
}
