import Foundation
import Synchronization
import Volumes

/// A file of objects, to read, and to append to if it was opened so.
final class RemoteFileHandle: File {
    let path: String
    private let name: String
    private let fileSystem: ObjectFileSystem
    /// As it was when it was opened, where it was opened to read: no object changes.
    private let fixed: ObjectFileSystem.Contents?

    init(path: String, name: String, _ fileSystem: ObjectFileSystem, fixed: ObjectFileSystem.Contents?) {
        self.path = path
        self.name = name
        self.fileSystem = fileSystem
        self.fixed = fixed
    }

    private func contents() throws(FileSystemError) -> ObjectFileSystem.Contents {
        if let fixed { return fixed }
        guard let contents = try fileSystem.contents(ofFile: name) else {
            throw FileSystemError(operation: "open", path: path, code: ENOENT)
        }
        return contents
    }

    private func refuseUnlessWritten(_ operation: String) throws(FileSystemError) {
        guard fixed == nil else { throw FileSystemError(operation: operation, path: path, code: EBADF) }
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(FileSystemError) -> Int {
        try fileSystem.read(try contents(), into: buffer, at: offset)
    }

    func readIfCached(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(FileSystemError) -> Int? { nil }

    func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(FileSystemError) {
        try refuseUnlessWritten("pwrite")
        try fileSystem.append(buffer, to: name, at: offset)
    }

    func allocate(size: UInt64) throws(FileSystemError) {
        throw FileSystemError(
            operation: "fallocate", path: path, code: EOPNOTSUPP, detail: "objects do not grow by zeros")
    }

    func truncate(to size: UInt64) throws(FileSystemError) {
        try refuseUnlessWritten("ftruncate")
        try fileSystem.truncate(name, to: size)
    }

    func size() throws(FileSystemError) -> UInt64 { try contents().size }

    func sync() throws(FileSystemError) {
        if fixed == nil { try fileSystem.flush(name, above: ObjectFileSystem.appendByteCount) }
    }

    func dropCache() {}
    func close() {}
}

/// A new file: bytes in a scratch file, which become an object when the file is named or, if it has its name, synced.
final class StagedFileHandle: File {
    let path: String
    private let name: String
    private let file: any File
    private let fileSystem: ObjectFileSystem

    init(path: String, name: String, _ file: any File, _ fileSystem: ObjectFileSystem) {
        self.path = path
        self.name = name
        self.file = file
        self.fileSystem = fileSystem
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(FileSystemError) -> Int {
        try file.read(into: buffer, at: offset)
    }

    func readIfCached(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(FileSystemError) -> Int? { try file.readIfCached(into: buffer, at: offset) }

    func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(FileSystemError) {
        try file.write(buffer, at: offset)
    }

    func allocate(size: UInt64) throws(FileSystemError) { try file.allocate(size: size) }
    func truncate(to size: UInt64) throws(FileSystemError) { try file.truncate(to: size) }
    func size() throws(FileSystemError) -> UInt64 { try file.size() }
    /// The scratch file itself needs to outlive no crash.
    func sync() throws(FileSystemError) { try fileSystem.publishIfNamed(name) }
    func dropCache() throws(FileSystemError) { try file.dropCache() }
    /// Who opens it again reads the same scratch file.
    func close() {}
}
