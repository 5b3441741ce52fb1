import CFileSystem
import Foundation

/// What the figures were measured on.
struct Machine {
    let fileSystem: String
    private let processor: String
    private let load: String
    private let kernel: String

    init(directory: String) throws {
        var type: Int64 = 0
        guard holdfast_file_system_type(directory, &type) == 0 else { throw LoadError(call: "statfs") }
        // statfs(2)
        let names: [Int64: String] = [
            0xEF53: "ext4", 0x5846_5342: "XFS", 0x9123_683E: "btrfs", 0x0102_1994: "tmpfs",
            0x794C_7630: "overlayfs",
        ]
        fileSystem = names[type] ?? "file system 0x\(String(type, radix: 16))"
        let lines = try String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8).split(separator: "\n")
        processor =
            lines.first { $0.hasPrefix("model name") }?.split(separator: ":").last?
            .trimmingCharacters(in: .whitespaces) ?? "unknown processor"
        load =
            try String(contentsOfFile: "/proc/loadavg", encoding: .utf8)
            .split(separator: " ").first.map(String.init) ?? "?"
        kernel = try String(contentsOfFile: "/proc/sys/kernel/osrelease", encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
    }

    func text(quick: Bool, seconds: Double) -> String {
        let info = ProcessInfo.processInfo
        let memory = info.physicalMemory / (1 << 30)
        return """
            \(info.activeProcessorCount) cores (\(processor)), \(memory) GiB, Linux \(kernel), \(fileSystem); load \
            average \(load) before the run; \(quick ? "quick" : "full") run of \(Int(seconds)) s. Server and load \
            generator share the cores.
            """
    }
}
