import Foundation
import Logging
import Model
import ObjectStore
import Synchronization
import Volumes

/// The Unix socket by which another process takes over from the server that has the store: `takeover.sock` of the state
/// directory, which is its owner's alone.
///
/// One takeover at a time is talked about, on a thread of its own; one that is agreed on ends the thread, for the server
/// stops then. Nobody but the process that has the store's lock binds the socket.
final class TakeoverSocket: Sendable {
    /// Seconds that the other process may take for its request, and for looking at settings and formats.
    private static let requestSeconds = 10
    private static let preparationSeconds = 120

    private let descriptor: Int32
    private let path: String
    private let listeners: Listeners
    private let logger: Logger
    private let agreed: @Sendable (TakeoverHandover) -> Void
    private let isOpen = Mutex(true)

    static func path(_ stateDirectory: String) -> String { stateDirectory + "/takeover.sock" }

    /// - Parameter agreed: called once, on the socket's thread, when another process is ready to take over.
    /// - Throws: ``TakeoverError``, ``FileSystemError``.
    init(
        path: String, _ listeners: Listeners, _ logger: Logger,
        agreed: @escaping @Sendable (TakeoverHandover) -> Void
    ) throws {
        self.path = path
        self.listeners = listeners
        self.logger = logger
        self.agreed = agreed
        func failure(_ step: String) -> TakeoverError {
            TakeoverError("\(step) \(path): \(String(cString: strerror(errno)))")
        }
        // The store's lock is ours: a socket that is there was left by a server that was killed, or is one that ends.
        let fileSystem = RealFileSystem()
        if try fileSystem.status(of: path) != nil { try fileSystem.remove(path) }
        let made = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard made >= 0 else { throw failure("socket") }
        guard let status = withUnixAddress(path, { Glibc.bind(made, $0, $1) }) else {
            close(made)
            throw TakeoverError("the path of the socket is too long: \(path)")
        }
        guard status == 0, chmod(path, 0o600) == 0, listen(made, 4) == 0 else {
            let error = failure("listening at")
            close(made)
            throw error
        }
        descriptor = made
        let thread = Thread { [self] in
            run()
            isOpen.withLock { isOpen in
                isOpen = false
                close(descriptor)
            }
        }
        thread.name = "takeover"
        thread.start()
    }

    /// Takes no more requests; the thread ends, and closes the socket. Called while the store's lock is held: the name is
    /// nobody else's yet.
    func stop() {
        // The number is another file's as soon as it is closed.
        isOpen.withLock { if $0 { shutdown(descriptor, Int32(SHUT_RDWR)) } }
        do throws(FileSystemError) { try RealFileSystem().remove(path) } catch {
            guard error.code != ENOENT else { return }
            logger.warning("\(error)")
        }
    }

    private func run() {
        while true {
            let accepted = accept(descriptor, nil, nil)
            guard accepted >= 0, fcntl(accepted, F_SETFD, FD_CLOEXEC) == 0 else {
                if errno == EINTR || errno == ECONNABORTED { continue }
                // EINVAL is what `stop` makes of it.
                if errno != EINVAL { logger.error("\(path): \(String(cString: strerror(errno)))") }
                return
            }
            do {
                if let handover = try agree(TakeoverConnection(accepted)) { return agreed(handover) }
                logger.notice("a takeover was begun and given up by the other process")
            } catch {
                logger.warning("a takeover was refused or given up: \(error)")
            }
        }
    }

    /// - Returns: `nil` if the other process went away without a word.
    private func agree(_ connection: TakeoverConnection) throws -> TakeoverHandover? {
        try connection.requireOwner()
        try connection.setPatience(seconds: Self.requestSeconds)
        guard let (line, descriptors) = try connection.receive() else { return nil }
        for descriptor in descriptors { close(descriptor) }
        let request = try JSONDecoder().decode(TakeoverRequest.self, from: Data(line.utf8))
        var offer = TakeoverOffer(
            release: Release.name, listen: listeners.s3.endpoint.description,
            admin: listeners.admin.endpoint.description)
        guard request.takeover == TakeoverRequest.version else {
            let reason =
                "release \(request.release) takes over in way \(request.takeover), and release \(Release.name) knows way \(TakeoverRequest.version): stop the server and start the other"
            offer.refusal = reason
            try connection.send(offer)
            throw TakeoverError(reason)
        }
        try connection.send(offer, descriptors: [listeners.s3.descriptor, listeners.admin.descriptor])
        try connection.setPatience(seconds: Self.preparationSeconds)
        guard try connection.receive(.go) else { return nil }
        return TakeoverHandover(connection, request, logger)
    }
}

/// A takeover that is agreed on, as the process has it that serves and is to end.
public final class TakeoverHandover: Sendable {
    private let connection: TakeoverConnection
    /// Of the other process.
    public let release: String
    /// Whether the other process goes on with connections that clients keep.
    public let takesConnections: Bool
    private let logger: Logger

    init(_ connection: TakeoverConnection, _ request: TakeoverRequest, _ logger: Logger) {
        self.connection = connection
        self.logger = logger
        release = request.release
        takesConnections = request.takesConnections ?? false
    }

    /// Says that the store is closed and its lock free, and waits until the other process serves. That takes as long as
    /// opening the store does; whoever does not want to wait ends the other process.
    /// - Parameter kept: copies of them are sent.
    /// - Returns: whether it serves; if not, it has ended, and the store is to be served here again.
    public func handOver(_ kept: KeptConnections) async throws -> Bool {
        let connection = connection
        return try await onThread("takeover") { [self] in
            try connection.setPatience(seconds: 0)
            do { try send(kept) } catch {
                // If the other process is gone, what follows says so; if not, it serves without them.
                logger.error("connections that clients keep are closed and not handed over: \(error)")
            }
            try connection.send(.released)
            return try connection.receive(.serving)
        }
    }

    private func send(_ kept: KeptConnections) throws {
        for listener in [TakeoverConnections.Listener.s3, .admin] {
            try kept[listener].forEach(atMost: TakeoverConnections.limit) {
                try connection.send(TakeoverConnections(listener: listener), descriptors: $0)
            }
        }
    }
}
