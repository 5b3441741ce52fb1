import CFileSystem
import Foundation
import Model
import Synchronization

/// The machine's own file system, through Linux system calls.
///
/// Interrupted calls are made again and short reads and writes continued; nothing else is retried, a failed
/// sync least of all.
public struct RealFileSystem: FileSystem {
    public init() {}

    public func open(
        _ path: String, _ options: OpenOptions, permissions: UInt16
    ) throws(FileSystemError) -> any File {
        var flags = O_CLOEXEC | (options.contains(.write) ? O_RDWR : O_RDONLY)
        if options.contains(.createNew) { flags |= O_CREAT | O_EXCL }
        if options.contains(.createIfMissing) { flags |= O_CREAT }
        let direct = options.contains(.direct) ? holdfast_o_direct : 0
        var descriptor = retrying { Glibc.open(path, flags | direct, mode_t(permissions)) }
        if descriptor < 0, errno == EINVAL, direct != 0 {
            // The file system has no direct access (tmpfs before Linux 6.5). O_EXCL may have created the file
            // already.
            let again = options.contains(.createNew) ? flags & ~O_EXCL : flags
            descriptor = retrying { Glibc.open(path, again, mode_t(permissions)) }
        }
        guard descriptor >= 0 else { throw FileSystemError("open", path) }
        return RealFile(descriptor: descriptor, path: path)
    }

    public func status(of path: String) throws(FileSystemError) -> FileStatus? {
        var information = stat()
        guard lstat(path, &information) == 0 else {
            if errno == ENOENT || errno == ENOTDIR { return nil }
            throw FileSystemError("lstat", path)
        }
        return FileStatus(
            kind: .init(mode: information.st_mode), size: UInt64(information.st_size),
            permissions: UInt16(information.st_mode & 0o7777), linkCount: Int(information.st_nlink),
            inode: UInt64(information.st_ino), device: UInt64(information.st_dev))
    }

    public func list(_ directory: String) throws(FileSystemError) -> [String] {
        guard let stream = opendir(directory) else { throw FileSystemError("opendir", directory) }
        defer { closedir(stream) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                guard errno == 0 else { throw FileSystemError("readdir", directory) }
                break
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { names.append(name) }
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    public func createDirectory(_ path: String, permissions: UInt16) throws(FileSystemError) {
        guard mkdir(path, mode_t(permissions)) == 0 else { throw FileSystemError("mkdir", path) }
    }

    public func removeDirectory(_ path: String) throws(FileSystemError) {
        guard rmdir(path) == 0 else { throw FileSystemError("rmdir", path) }
    }

    public func link(_ path: String, to newPath: String) throws(FileSystemError) {
        guard Glibc.link(path, newPath) == 0 else { throw FileSystemError("link", newPath) }
    }

    public func rename(_ path: String, to newPath: String) throws(FileSystemError) {
        guard Glibc.rename(path, newPath) == 0 else { throw FileSystemError("rename", path) }
    }

    public func remove(_ path: String) throws(FileSystemError) {
        guard unlink(path) == 0 else { throw FileSystemError("unlink", path) }
    }

    public func syncDirectory(_ path: String) throws(FileSystemError) {
        let descriptor = retrying { Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw FileSystemError("open", path) }
        defer { Glibc.close(descriptor) }
        guard fsync(descriptor) == 0 else { throw FileSystemError("fsync", path) }
    }

    public func lock(_ path: String) throws(FileSystemError) -> (any File)? {
        let descriptor = retrying { Glibc.open(path, O_RDWR | O_CREAT | O_CLOEXEC, mode_t(0o600)) }
        guard descriptor >= 0 else { throw FileSystemError("open", path) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            Glibc.close(descriptor)
            if code == EWOULDBLOCK { return nil }
            throw FileSystemError(operation: "flock", path: path, code: code)
        }
        return RealFile(descriptor: descriptor, path: path)
    }

    public func space(at path: String) throws(FileSystemError) -> (free: UInt64, total: UInt64) {
        var information = statvfs()
        guard statvfs(path, &information) == 0 else { throw FileSystemError("statvfs", path) }
        let unit = UInt64(information.f_frsize)
        return (UInt64(information.f_bavail) * unit, UInt64(information.f_blocks) * unit)
    }
}

extension FileSystemError {
    /// The error that `errno` tells of.
    init(_ operation: String, _ path: String, detail: String? = nil) {
        self.init(operation: operation, path: path, code: errno, detail: detail)
    }
}

private func retrying<Value: SignedInteger>(_ call: () -> Value) -> Value {
    while true {
        let result = call()
        if result >= 0 || errno != EINTR { return result }
    }
}

/// A file descriptor, closed with its last reference.
final class RealFile: File {
    let path: String
    private let descriptor: Atomic<Int32>

    init(descriptor: Int32, path: String) {
        self.descriptor = Atomic(descriptor)
        self.path = path
    }

    deinit { close() }

    /// -1 once the file is closed: the kernel then answers every call with `EBADF`.
    private var number: Int32 { descriptor.load(ordering: .relaxed) }

    func close() {
        let number = descriptor.exchange(-1, ordering: .relaxed)
        if number >= 0 { Glibc.close(number) }
    }

    func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(FileSystemError) -> Int {
        var done = 0
        while done < buffer.count {
            let count = retrying {
                pread(number, buffer.baseAddress! + done, buffer.count - done, off_t(offset) + off_t(done))
            }
            guard count >= 0 else { throw FileSystemError("pread", path) }
            if count == 0 { break }
            done += count
        }
        return done
    }

    func readIfCached(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(FileSystemError) -> Int? {
        var done = 0
        while done < buffer.count {
            let count = retrying {
                holdfast_pread_nowait(
                    number, buffer.baseAddress! + done, buffer.count - done, off_t(offset) + off_t(done))
            }
            if count < 0 {
                // EOPNOTSUPP: the file system cannot tell what is in memory.
                if errno == EAGAIN || errno == EOPNOTSUPP { return nil }
                throw FileSystemError("preadv2", path)
            }
            if count == 0 { break }
            done += count
        }
        return done
    }

    func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(FileSystemError) {
        var done = 0
        while done < buffer.count {
            let count = retrying {
                pwrite(number, buffer.baseAddress! + done, buffer.count - done, off_t(offset) + off_t(done))
            }
            if count < 0, errno == EINVAL, stopDirectAccess() { continue }
            guard count > 0 else {
                throw FileSystemError("pwrite", path, detail: "\(done) of \(buffer.count) bytes written")
            }
            done += count
        }
    }

    /// Some file systems take `O_DIRECT` when a file is opened and refuse it at the first write.
    private func stopDirectAccess() -> Bool {
        let flags = fcntl(number, F_GETFL)
        guard flags >= 0, flags & holdfast_o_direct != 0 else { return false }
        return fcntl(number, F_SETFL, flags & ~holdfast_o_direct) == 0
    }

    func allocate(size: UInt64) throws(FileSystemError) {
        guard size > 0 else { return }
        if holdfast_allocate(number, 0, off_t(size)) == 0 { return }
        guard errno == EOPNOTSUPP || errno == ENOSYS else { throw FileSystemError("fallocate", path) }
        if try self.size() < size { try truncate(to: size) }
    }

    func truncate(to size: UInt64) throws(FileSystemError) {
        guard retrying({ ftruncate(number, off_t(size)) }) == 0 else {
            throw FileSystemError("ftruncate", path)
        }
    }

    func size() throws(FileSystemError) -> UInt64 {
        var information = stat()
        guard fstat(number, &information) == 0 else { throw FileSystemError("fstat", path) }
        return UInt64(information.st_size)
    }

    func sync() throws(FileSystemError) {
        guard fdatasync(number) == 0 else { throw FileSystemError("fdatasync", path) }
    }

    func dropCache() throws(FileSystemError) {
        let code = holdfast_drop_cache(number)
        guard code == 0 else { throw FileSystemError(operation: "posix_fadvise", path: path, code: code) }
    }
}

extension FileStatus.Kind {
    /// - Parameter mode: as `stat(2)` tells it.
    init(mode: mode_t) {
        switch mode & S_IFMT {
        case S_IFREG: self = .file
        case S_IFDIR: self = .directory
        default: self = .other
        }
    }
}
