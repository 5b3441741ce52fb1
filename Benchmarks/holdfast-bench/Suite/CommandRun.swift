import Foundation

/// One run of the command line.
struct CommandRun {
    let seconds: Double
    /// Processor time of the command itself, without a server that it asked.
    let cpuSeconds: Double
    /// The last line that it printed.
    let lastLine: Data

    init(binary: String, _ arguments: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: binary)
        process.arguments = arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardInput = FileHandle.nullDevice
        let cpuStart = Self.childSeconds
        let start = Clock.now
        try process.run()
        Running.insert(process.processIdentifier)
        let text = try output.fileHandleForReading.readToEnd() ?? Data()
        process.waitUntilExit()
        Running.remove(process.processIdentifier)
        seconds = Clock.seconds(since: start)
        cpuSeconds = Self.childSeconds - cpuStart
        lastLine = text.split(separator: 10).last ?? Data()
        guard process.terminationStatus == 0 else {
            throw LoadError(
                "'holdfast \(arguments.joined(separator: " "))' ended with status \(process.terminationStatus): \(String(decoding: lastLine, as: UTF8.self))"
            )
        }
    }

    private static var childSeconds: Double {
        var usage = rusage()
        getrusage(RUSAGE_CHILDREN.rawValue, &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }
}
