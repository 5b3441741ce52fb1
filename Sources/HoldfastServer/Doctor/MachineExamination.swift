import CFileSystem
import Foundation

/// What a server gets of the machine: descriptors, memory, a clock that is kept right.
struct MachineExamination {
    /// With which a server of the standard settings runs under load.
    private static let memoryMiB = 512

    private let connectionLimit: Int

    init(connectionLimit: Int) { self.connectionLimit = connectionLimit }

    func examine() -> [Diagnosis] { [descriptors(), memory()] }

    private func descriptors() -> Diagnosis {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else {
            return Diagnosis(.warn, "open files", String(cString: strerror(errno)), advice: "see 'ulimit -n'")
        }
        let wanted = connectionLimit + OpenFileLimit.ownDescriptors
        // A server takes the hard limit.
        let finding =
            "a process may have \(limit.rlim_max); \(connectionLimit) connections and the store take \(wanted)"
        guard limit.rlim_max < rlim_t(wanted) else { return Diagnosis(.ok, "open files", finding) }
        return Diagnosis(
            .fail, "open files", finding,
            advice:
                "raise it ('ulimit -Hn', LimitNOFILE in the systemd unit), or lower the setting 'connections'"
        )
    }

    private func memory() -> Diagnosis {
        guard let machine = Self.availableMiB() else {
            return Diagnosis(.warn, "memory", "/proc/meminfo does not say", advice: "is /proc mounted?")
        }
        let bound = Self.boundMiB()
        let available = min(machine, bound ?? machine)
        let finding =
            "\(machine) MiB are available"
            + (bound.map { ", of which the control group takes \($0) MiB" } ?? "")
        guard available < Self.memoryMiB else { return Diagnosis(.ok, "memory", finding) }
        return Diagnosis(
            .warn, "memory", finding,
            advice:
                "a server under load takes up to \(Self.memoryMiB) MiB: give it more, or fewer connections")
    }

    /// Source: proc_meminfo(5), "MemAvailable".
    private static func availableMiB() -> Int? {
        guard let text = try? String(contentsOfFile: "/proc/meminfo", encoding: .utf8) else { return nil }
        let line = text.split(separator: "\n").first { $0.hasPrefix("MemAvailable:") }
        return line?.split(separator: " ").dropFirst().first.flatMap { Int($0) }.map { $0 / 1024 }
    }

    /// What the control group of this process may take, of version 2, as seen in a container; `nil` for no bound.
    private static func boundMiB() -> Int? {
        guard let text = try? String(contentsOfFile: "/sys/fs/cgroup/memory.max", encoding: .utf8) else {
            return nil
        }
        return Int(text.trimmingCharacters(in: .whitespacesAndNewlines)).map { $0 >> 20 }
    }

    /// Whether something keeps the clock right.
    static func clockKeeping() -> Diagnosis {
        switch holdfast_clock_is_synchronised() {
        case 1: Diagnosis(.ok, "clock keeping", "the clock is synchronised")
        case 0:
            Diagnosis(
                .warn, "clock keeping", "nothing synchronises the clock",
                advice: "run chrony or systemd-timesyncd: clients that are 15 minutes off are refused")
        default:
            Diagnosis(
                .warn, "clock keeping", "the kernel does not say: \(String(cString: strerror(errno)))",
                advice: "see that the host's clock is synchronised")
        }
    }
}
