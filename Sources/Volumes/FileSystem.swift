import Foundation
import Model

/// What went wrong with a file, in the terms of `errno`.
public struct FileSystemError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The call, as in its manual page: "open", "pwrite", "fsync" …
    public let operation: String
    public let path: String
    /// The value of `errno`: `EIO`, `ENOSPC`, `EROFS`, `ENOENT` …
    public let code: Int32
    /// More than the code says: "short write: 512 of 4096 bytes".
    public let detail: String?

    public init(operation: String, path: String, code: Int32, detail: String? = nil) {
        self.operation = operation
        self.path = path
        self.code = code
        self.detail = detail
    }

    public var description: String {
        let reason = String(cString: strerror(code))
        return "\(operation) \(path): \(reason)" + (detail.map { " (\($0))" } ?? "")
    }
}

/// How a file is opened.
public struct OpenOptions: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Writing as well as reading.
    public static let write = OpenOptions(rawValue: 1)
    /// Create the file; it is an error (`EEXIST`) if it is there.
    public static let createNew = OpenOptions(rawValue: 2)
    /// Create the file if it is not there.
    public static let createIfMissing = OpenOptions(rawValue: 4)
    /// Go around the page cache where the file system can; where it refuses, this is ignored.
    /// Offsets, counts and addresses must then be multiples of ``FileSystemAlignment/bytes``.
    public static let direct = OpenOptions(rawValue: 8)
}

public enum FileSystemAlignment {
    /// What direct reads and writes are aligned to.
    public static let bytes = 4096
}

public struct FileStatus: Hashable, Sendable {
    public enum Kind: Sendable { case file, directory, other }
    public let kind: Kind
    public let size: UInt64
    /// Permission bits, as in `chmod(2)`.
    public let permissions: UInt16
    public let linkCount: Int
    /// Identifies the file on its device, and the device.
    public let inode: UInt64
    public let device: UInt64

    public init(
        kind: Kind, size: UInt64, permissions: UInt16, linkCount: Int, inode: UInt64, device: UInt64
    ) {
        self.kind = kind
        self.size = size
        self.permissions = permissions
        self.linkCount = linkCount
        self.inode = inode
        self.device = device
    }
}

/// An open file. One thread at a time writes, syncs or closes it; any number may read it meanwhile.
public protocol File: AnyObject, Sendable {
    var path: String { get }

    /// Reads up to `buffer.count` bytes at `offset`; fewer only at the end of the file (the implementation
    /// loops over short reads). Returns the count.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(FileSystemError)
        -> Int

    /// Like ``read(into:at:)`` but only from memory: `nil` if that would wait for the device.
    func readIfCached(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64)
        throws(FileSystemError) -> Int?

    /// Writes all of `buffer` at `offset`, extending the file as needed.
    func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(FileSystemError)

    /// Reserves space for `0 ..< size` and makes the file at least that long; a file system that cannot
    /// reserve only makes it long.
    func allocate(size: UInt64) throws(FileSystemError)

    func truncate(to size: UInt64) throws(FileSystemError)

    func size() throws(FileSystemError) -> UInt64

    /// Makes the file's bytes and its size durable (`fdatasync`).
    ///
    /// After a failure the bytes may be lost whatever a later sync says: it is never retried on this file.
    func sync() throws(FileSystemError)

    /// Asks that the file's pages leave the page cache, so that the next read meets the device.
    func dropCache() throws(FileSystemError)

    /// Closes the descriptor. A second call does nothing.
    func close()
}

/// The calls that the store makes of a file system: the real one, or a simulated one that fails on demand.
///
/// Paths are absolute. What is created, linked, renamed or removed is durable once ``syncDirectory(_:)`` has
/// returned for the directory that names it.
public protocol FileSystem: Sendable {
    func open(_ path: String, _ options: OpenOptions, permissions: UInt16) throws(FileSystemError)
        -> any File
    /// Whether there is something at `path`, and what; `nil` if there is nothing.
    func status(of path: String) throws(FileSystemError) -> FileStatus?
    /// Names in a directory, without "." and "..", sorted by their bytes.
    func list(_ directory: String) throws(FileSystemError) -> [String]
    /// Creates one directory; `EEXIST` if there is something.
    func createDirectory(_ path: String, permissions: UInt16) throws(FileSystemError)
    func removeDirectory(_ path: String) throws(FileSystemError)
    /// Gives the file at `path` a second name; `EEXIST` if there is something at `newPath`.
    func link(_ path: String, to newPath: String) throws(FileSystemError)
    /// Renames, replacing what is at `newPath`.
    func rename(_ path: String, to newPath: String) throws(FileSystemError)
    func remove(_ path: String) throws(FileSystemError)
    /// Makes the directory's entries durable.
    func syncDirectory(_ path: String) throws(FileSystemError)
    /// Takes an exclusive lock that lasts until the returned file is closed or the process ends; `nil` if
    /// another process, or another lock of this one, holds it. Creates the file if it is missing.
    func lock(_ path: String) throws(FileSystemError) -> (any File)?
    /// Bytes that can still be written below `path`, and the size of its file system.
    func space(at path: String) throws(FileSystemError) -> (free: UInt64, total: UInt64)
}
