import Foundation

/// How many files and sockets this process may have open.
public enum OpenFileLimit {
    /// Besides those of connections: volumes, log, catalog, blobs that are read and written.
    static let ownDescriptors = 512

    /// How many connections the process may have open, as it is limited now.
    static var roomForConnections: Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 0 }
        return Int(clamping: limit.rlim_cur) - min(Int(clamping: limit.rlim_cur), ownDescriptors)
    }

    /// Takes what the system would give: the soft limit is for programs that use `select`, which takes descriptors up to 1023
    /// alone, and this is none.
    /// - Returns: what keeps it from being raised; `nil` if nothing does.
    public static func raise() -> String? {
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(resource, &limit) == 0 else { return String(cString: strerror(errno)) }
        guard limit.rlim_cur < limit.rlim_max else { return nil }
        limit.rlim_cur = limit.rlim_max
        return setrlimit(resource, &limit) == 0 ? nil : String(cString: strerror(errno))
    }
}
