import Foundation
import Model
import ObjectStore

/// A running server's sockets, as the process has them that takes over.
public final class Takeover: Sendable {
    /// Seconds that the running server may take to answer; it answers at once, or another takeover is under way.
    private static let answerSeconds = 130

    private let connection: TakeoverConnection
    private let listeners: Listeners
    /// Of the server that runs.
    public let release: String

    private init(_ connection: TakeoverConnection, _ listeners: Listeners, release: String) {
        self.connection = connection
        self.listeners = listeners
        self.release = release
    }

    /// Asks the server that has the store for its sockets.
    /// - Returns: `nil` if none runs.
    /// - Throws: ``TakeoverError`` with what it says, or if it is another user's.
    public static func begin(_ settings: ServerSettings) async throws -> Takeover? {
        let path = TakeoverSocket.path(settings.store.stateDirectory)
        return try await onThread("takeover") {
            guard let connection = try connect(path) else { return nil }
            try connection.requireOwner()
            try connection.setPatience(seconds: answerSeconds)
            try connection.send(TakeoverRequest(release: Release.name, takesConnections: true))
            guard let (line, descriptors) = try connection.receive() else {
                throw TakeoverError("the running server refuses a takeover: its log says why")
            }
            // Each belongs to a socket from here on, which closes it, or is closed at once.
            let sockets = descriptors.map { descriptor in Result { try ListeningSocket(adopting: descriptor) }
            }
            let offer = try JSONDecoder().decode(TakeoverOffer.self, from: Data(line.utf8))
            if let refusal = offer.refusal { throw TakeoverError(refusal) }
            guard sockets.count == 2 else {
                throw TakeoverError("the running server sent \(sockets.count) sockets, not 2")
            }
            let listeners = Listeners(s3: try sockets[0].get(), admin: try sockets[1].get())
            return Takeover(connection, listeners, release: offer.release)
        }
    }

    /// - Returns: `nil` if nobody listens there.
    private static func connect(_ path: String) throws -> TakeoverConnection? {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw TakeoverError("socket: \(String(cString: strerror(errno)))") }
        let connection = TakeoverConnection(descriptor)
        guard let status = withUnixAddress(path, { Glibc.connect(descriptor, $0, $1) }) else {
            throw TakeoverError("the path of the socket is too long: \(path)")
        }
        guard status == 0 else {
            if errno == ENOENT || errno == ECONNREFUSED { return nil }
            throw TakeoverError("\(path): \(String(cString: strerror(errno)))")
        }
        return connection
    }

    /// The sockets, if they are what settings ask for.
    /// - Throws: ``TakeoverError``, which names the setting that differs.
    public func matching(_ settings: ServerSettings) throws -> Listeners {
        try listeners.requireMatch(settings)
        return listeners
    }

    /// Tells the running server to stop, and returns when it has closed the store, or is gone.
    /// - Returns: the connections that it had with clients and that are between two requests. Those that this process may not
    ///   have open are closed.
    public func takeStore() async throws -> KeptConnections {
        let connection = connection
        let room = OpenFileLimit.roomForConnections
        return try await onThread("takeover") {
            try connection.setPatience(seconds: 0)
            try connection.send(.go)
            let kept = KeptConnections()
            while let (line, descriptors) = try connection.receive(), line != TakeoverWord.released.rawValue {
                let arrived = ConnectionSockets()
                arrived.add(descriptors)
                let message = try JSONDecoder().decode(TakeoverConnections.self, from: Data(line.utf8))
                kept[message.listener].add(arrived.take())
                kept[message.listener].keep(atMost: room)
            }
            return kept
        }
    }

    /// Tells the other process that it may end.
    public func confirm() throws { try connection.send(.serving) }
}
