import Foundation

extension Listeners {
    /// Where the sockets begin that a service manager hands over.
    private static let firstDescriptor: Int32 = 3

    /// The sockets that systemd listens on for this process: it keeps them while the process is started anew, so that whoever
    /// connects meanwhile waits.
    ///
    /// Source: sd_listen_fds(3). Of two names, `s3` and `admin`, each has its socket; without names that of S3 comes first.
    /// - Returns: `nil` if there are none for this process.
    /// - Throws: ``TakeoverError`` if they are not the two that a server has, or listen where the settings do not say.
    public static func activated(_ settings: ServerSettings, _ environment: [String: String]) throws
        -> Listeners?
    {
        guard environment["LISTEN_PID"] == String(getpid()),
            let count = environment["LISTEN_FDS"].flatMap({ Int32($0) }), count > 0
        else { return nil }
        let sockets = (0..<count).map { offset in
            Result { try ListeningSocket(adopting: firstDescriptor + offset) }
        }
        guard sockets.count == 2 else {
            throw TakeoverError(
                "the service manager hands over \(sockets.count) sockets: a server has two, for S3 and for the admin address"
            )
        }
        let names = (environment["LISTEN_FDNAMES"] ?? "").split(separator: ":").map(String.init)
        let isReversed = names == ["admin", "s3"]
        let listeners = Listeners(
            s3: try sockets[isReversed ? 1 : 0].get(), admin: try sockets[isReversed ? 0 : 1].get())
        for socket in [listeners.s3, listeners.admin] {
            guard fcntl(socket.descriptor, F_SETFD, FD_CLOEXEC) == 0 else {
                throw TakeoverError("a socket of the service manager: \(String(cString: strerror(errno)))")
            }
        }
        try listeners.requireMatch(settings)
        return listeners
    }
}
