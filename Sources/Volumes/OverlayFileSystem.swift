import Foundation
import Synchronization

/// A file system that shows another one and keeps every change in memory: what is below stays as it is.
///
/// A check of a stopped store opens it through this, so that opening, which mends what a crash left, changes
/// nothing on disk. Renaming a directory is not supported: the store never does.
public final class OverlayFileSystem: FileSystem {
    private enum Node {
        case file(OverlayContents)
        case directory
        case removed
    }

    private let base: any FileSystem
    /// Paths that differ from the file system below.
    private let nodes = Mutex<[String: Node]>([:])

    public init(over base: any FileSystem) { self.base = base }

    private func error(_ operation: String, _ path: String, _ code: Int32) -> FileSystemError {
        FileSystemError(operation: operation, path: path, code: code)
    }

    private func node(_ path: String) -> Node? { nodes.withLock { $0[path] } }

    public func open(_ path: String, _ options: OpenOptions, permissions: UInt16) throws(FileSystemError)
        -> any File
    {
        switch node(path) {
        case .file(let contents):
            if options.contains(.createNew) { throw error("open", path, EEXIST) }
            return OverlayFile(path: path, contents: contents)
        case .directory: throw error("open", path, EISDIR)
        case .removed, nil: break
        }
        let isBelow = node(path) == nil ? try base.status(of: path) : nil
        if isBelow != nil {
            if options.contains(.createNew) { throw error("open", path, EEXIST) }
            guard options.contains(.write) else {
                return try base.open(path, options, permissions: permissions)
            }
            let file = try base.open(path, [], permissions: 0)
            let contents = OverlayContents(base: file, size: try file.size())
            nodes.withLock { $0[path] = .file(contents) }
            return OverlayFile(path: path, contents: contents)
        }
        guard options.contains(.createNew) || options.contains(.createIfMissing) else {
            throw error("open", path, ENOENT)
        }
        let contents = OverlayContents(base: nil, size: 0)
        nodes.withLock { $0[path] = .file(contents) }
        return OverlayFile(path: path, contents: contents)
    }

    public func status(of path: String) throws(FileSystemError) -> FileStatus? {
        switch node(path) {
        case .file(let contents):
            let inode = UInt64(UInt(bitPattern: ObjectIdentifier(contents).hashValue))
            return FileStatus(
                kind: .file, size: contents.size, permissions: 0o600, linkCount: 1, inode: inode, device: 0)
        case .directory:
            return FileStatus(
                kind: .directory, size: 0, permissions: 0o755, linkCount: 2, inode: 0, device: 0)
        case .removed: return nil
        case nil: return try base.status(of: path)
        }
    }

    public func list(_ directory: String) throws(FileSystemError) -> [String] {
        var names: Set<String>
        switch node(directory) {
        case .file: throw error("list", directory, ENOTDIR)
        case .removed: throw error("list", directory, ENOENT)
        case .directory: names = []
        case nil: names = Set(try base.list(directory))
        }
        for (path, node) in nodes.withLock({ $0 }) where parent(of: path) == directory {
            let name = String(path[path.index(after: path.lastIndex(of: "/") ?? path.startIndex)...])
            if case .removed = node { names.remove(name) } else { names.insert(name) }
        }
        return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    public func createDirectory(_ path: String, permissions: UInt16) throws(FileSystemError) {
        guard try status(of: path) == nil else { throw error("mkdir", path, EEXIST) }
        nodes.withLock { $0[path] = .directory }
    }

    public func removeDirectory(_ path: String) throws(FileSystemError) {
        guard try list(path).isEmpty else { throw error("rmdir", path, ENOTEMPTY) }
        nodes.withLock { $0[path] = .removed }
    }

    /// Both names have the same contents from here on.
    public func link(_ path: String, to newPath: String) throws(FileSystemError) {
        guard try status(of: newPath) == nil else { throw error("link", newPath, EEXIST) }
        let contents = try contents(of: path, "link")
        nodes.withLock {
            $0[path] = .file(contents)
            $0[newPath] = .file(contents)
        }
    }

    public func rename(_ path: String, to newPath: String) throws(FileSystemError) {
        let contents = try contents(of: path, "rename")
        nodes.withLock {
            $0[path] = .removed
            $0[newPath] = .file(contents)
        }
    }

    private func contents(of path: String, _ operation: String) throws(FileSystemError) -> OverlayContents {
        switch node(path) {
        case .file(let contents): return contents
        case .directory: throw error(operation, path, EISDIR)
        case .removed: throw error(operation, path, ENOENT)
        case nil:
            let file = try base.open(path, [], permissions: 0)
            return OverlayContents(base: file, size: try file.size())
        }
    }

    public func remove(_ path: String) throws(FileSystemError) {
        guard try status(of: path) != nil else { throw error("unlink", path, ENOENT) }
        nodes.withLock { $0[path] = .removed }
    }

    public func syncDirectory(_ path: String) throws(FileSystemError) {}

    /// The lock of the file system below, which is the one change that is made there.
    public func lock(_ path: String) throws(FileSystemError) -> (any File)? { try base.lock(path) }

    public func space(at path: String) throws(FileSystemError) -> (free: UInt64, total: UInt64) {
        try base.space(at: path)
    }
}

/// A file's bytes: those below, and the pages that were written since.
private final class OverlayContents: Sendable {
    static let pageSize = 4096

    private struct State {
        var pages: [UInt64: [UInt8]] = [:]
        var size: UInt64
        /// Bytes of the file below that count; what is behind was cut off, and is zero if it grows again.
        var baseSize: UInt64
    }

    private let base: (any File)?
    private let state: Mutex<State>

    init(base: (any File)?, size: UInt64) {
        self.base = base
        state = Mutex(State(size: size, baseSize: size))
    }

    var size: UInt64 { state.withLock { $0.size } }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(FileSystemError) -> Int {
        let (size, baseSize) = state.withLock { ($0.size, $0.baseSize) }
        guard offset < size else { return 0 }
        let count = Int(min(UInt64(buffer.count), size - offset))
        let room = UnsafeMutableRawBufferPointer(rebasing: buffer[0..<count])
        room.initializeMemory(as: UInt8.self, repeating: 0)
        if let base, offset < baseSize {
            let below = Int(min(UInt64(count), baseSize - offset))
            _ = try base.read(into: UnsafeMutableRawBufferPointer(rebasing: room[0..<below]), at: offset)
        }
        state.withLock { state in
            guard !state.pages.isEmpty else { return }
            var page = offset / UInt64(Self.pageSize)
            while page * UInt64(Self.pageSize) < offset + UInt64(count) {
                if let bytes = state.pages[page] {
                    Self.overlap(page, offset, count) { inPage, inBuffer, length in
                        for index in 0..<length { room[inBuffer + index] = bytes[inPage + index] }
                    }
                }
                page += 1
            }
        }
        return count
    }

    func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(FileSystemError) {
        let first = offset / UInt64(Self.pageSize)
        let end = offset + UInt64(buffer.count)
        var page = first
        while page * UInt64(Self.pageSize) < end {
            // What the page holds so far, from whichever side, then the new bytes.
            var bytes = [UInt8](repeating: 0, count: Self.pageSize)
            let failure = bytes.withUnsafeMutableBytes { room -> FileSystemError? in
                do throws(FileSystemError) {
                    _ = try read(into: room, at: page * UInt64(Self.pageSize))
                    return nil
                } catch { return error }
            }
            if let failure { throw failure }
            Self.overlap(page, offset, buffer.count) { inPage, inBuffer, length in
                for index in 0..<length { bytes[inPage + index] = buffer[inBuffer + index] }
            }
            let filled = bytes
            state.withLock { state in
                // A page of zeros behind the file's end is what would be read there anyhow.
                let isBehind = page * UInt64(Self.pageSize) >= state.baseSize
                if isBehind, state.pages[page] == nil, filled.allSatisfy({ $0 == 0 }) { return }
                state.pages[page] = filled
            }
            page += 1
        }
        state.withLock { $0.size = max($0.size, end) }
    }

    func truncate(to size: UInt64) {
        state.withLock { state in
            state.size = size
            state.baseSize = min(state.baseSize, size)
            state.pages = state.pages.filter { $0.key * UInt64(Self.pageSize) < size }
            let last = size / UInt64(Self.pageSize)
            if var bytes = state.pages[last] {
                for index in Int(size % UInt64(Self.pageSize))..<Self.pageSize { bytes[index] = 0 }
                state.pages[last] = bytes
            }
        }
    }

    func grow(to size: UInt64) { state.withLock { $0.size = max($0.size, size) } }

    /// The part that a page and a run of bytes have in common, as offsets into each.
    private static func overlap(
        _ page: UInt64, _ offset: UInt64, _ count: Int, _ body: (Int, Int, Int) -> Void
    ) {
        let start = page * UInt64(pageSize)
        let low = max(start, offset)
        let high = min(start + UInt64(pageSize), offset + UInt64(count))
        guard low < high else { return }
        body(Int(low - start), Int(low - offset), Int(high - low))
    }
}

private final class OverlayFile: File {
    let path: String
    private let contents: OverlayContents

    init(path: String, contents: OverlayContents) {
        self.path = path
        self.contents = contents
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(FileSystemError) -> Int {
        try contents.read(into: buffer, at: offset)
    }

    func readIfCached(
        into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(FileSystemError) -> Int? { nil }

    func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(FileSystemError) {
        try contents.write(buffer, at: offset)
    }

    func allocate(size: UInt64) { contents.grow(to: size) }
    func truncate(to size: UInt64) { contents.truncate(to: size) }
    func size() -> UInt64 { contents.size }
    func sync() {}
    func dropCache() {}
    func close() {}
}
