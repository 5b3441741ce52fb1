import Foundation
import NIOCore
import NIOPosix
import ObjectStore
import Synchronization

/// A TCP socket that clients connect to, apart from the channel that accepts from it: channels come and go, of this
/// process and of the one that takes over from it, and what connects meanwhile waits in the kernel's queue.
public final class ListeningSocket: Sendable {
    /// Connections that the kernel keeps while nobody accepts them.
    private static let backlog: Int32 = 4096

    private let number: Atomic<Int32>
    let address: SocketAddress

    private init(descriptor: Int32, address: SocketAddress) {
        number = Atomic(descriptor)
        self.address = address
    }

    deinit { close() }

    /// -1 once it is closed: the kernel then answers every call with `EBADF`.
    var descriptor: Int32 { number.load(ordering: .relaxed) }

    /// Refuses whoever connects from now on, if no other process has the socket as well. A second call does nothing.
    func close() {
        let descriptor = number.exchange(-1, ordering: .relaxed)
        if descriptor >= 0 { Glibc.close(descriptor) }
    }

    /// Why nobody can be listened to at an address.
    struct AddressFailure: Error, CustomStringConvertible {
        let address: ServerSettings.Endpoint
        let reason: String
        var description: String { "cannot listen on \(address): \(reason)" }
    }

    /// Takes an address; who connects is refused until a channel listens.
    /// - Throws: ``AddressFailure`` if it cannot be had.
    static func bind(_ endpoint: ServerSettings.Endpoint) throws -> ListeningSocket {
        func failure(_ code: Int32) -> AddressFailure {
            AddressFailure(address: endpoint, reason: String(cString: strerror(code)))
        }
        let wanted: SocketAddress
        do { wanted = try SocketAddress.makeAddressResolvingHost(endpoint.host, port: endpoint.port) } catch {
            throw AddressFailure(address: endpoint, reason: "the host is not known: \(error)")
        }
        let descriptor = socket(
            wanted.protocol == .inet6 ? AF_INET6 : AF_INET,
            Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw failure(errno) }
        var reuse: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &reuse, socklen_t(MemoryLayout<Int32>.size))
        let status = wanted.withSockAddr { Glibc.bind(descriptor, $0, socklen_t($1)) }
        guard status == 0 else {
            let code = errno
            Glibc.close(descriptor)
            throw failure(code)
        }
        do { return try ListeningSocket(adopting: descriptor) } catch {
            throw AddressFailure(address: endpoint, reason: "\(error)")
        }
    }

    /// A socket that is bound, from wherever it came; it belongs to the new object, or is closed.
    /// - Throws: ``TakeoverError`` if it is no bound TCP socket.
    convenience init(adopting descriptor: Int32) throws {
        var kind: Int32 = 0
        var kindLength = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_TYPE, &kind, &kindLength) == 0,
            kind == Int32(SOCK_STREAM.rawValue), let address = SocketAddress(of: descriptor, getsockname)
        else {
            Glibc.close(descriptor)
            throw TakeoverError("descriptor \(descriptor) is no bound TCP socket")
        }
        self.init(descriptor: descriptor, address: address)
    }

    /// A channel that accepts from the socket. Closing it leaves the socket, and who waits in its queue, as they are.
    /// - Throws: ``AddressFailure`` if another process has come to listen on the address.
    func serve(_ bootstrap: ServerBootstrap) async throws -> any Channel {
        func failure(_ code: Int32) -> AddressFailure {
            AddressFailure(address: endpoint, reason: String(cString: strerror(code)))
        }
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 0)
        guard copy >= 0 else { throw failure(errno) }
        let channel: any Channel
        do { channel = try await bootstrap.withBoundSocket(copy).get() } catch let error as IOError {
            throw failure(error.errnoCode)
        }
        // NIO has listened with a queue of its own choice for a socket that it did not make.
        guard listen(descriptor, Self.backlog) == 0 else {
            let code = errno
            try await channel.close().get()
            throw failure(code)
        }
        return channel
    }

    /// As the settings and the output write it.
    var endpoint: ServerSettings.Endpoint { .init(host: address.ipAddress ?? "", port: address.port ?? 0) }
}

/// The sockets that a server listens on: they outlive it, and can be handed to the process that takes over from it.
public struct Listeners: Sendable {
    let s3: ListeningSocket
    let admin: ListeningSocket

    /// - Throws: with the address that cannot be had.
    public static func bind(_ settings: ServerSettings) throws -> Listeners {
        Listeners(s3: try .bind(settings.listen), admin: try .bind(settings.admin))
    }

    /// Takes addresses and finds the store free, of a server that is perhaps just ending.
    /// - Throws: with the address that cannot be had, or that another process has the store, after `patience`.
    public static func bindWhenFree(_ settings: ServerSettings, patience: Duration) async throws -> Listeners
    {
        let end = ContinuousClock.now + patience
        while true {
            let bound = Result { try bind(settings) }
            if let listeners = try? bound.get() {
                try await StoreLock.waitUntilFree(settings.store, deadline: end - ContinuousClock.now)
                return listeners
            }
            // Nobody who has the store has the address: whoever has it keeps it.
            guard try !StoreLock.isFree(settings.store), ContinuousClock.now < end else {
                return try bound.get()
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    /// Whether they are what settings ask for; port 0 takes any.
    /// - Throws: ``TakeoverError``, which names the setting that differs.
    func requireMatch(_ settings: ServerSettings) throws {
        for (name, wanted, socket) in [
            (SettingName.listen, settings.listen, s3), (SettingName.admin, settings.admin, admin),
        ] where wanted.port != 0 {
            let address = try? SocketAddress.makeAddressResolvingHost(wanted.host, port: wanted.port)
            guard address == socket.address else {
                throw TakeoverError(
                    "setting '\(name.rawValue)' is \(wanted), and the socket that was handed over listens on \(socket.endpoint): a takeover keeps the addresses, stop the server and start it again to change them"
                )
            }
        }
    }
}
