import Foundation
import Model
import NIOCore
import Synchronization

/// Connections that clients keep, between two requests, as plain sockets: of no channel, and read by nobody. Their clients
/// notice nothing of it, for what they send waits in the kernel for the process that serves the socket next.
public struct KeptConnections: Sendable {
    let s3 = ConnectionSockets()
    let admin = ConnectionSockets()

    public init() {}

    public var count: Int { s3.count + admin.count }

    subscript(_ listener: TakeoverConnections.Listener) -> ConnectionSockets {
        switch listener {
        case .s3: s3
        case .admin: admin
        }
    }
}

/// Connected sockets, which belong to the object until they are taken from it, and are closed with it.
final class ConnectionSockets: Sendable {
    private let descriptors = Mutex<[Int32]>([])

    deinit { for descriptor in take() { close(descriptor) } }

    var count: Int { descriptors.withLock { $0.count } }

    func add(_ more: [Int32]) { descriptors.withLock { $0 += more } }

    /// Closes those beyond a number.
    func keep(atMost limit: Int) {
        let others = descriptors.withLock { all in
            defer { all.removeLast(max(0, all.count - limit)) }
            return all.dropFirst(limit)
        }
        for descriptor in others { close(descriptor) }
    }

    /// All of them, which belong to the caller from now on.
    func take() -> [Int32] { descriptors.withLock { exchange(&$0, with: []) } }

    /// Calls `body` with up to so many at a time, which stay where they are.
    func forEach(atMost count: Int, _ body: ([Int32]) throws -> Void) rethrows {
        let all = descriptors.withLock { $0 }
        for start in stride(from: 0, to: all.count, by: count) {
            try body(Array(all[start..<min(start + count, all.count)]))
        }
    }
}

/// Takes connections out of the channels of a listener that stops, for another process to go on with.
///
/// NIO tells nobody the descriptor of a channel. It is found by the addresses of both ends, which no other TCP socket of a
/// process has at the same time.
final class ConnectionHandover: Sendable {
    private let known: [ConnectionEnds: Int32]
    private let sockets: ConnectionSockets

    /// Finds the connections that there are now: whoever is accepted later stays where he is.
    /// - Parameter sockets: where they go.
    /// - Throws: if the process cannot see its descriptors.
    init(into sockets: ConnectionSockets) throws {
        var known: [ConnectionEnds: Int32] = [:]
        for name in try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
            guard let descriptor = Int32(name), let ends = ConnectionEnds(descriptor) else { continue }
            known[ends] = descriptor
        }
        self.known = known
        self.sockets = sockets
    }

    /// Keeps a copy of a channel's socket; the channel is to be closed then, which leaves the connection open. Called on its
    /// event loop, so that nobody closes it meanwhile.
    /// - Returns: `false` if the connection cannot be had, or the process may open no more files.
    func take(_ channel: any Channel) -> Bool {
        guard let local = channel.localAddress, let remote = channel.remoteAddress else { return false }
        let ends = ConnectionEnds(local: local, remote: remote)
        guard let descriptor = known[ends] else { return false }
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        guard copy >= 0 else { return false }
        // The number may have become another file's since it was looked up.
        guard ConnectionEnds(copy) == ends else {
            close(copy)
            return false
        }
        sockets.add([copy])
        return true
    }
}

/// The addresses of a TCP connection.
private struct ConnectionEnds: Hashable {
    let local: SocketAddress
    let remote: SocketAddress

    init(local: SocketAddress, remote: SocketAddress) {
        self.local = local
        self.remote = remote
    }

    /// - Returns: `nil` for what is no connected TCP socket.
    init?(_ descriptor: Int32) {
        var kind: Int32 = 0
        var length = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &kind, &length) == 0,
            kind == Int32(SOCK_STREAM.rawValue), let remote = SocketAddress(of: descriptor, getpeername),
            let local = SocketAddress(of: descriptor, getsockname)
        else { return nil }
        self.init(local: local, remote: remote)
    }
}

extension SocketAddress {
    /// The address that a socket has, as `getsockname` tells it, or its other end, as `getpeername` does.
    /// - Returns: `nil` if the descriptor has no such address, or one of another family than IP.
    init?(
        of descriptor: Int32,
        _ ask: (Int32, UnsafeMutablePointer<sockaddr>, UnsafeMutablePointer<socklen_t>) -> Int32
    ) {
        var storage = sockaddr_storage()
        var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let status = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { ask(descriptor, $0, &length) }
        }
        guard status == 0 else { return nil }
        let address: SocketAddress? = withUnsafeBytes(of: storage) { bytes in
            switch Int32(storage.ss_family) {
            case AF_INET: SocketAddress(bytes.loadUnaligned(as: sockaddr_in.self))
            case AF_INET6: SocketAddress(bytes.loadUnaligned(as: sockaddr_in6.self))
            default: nil
            }
        }
        guard let address else { return nil }
        self = address
    }
}
