import Glibc

/// A kept-alive connection with one request under way at a time, over a socket that does not block.
final class LoadConnection {
    enum Progress {
        case waitsToWrite
        case waitsToRead
        case complete
    }

    let descriptor: Int32
    private(set) var response = ResponseReader()
    private var head: [UInt8] = []
    private var body: UnsafeRawBufferPointer
    private var sent = 0
    /// Where in the measurement the request is: its number and, in nanoseconds, when it began.
    private(set) var request = 0
    private(set) var start: UInt64 = 0

    init(_ endpoint: Endpoint) throws {
        body = UnsafeRawBufferPointer(start: nil, count: 0)
        descriptor = try endpoint.connect()
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        guard fcntl(descriptor, F_SETFL, O_NONBLOCK) == 0 else { throw LoadError(call: "fcntl") }
    }

    deinit { close(descriptor) }

    /// Begins a request. `body` stays in place until it is complete.
    func begin(_ number: Int, head: [UInt8], body: UnsafeRawBufferPointer) throws -> Progress {
        request = number
        self.head = head
        self.body = body
        sent = 0
        response.reset()
        start = Clock.now
        return try write()
    }

    func write() throws -> Progress {
        while sent < head.count + body.count {
            let count = head.withUnsafeBytes { head in
                var parts = [iovec](repeating: iovec(), count: 2)
                let headSent = min(sent, head.count)
                let bodySent = sent - headSent
                parts[0] = part(head, from: headSent)
                parts[1] = part(body, from: bodySent)
                return writev(descriptor, parts, 2)
            }
            if count < 0 {
                if errno == EAGAIN { return .waitsToWrite }
                if errno == EINTR { continue }
                throw LoadError(call: "the server closed the connection during a request; writev")
            }
            sent += count
        }
        return .waitsToRead
    }

    private func part(_ bytes: UnsafeRawBufferPointer, from offset: Int) -> iovec {
        iovec(
            iov_base: bytes.baseAddress.map { UnsafeMutableRawPointer(mutating: $0 + offset) },
            iov_len: bytes.count - offset)
    }

    /// - Parameter scratch: the thread's own, since what is read is not kept.
    func read(_ scratch: UnsafeMutableRawBufferPointer) throws -> Progress {
        while true {
            let count = Glibc.read(descriptor, scratch.baseAddress, scratch.count)
            if count < 0 {
                if errno == EAGAIN { return .waitsToRead }
                if errno == EINTR { continue }
                throw LoadError(call: "read")
            }
            guard count > 0 else { throw LoadError("the server closed the connection before it answered") }
            if try response.take(UnsafeRawBufferPointer(rebasing: scratch[..<count])) { return .complete }
            // A read that did not fill the buffer took all there was.
            if count < scratch.count { return .waitsToRead }
        }
    }
}

/// An IPv4 address and port.
struct Endpoint: Sendable, CustomStringConvertible {
    let host: String
    let port: UInt16

    init?(_ text: String) {
        let address = text.hasPrefix("http://") ? text.dropFirst(7) : text[...]
        let halves = address.split(separator: ":")
        guard halves.count == 2, let port = UInt16(halves[1]) else { return nil }
        host = halves[0] == "localhost" ? "127.0.0.1" : String(halves[0])
        self.port = port
    }

    var description: String { "\(host):\(port)" }

    func connect() throws -> Int32 {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        guard inet_pton(AF_INET, host, &address.sin_addr) == 1 else {
            throw LoadError("'\(host)' is no IPv4 address")
        }
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw LoadError(call: "socket") }
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            let error = LoadError(call: "connect \(self)")
            close(descriptor)
            throw error
        }
        return descriptor
    }
}

enum Clock {
    /// Nanoseconds, monotonic.
    static var now: UInt64 { time(CLOCK_MONOTONIC) }
    /// Nanoseconds of processor time that this thread has used.
    static var thread: UInt64 { time(CLOCK_THREAD_CPUTIME_ID) }

    private static func time(_ clock: clockid_t) -> UInt64 {
        var value = timespec()
        clock_gettime(clock, &value)
        return UInt64(value.tv_sec) * 1_000_000_000 + UInt64(value.tv_nsec)
    }

    static func seconds(since start: UInt64) -> Double { Double(now - start) / 1e9 }
}
