import CFileSystem
import Foundation
import Model

/// Why a server is not taken over from.
public struct TakeoverError: Error, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}

/// What the process that takes over says first. What follows, a word on each line, one process at a time:
///
///     new                                     old
///     TakeoverRequest  ─────────────────────►
///                      ◄─────────────────────  TakeoverOffer, with copies of the two listening sockets
///     (settings, keys and formats are looked at; anything wrong ends it here, and nothing has happened)
///     go               ─────────────────────►
///                                              answers what is under way, closes the store, lets its lock go
///                      ◄─────────────────────  TakeoverConnections, with copies of as many sockets that clients keep
///                      ◄─────────────────────  released
///     (opens the store, serves)
///     serving          ─────────────────────►  ends
///
/// Whoever connects in between waits in the queue of the sockets, which both have, and who keeps a connection in that
/// connection. If the connection ends before
/// `serving`, the new process has failed, and the old one opens the store again. If it ends before `released`, the old one
/// was killed, and its locks are gone with it.
struct TakeoverRequest: Codable {
    static let version = 1
    /// Of these messages.
    var takeover = Self.version
    let release: String
    /// Whether the process goes on with connections that clients keep; one that does not know how says nothing.
    var takesConnections: Bool?
}

struct TakeoverOffer: Codable {
    let release: String
    /// Where the sockets listen, in the order in which they come.
    let listen: String
    let admin: String
    /// Why there is nothing to be had; no sockets come then.
    var refusal: String?
}

/// Goes with connections of one listener, 1 to ``limit`` of them; there are as many of these messages as it takes.
struct TakeoverConnections: Codable {
    enum Listener: String, Codable { case s3, admin }

    /// How many descriptors one message carries.
    static let limit = Int(holdfast_descriptor_limit)

    let listener: Listener
}

enum TakeoverWord: String {
    case go, released, serving
}

/// One end of a connection by which a server is taken over. One thread at a time uses it; its calls wait.
final class TakeoverConnection: Sendable {
    /// Longer than any message.
    private static let lineLimit = 4096

    private let descriptor: Int32

    /// - Parameter descriptor: a connected Unix socket, which belongs to the connection from now on.
    init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { close(descriptor) }

    /// - Throws: ``TakeoverError`` unless the process at the other end runs as the same user as this one, or as root: who
    ///   can open the socket by its permissions is the owner of the store's directory, and this says so of the process.
    func requireOwner() throws {
        var user: UInt32 = 0
        let code = holdfast_peer_user(descriptor, &user)
        guard code == 0 else { throw failure("asking who is there", code) }
        guard user == geteuid() || user == 0 else {
            throw TakeoverError("user \(user) asks to take over a server of user \(geteuid())")
        }
    }

    /// - Parameter seconds: how long a line may take from now on; 0 for ever.
    func setPatience(seconds: Int) throws {
        var time = timeval(tv_sec: seconds, tv_usec: 0)
        let status = setsockopt(
            descriptor, SOL_SOCKET, SO_RCVTIMEO, &time, socklen_t(MemoryLayout<timeval>.size))
        guard status == 0 else { throw failure("setting its patience", errno) }
    }

    func send(_ word: TakeoverWord) throws { try send(line: word.rawValue) }

    func send(_ message: some Encodable, descriptors: [Int32] = []) throws {
        let line = try CommandJSON.line(message)
        guard !descriptors.isEmpty else { return try send(line: line) }
        let bytes = Array((line + "\n").utf8)
        let code = holdfast_send_descriptors(
            descriptor, bytes, bytes.count, descriptors, Int32(descriptors.count))
        guard code == 0 else { throw failure("sending the sockets", code) }
    }

    private func send(line: String) throws {
        let bytes = Array((line + "\n").utf8)
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress! + done, $0.count - done, Int32(MSG_NOSIGNAL))
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw failure("sending", errno) }
            done += count
        }
    }

    /// The next line, and the descriptors that came with it, which belong to the caller; `nil` at the end.
    func receive() throws -> (line: String, descriptors: [Int32])? {
        var line: [UInt8] = []
        var descriptors: [Int32] = []
        var found = [Int32](repeating: -1, count: TakeoverConnections.limit)
        do {
            while line.count < Self.lineLimit {
                var byte: UInt8 = 0
                var count = Int32(found.count)
                // A byte at a time: what comes behind the line stays for the next call.
                let received = holdfast_receive_descriptors(descriptor, &byte, 1, &found, &count)
                descriptors += found.prefix(Int(count))
                if received == 0 { break }
                guard received > 0 else { throw failure("waiting for the other process", errno) }
                guard byte != 0x0A else {
                    return (String(decoding: line, as: UTF8.self), descriptors)
                }
                line.append(byte)
            }
            guard line.isEmpty else { throw TakeoverError("the other process sent no whole line") }
        } catch {
            for descriptor in descriptors { close(descriptor) }
            throw error
        }
        for descriptor in descriptors { close(descriptor) }
        return nil
    }

    /// The next line.
    /// - Returns: whether it is the word; `false` if the connection ended instead.
    /// - Throws: ``TakeoverError`` for any other line.
    func receive(_ word: TakeoverWord) throws -> Bool {
        guard let (line, descriptors) = try receive() else { return false }
        for descriptor in descriptors { close(descriptor) }
        guard line == word.rawValue else {
            throw TakeoverError("the other process said '\(line.prefix(80))' in place of '\(word.rawValue)'")
        }
        return true
    }

    private func failure(_ step: String, _ code: Int32) -> TakeoverError {
        TakeoverError("\(step): \(String(cString: strerror(code)))")
    }
}

/// Runs what waits on a thread of its own: neither Swift's pool nor the workers of requests wait for another process.
func onThread<Value: Sendable>(_ name: String, _ body: @escaping @Sendable () throws -> Value) async throws
    -> Value
{
    try await withCheckedThrowingContinuation { continuation in
        let thread = Thread { continuation.resume(with: Result(catching: body)) }
        thread.name = name
        thread.start()
    }
}

/// Bytes that the path of a Unix socket may have: unix(7).
let unixPathLimit = MemoryLayout.size(ofValue: sockaddr_un().sun_path) - 1

/// The address of a Unix socket.
/// - Returns: `nil` if the path is longer than such an address takes.
func withUnixAddress<Value>(
    _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Value
) -> Value? {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let isSet = withUnsafeMutableBytes(of: &address.sun_path) { room in
        guard path.utf8.count <= unixPathLimit else { return false }
        room.copyBytes(from: path.utf8)
        return true
    }
    guard isSet else { return nil }
    return withUnsafePointer(to: &address) {
        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
            body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
    }
}
