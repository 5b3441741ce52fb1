import Foundation

/// `holdfast fsck` on a running server, and `rebuild-catalog` on a stopped store.
extension Suite {
    private struct Summary: Decodable {
        let findings: Int
    }

    private struct Rebuilt: Decodable {
        let events: Int
    }

    /// Checks the store that a server has open; the figures are the whole command's, the processor time the server's.
    /// - Parameters:
    ///   - objects: in the store: the rows' unit.
    ///   - byteCount: read by the check, all replicas; `nil` where it reads no data.
    ///   - verdicts: given the seconds that it took.
    func check(
        _ name: String, _ server: ServerProcess, deep: Bool, objects: Int, byteCount: Int?,
        verdicts: (Double) -> [Verdict] = { _ in [] }
    ) throws -> Table.Row {
        let before = try server.figures.cpuSeconds()
        let command = try CommandRun(
            binary: binary, ["fsck", server.store, "--json"] + (deep ? ["--deep"] : []))
        let serverSeconds = try server.figures.cpuSeconds() - before
        // An exit status other than 0 was an error already: a benchmark damages nothing.
        let summary = try JSONDecoder().decode(Summary.self, from: command.lastLine)
        guard summary.findings == 0 else { throw LoadError("\(name): \(summary.findings) findings") }
        var row = Table.Row(name)
        row.perSecond = Double(objects) / command.seconds
        row.megabytesPerSecond = byteCount.map { Double($0) / command.seconds / 1e6 }
        row.medianMilliseconds = command.seconds * 1000
        row.serverSecondsPer1000 = serverSeconds / Double(objects) * 1000
        row.clientSecondsPer1000 = command.cpuSeconds / Double(objects) * 1000
        row.verdicts = verdicts(command.seconds)
        return row
    }

    mutating func rebuild(_ name: String) throws {
        let command = try CommandRun(binary: binary, ["rebuild-catalog", store(name), "--json"])
        let events = try JSONDecoder().decode(Rebuilt.self, from: command.lastLine).events
        let rate = Double(events) / command.seconds
        var row = Table.Row("rebuild-catalog, \(Table.number(Double(events))) events")
        row.perSecond = rate
        row.medianMilliseconds = command.seconds * 1000
        row.serverSecondsPer1000 = command.cpuSeconds / Double(events) * 1000
        row.verdicts = [.atLeast(50_000, rate, "events/s")]
        add(row)
    }
}

/// The page cache, for what is to be read from disk.
enum PageCache {
    static func drop(below directory: String) throws {
        guard let paths = FileManager.default.enumerator(atPath: directory) else {
            throw LoadError("\(directory) cannot be read")
        }
        for case let path as String in paths {
            guard paths.fileAttributes?[.type] as? FileAttributeType == .typeRegular else { continue }
            try RawFile("\(directory)/\(path)", .cached).dropCache()
        }
    }
}
