import Foundation

/// All measurements, one after the other, each limit right beside what leans on it: the machine's speed drifts
/// within a run.
///
/// Three stores, one after the other, so that each check has one kind of object before it.
struct Suite {
    /// The server's and the command line's program.
    let binary: String
    /// A new directory on the disk that is measured.
    let directory: String
    let scale: Scale
    private(set) var table = Table()
    private var peaks: [(name: String, mebibytes: Double)] = []

    static let memoryGoal = 300.0

    init(binary: String, directory: String, scale: Scale) {
        self.binary = binary
        self.directory = directory
        self.scale = scale
    }

    mutating func run() throws {
        try serving("requests") { suite, server in try suite.requests(server.target) }
        try FileManager.default.removeItem(atPath: store("requests"))
        try serving("large") { suite, server in try suite.largeObjects(server) }
        try FileManager.default.removeItem(atPath: store("large"))
        try serving("small") { suite, server in try suite.smallObjects(server) }
        try rebuild("small")
        for peak in peaks {
            var row = Table.Row("server's peak resident memory, \(peak.name) store")
            row.verdicts = [.atMost(Self.memoryGoal, peak.mebibytes, "MiB")]
            table.add(row)
        }
    }

    mutating func add(_ row: Table.Row) { table.add(row) }

    /// Errors answered fast are no speed: one of them ends the run.
    mutating func add(_ name: String, _ load: MeasuredLoad, _ verdicts: [Verdict] = []) throws {
        guard load.failures == 0 else {
            throw LoadError("\(name): \(load.failures) requests failed; the first: \(load.firstFailure)")
        }
        var row = Table.Row(name, load)
        row.verdicts = verdicts
        table.add(row)
    }

    func store(_ name: String) -> String { "\(directory)/\(name)" }

    private mutating func serving(
        _ name: String, _ body: (inout Suite, ServerProcess) throws -> Void
    ) throws {
        let server = try ServerProcess(binary: binary, store: store(name))
        defer { server.abandon() }
        try body(&self, server)
        peaks.append((name, try server.figures.peakMebibytes()))
        try server.stop()
    }
}
