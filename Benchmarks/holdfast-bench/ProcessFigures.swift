import Foundation

/// What the kernel counts of a process.
struct ProcessFigures: Sendable {
    let id: Int32

    /// Seconds of processor time, user and system, of all its threads. Counted in hundredths.
    func cpuSeconds() throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(id)/stat", encoding: .utf8)
        // The name of the program stands in parentheses and may hold anything; what follows are numbers.
        guard let end = text.lastIndex(of: ")") else { throw LoadError("/proc/\(id)/stat cannot be read") }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else {
            throw LoadError("/proc/\(id)/stat cannot be read")
        }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// The most memory that it had resident, in MiB.
    func peakMebibytes() throws -> Double {
        let text = try String(contentsOfFile: "/proc/\(id)/status", encoding: .utf8)
        for line in text.split(separator: "\n") where line.hasPrefix("VmHWM:") {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" })
            guard words.count > 1, let kibibytes = Double(words[1]) else { break }
            return kibibytes / 1024
        }
        throw LoadError("/proc/\(id)/status has no VmHWM")
    }
}
