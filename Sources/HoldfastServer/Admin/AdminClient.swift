import Foundation

/// Asks the server that has a store to carry out a command.
public enum AdminClient {
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    /// - Returns: the command's exit status; `nil` if no server listens there.
    /// - Throws: ``Failure`` with what the server says, or if the server ends before the command does.
    public static func run(
        _ command: StoreCommand, socket path: String, _ output: any CommandOutput
    ) throws -> Int32? {
        guard let descriptor = try connect(path) else { return nil }
        let handle = FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
        try handle.write(contentsOf: Data((try CommandJSON.line(command) + "\n").utf8))
        var received = Data()
        while let chunk = try next(descriptor) {
            received.append(chunk)
            while let end = received.firstIndex(of: 0x0A) {
                let message = try JSONDecoder().decode(AdminMessage.self, from: received[..<end])
                received.removeSubrange(...end)
                if let line = message.line { try output.line(line) }
                if let part = message.progress { output.progress(part) }
                if let failure = message.failure { throw Failure(description: failure) }
                if let status = message.exit { return status }
            }
        }
        throw Failure(description: "the server ended before the command did")
    }

    /// What has come, as soon as something has; `nil` at the end. (`FileHandle.read` waits until it has all that it
    /// may read.)
    private static func next(_ descriptor: Int32) throws -> Data? {
        var buffer = Data(count: 64 * 1024)
        while true {
            let count = buffer.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count >= 0 { return count == 0 ? nil : buffer.prefix(count) }
            guard errno == EINTR else {
                throw Failure(description: "the admin socket: \(String(cString: strerror(errno)))")
            }
        }
    }

    private static func connect(_ path: String) throws -> Int32? {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else {
            throw Failure(description: "socket: \(String(cString: strerror(errno)))")
        }
        guard let status = withUnixAddress(path, { Glibc.connect(descriptor, $0, $1) }) else {
            close(descriptor)
            throw Failure(description: "the path of the socket is too long: \(path)")
        }
        guard status == 0 else {
            let code = errno
            close(descriptor)
            if code == ENOENT || code == ECONNREFUSED { return nil }
            throw Failure(description: "\(path): \(String(cString: strerror(code)))")
        }
        return descriptor
    }
}
