import ArgumentParser
import Foundation

struct LoadCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "load",
        abstract: "Put one kind of load on a server, for a profile of it.",
        discussion: """
            Without --access-key and --secret-key, HOLDFAST_ROOT_ACCESS_KEY and HOLDFAST_ROOT_SECRET_KEY count.

            Example:
              holdfast-bench load --endpoint 127.0.0.1:9000 --operation put --size 4096 --connections 64 --seconds 5
            """)

    enum Operation: String, CaseIterable, ExpressibleByArgument { case put, get, list }

    @Option(help: "The server's HOST:PORT.") var endpoint: String
    @Option(help: "The access key to sign with.") var accessKey: String?
    @Option(help: "Its secret key.") var secretKey: String?
    @Option(help: "The region to sign for.") var region = "us-east-1"
    @Option(help: "put, get or list.") var operation: Operation
    @Option(help: "Bytes of each object.") var size = 4096
    @Option(help: "Connections at once.") var connections = 16
    @Option(help: "How long.") var seconds = 5.0
    @Option(help: "Threads of the load generator.") var threads = 1
    @Option(help: "Objects to get, or among which to list.") var keys = 1000
    @Option(help: "The bucket; it is made if it is not there.") var bucket = "bench"
    @Option(help: "What keys begin with. (default: new with each run)") var prefix: String?
    @Option(help: "The server's process, to tell its processor time and memory.") var serverPid: Int32?
    @Option(help: "Send so many requests a second, whether or not the server keeps up (an open loop).")
    var rate: Double?
    @Flag(help: "With --rate: be silent on a connection for as long as Retry-After says.") var polite = false
    @Flag(help: "Sign UNSIGNED-PAYLOAD in place of the body's SHA-256.") var unsigned = false
    @Flag(help: "The objects to get or list are there: an earlier run put them under this --prefix.")
    var prepared = false
    @Flag(help: "Print one JSON object.") var json = false

    func run() throws {
        guard let address = Endpoint(endpoint) else {
            throw ValidationError("--endpoint is HOST:PORT, not '\(endpoint)'")
        }
        guard threads >= 1, connections >= threads, size >= 0, keys >= 1 else {
            throw ValidationError("every thread needs a connection, and sizes and counts are not negative")
        }
        let target = LoadTarget(
            endpoint: address, credentials: try credentials(),
            process: serverPid.map { ProcessFigures(id: $0) },
            isSigned: !unsigned, threads: threads)
        let prefix = prefix ?? "\(operation.rawValue)-\(UInt32.random(in: 0 ... .max))-"
        try target.createBucket(bucket)
        if operation != .put, !prepared {
            try target.put(keys, of: operation == .list ? 16 : size, bucket: bucket, prefix: prefix)
        }
        let load: LoadOperation =
            switch operation {
            case .put: .put(size: size)
            case .get: .get(size: size, keys: keys)
            case .list: .list(page: 1000, keys: keys)
            }
        if let rate {
            return try flood(target, load, prefix: prefix, rate: rate)
        }
        let measured = try target.measure(
            load, bucket: bucket, prefix: prefix, connections: connections, seconds: seconds)
        print(json ? try measured.json() : measured.text)
        guard measured.failures == 0 else { throw ExitCode(1) }
    }

    /// Refusals are what it is about, so that they are no failure; what it prints is JSON always.
    private func flood(
        _ target: LoadTarget, _ load: LoadOperation, prefix: String, rate: Double
    ) throws {
        guard rate > 0 else { throw ValidationError("--rate is above 0") }
        let before = try target.process?.cpuSeconds()
        let result = try target.flood(
            load, bucket: bucket, prefix: prefix, connections: connections, seconds: seconds, rate: rate,
            isPolite: polite)
        var server: Double?
        if let before, let after = try target.process?.cpuSeconds() { server = after - before }
        print(try result.json(serverSeconds: server))
        guard result.failures == 0 else { throw ExitCode(1) }
    }

    private func credentials() throws -> RequestSigner.Credentials {
        let environment = ProcessInfo.processInfo.environment
        guard let access = accessKey ?? environment["HOLDFAST_ROOT_ACCESS_KEY"],
            let secret = secretKey ?? environment["HOLDFAST_ROOT_SECRET_KEY"]
        else {
            throw ValidationError("--access-key and --secret-key are missing, and the environment has none")
        }
        return .init(accessKey: access, secretKey: secret, region: region)
    }
}
