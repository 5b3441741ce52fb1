import Foundation

/// What the system says of this process, under the names that Prometheus' own libraries have for it. Linux alone tells
/// it so; elsewhere the families have no samples.
struct ProcessMetrics {
    private(set) var residentBytes: Double?
    private(set) var virtualBytes: Double?
    private(set) var cpuSeconds: Double?
    private(set) var threads: Double?
    private(set) var openDescriptors: Double?
    private(set) var maximumDescriptors: Double?
    private(set) var startSeconds: Double?

    init() {
        readStatus()
        // An unreadable directory leaves the sample out. The one that lists is open while it does.
        openDescriptors = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd")).map {
            Double($0.count - 1)
        }
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            maximumDescriptors = Double(limit.rlim_cur)
        }
    }

    /// Source: proc(5), `/proc/pid/stat`.
    private mutating func readStatus() {
        // As above.
        guard let text = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8),
            let end = text.lastIndex(of: ")")
        else { return }
        // Fields from the third on: the second is the program's name, which may hold anything.
        let fields = text[text.index(after: end)...].split(separator: " ")
        func field(_ number: Int) -> Double? {
            fields.indices.contains(number - 3) ? Double(fields[number - 3]) : nil
        }
        let ticks = Double(sysconf(Int32(_SC_CLK_TCK)))
        if let user = field(14), let system = field(15) { cpuSeconds = (user + system) / ticks }
        threads = field(20)
        if let began = field(22), let boot = Self.bootSeconds { startSeconds = boot + began / ticks }
        virtualBytes = field(23)
        residentBytes = field(24).map { $0 * Double(sysconf(Int32(_SC_PAGESIZE))) }
    }

    /// When the machine began, since 1970, which the start of a process is counted from.
    private static let bootSeconds: Double? = {
        // As above.
        guard let text = try? String(contentsOfFile: "/proc/stat", encoding: .utf8),
            let line = text.split(separator: "\n").first(where: { $0.hasPrefix("btime ") })
        else { return nil }
        return Double(line.dropFirst(6))
    }()

    func add(to page: inout MetricPage) {
        page.gauge("process_resident_memory_bytes", "Memory of the process that is in RAM.", residentBytes)
        page.gauge("process_virtual_memory_bytes", "Address space of the process.", virtualBytes)
        page.counter(
            "process_cpu_seconds", "Processor time of the process, of user and system.",
            cpuSeconds.map { [([], $0)] } ?? [])
        page.gauge("process_threads", "Threads of the process.", threads)
        page.gauge("process_open_fds", "Open file descriptors.", openDescriptors)
        page.gauge("process_max_fds", "File descriptors that may be open at once.", maximumDescriptors)
        page.gauge("process_start_time_seconds", "When the process began, since 1970.", startSeconds)
    }
}
