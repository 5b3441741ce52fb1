import CFileSystem
import Glibc

/// A file through plain system calls: what the machine does with nothing of ours in between.
final class RawFile: @unchecked Sendable {  // a descriptor, which never changes
    enum Access { case cached, direct }

    let path: String
    private let descriptor: Int32

    init(_ path: String, _ access: Access) throws {
        self.path = path
        let flags = O_RDWR | O_CREAT | O_CLOEXEC
        var descriptor = open(path, access == .direct ? flags | holdfast_o_direct : flags, 0o600)
        // A file system without direct access: measured as it would be used.
        if descriptor < 0, errno == EINVAL { descriptor = open(path, flags, 0o600) }
        guard descriptor >= 0 else { throw LoadError(call: "open \(path)") }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    func allocate(_ byteCount: Int) throws {
        guard holdfast_allocate(descriptor, 0, byteCount) == 0 || errno == EOPNOTSUPP else {
            throw LoadError(call: "fallocate \(path)")
        }
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws {
        guard pwrite(descriptor, bytes.baseAddress, bytes.count, offset) == bytes.count else {
            throw LoadError(call: "pwrite \(path)")
        }
    }

    /// - Returns: bytes read: fewer than asked at the end only.
    func read(_ bytes: UnsafeMutableRawBufferPointer, at offset: Int) throws -> Int {
        let count = pread(descriptor, bytes.baseAddress, bytes.count, offset)
        guard count >= 0 else { throw LoadError(call: "pread \(path)") }
        return count
    }

    func sync() throws {
        guard fdatasync(descriptor) == 0 else { throw LoadError(call: "fdatasync \(path)") }
    }

    /// Takes the file's pages out of the page cache; those that are not written back stay.
    func dropCache() throws {
        let code = holdfast_drop_cache(descriptor)
        guard code == 0 else { throw LoadError("posix_fadvise \(path): \(String(cString: strerror(code)))") }
    }

    /// Reads the whole file once, in order.
    /// - Returns: its length.
    func readAll(_ buffer: UnsafeMutableRawBufferPointer) throws -> Int {
        var offset = 0
        while case let count = try read(buffer, at: offset), count > 0 { offset += count }
        return offset
    }
}

/// One thread's buffer of 1 MiB, aligned as direct access needs it.
func withPieceBuffer<Value>(_ body: (UnsafeMutableRawBufferPointer) throws -> Value) rethrows -> Value {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
    defer { buffer.deallocate() }
    buffer.initializeMemory(as: UInt8.self, repeating: 0xA5)
    return try body(buffer)
}
