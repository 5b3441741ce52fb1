import Digests
import Foundation
import Model
import Synchronization
import Volumes

/// A file system that keeps its files as objects at an S3 endpoint, as far as a repository needs one.
///
/// A file is an object; a new one is gathered in a scratch file, and put when it is given its name: what stands in
/// `incoming/`, or ends in `.new`, is never an object. What is appended to a file becomes an object beside the first,
/// named by where it begins; appends wait in memory until there are enough of them. Before anything that is no blob is
/// put, everything that waits is: so a manifest is the last object of its snapshot, and a process that ends before leaves
/// a log that is shorter, and blobs that nobody needs yet. No object is ever written again,
/// but a segment of the log that is written afresh, and one whose damaged end is cut off: put whole, before what it takes the
/// place of is removed.
///
/// Its objects are listed once, when it is first used, and known from then on: one process at a time uses a repository,
/// which a lock on this machine makes sure of. Calls wait for the endpoint on the caller's thread.
public final class ObjectFileSystem: RetainingFileSystem, PastFileSystem, StrayKeepingFileSystem {
    /// Bytes of appends to one file that wait.
    static let appendByteCount = 8 * 1024 * 1024

    /// What a file had when it was asked for.
    struct Contents {
        let extents: [Extent]
        let appended: [UInt8]

        var stored: UInt64 { extents.last?.end ?? 0 }
        var size: UInt64 { stored + UInt64(appended.count) }
    }

    struct State {
        var tree: RemoteTree?
        var appended: [String: [UInt8]] = [:]
        /// Scratch files by the name of the file that they are; each has no name of its own any more.
        var staged: [String: any File] = [:]
        var madeDirectories: Set<String> = []
        var lock: (any File)?
        var isBusy = false
        /// `.some(nil)`: nothing is locked.
        var objectLock: ObjectLock??
    }

    let client: S3Client
    let location: S3Location
    let root: String
    private let scratch: String
    private let cache = BlockCache()
    let state = Mutex(State())

    /// - Parameter scratch: a directory of a real file system, which takes one blob at a time.
    package init(_ client: S3Client, scratch: String = FileManager.default.temporaryDirectory.path) {
        self.client = client
        location = client.location
        root = client.location.directory
        self.scratch = scratch
    }

    /// The repository at a place, with the keys that there are for it.
    /// - Throws: ``S3LocationError``, ``FileSystemError``.
    public convenience init(_ location: S3Location) throws {
        self.init(try S3Client(location, try S3Credentials.find(for: location)))
    }

    // MARK: Names

    func name(_ path: String) throws(FileSystemError) -> String {
        if path == root { return "" }
        guard path.hasPrefix(root + "/") else {
            throw FileSystemError(
                operation: "open", path: path, code: EINVAL, detail: "it is not below \(root)")
        }
        return String(path.dropFirst(root.utf8.count + 1))
    }

    func key(_ name: String) -> String { location.prefix.isEmpty ? name : "\(location.prefix)/\(name)" }

    /// Whether it is no object yet: also a segment of the log that is to take another's place.
    func isUnnamed(_ name: String) -> Bool {
        name.hasPrefix("incoming/") || name.hasSuffix(".new") || name == "log/copy"
    }

    private func refuseToWritePast(_ path: String) throws(FileSystemError) {
        guard location.moment == nil else {
            throw FileSystemError(
                operation: "open", path: path, code: EROFS, detail: "it is seen as it was at a moment")
        }
    }

    func asking<Value>(
        _ body: () throws -> Value
    ) throws(FileSystemError) -> Value {
        do { return try body() } catch let error as FileSystemError {
            throw error
        } catch let error as S3ClientError {
            throw error.asFileSystemError
        } catch {
            throw FileSystemError(operation: "read", path: root, code: EIO, detail: "\(error)")
        }
    }

    // MARK: What is there

    /// Lists the objects, once.
    func load() throws(FileSystemError) {
        guard state.withLock({ $0.tree == nil }) else { return }
        let lock = try RealFileSystem().lock(lockPath)
        var listing = RemoteTree.Listing(at: location.moment)
        let prefix = location.prefix.isEmpty ? "" : location.prefix + "/"
        try asking {
            try client.list(prefix, versions: true) { page in
                for object in page {
                    listing.add(object, as: String(object.key.dropFirst(prefix.utf8.count)))
                }
            }
        }
        let tree = listing.finish()
        state.withLock {
            $0.tree = tree
            $0.lock = lock
            $0.isBusy = lock == nil
        }
    }

    private var lockPath: String {
        let digest = SHA256.hash(Array("\(location.endpoint) \(root)".utf8)).prefix(12)
        return
            "\(FileManager.default.temporaryDirectory.path)/holdfast-\(getuid())-\(Array(digest).hexadecimal).lock"
    }

    func file(_ name: String) throws(FileSystemError) -> RemoteFile? {
        try load()
        return state.withLock { $0.tree?.file(name) }
    }

    func contents(ofFile name: String) throws(FileSystemError) -> Contents? {
        try load()
        return state.withLock { state in
            state.tree?.file(name).map {
                Contents(extents: $0.extents, appended: state.appended[name] ?? [])
            }
        }
    }

    public func status(of path: String) throws(FileSystemError) -> FileStatus? {
        let name = try name(path)
        if let staged = state.withLock({ $0.staged[name] }) {
            return FileStatus(
                kind: .file, size: try staged.size(), permissions: 0o600, linkCount: 1, inode: 1, device: 0)
        }
        if let contents = try contents(ofFile: name) {
            let digest = SHA256.hash(Array("\(name) \(contents.extents.first?.etag ?? "")".utf8))
            return FileStatus(
                kind: .file, size: contents.size, permissions: 0o600, linkCount: 1,
                inode: digest.prefix(8).reduce(0) { $0 << 8 | UInt64($1) }, device: 0)
        }
        let isDirectory = state.withLock {
            $0.madeDirectories.contains(name) || ($0.tree?.isDirectory(name) ?? false)
        }
        return isDirectory
            ? FileStatus(kind: .directory, size: 0, permissions: 0o700, linkCount: 2, inode: 1, device: 0)
            : nil
    }

    public var isPast: Bool { location.moment != nil }

    public func laterWrite(of path: String) throws(FileSystemError) -> Timestamp? {
        let name = try name(path)
        try load()
        return state.withLock { $0.tree?.laterWrite(name) }
    }

    public func list(_ directory: String) throws(FileSystemError) -> [String] {
        let name = try name(directory)
        try load()
        return state.withLock { state in
            var names = state.tree?.names(in: name) ?? []
            for path in state.staged.keys where parent(of: "/" + path) == "/" + name {
                names.insert(String(path.dropFirst(name.isEmpty ? 0 : name.utf8.count + 1)))
            }
            return names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        }
    }

    public func createDirectory(_ path: String, permissions: UInt16) throws(FileSystemError) {
        let name = try name(path)
        state.withLock { _ = $0.madeDirectories.insert(name) }
    }

    public func removeDirectory(_ path: String) throws(FileSystemError) {
        let name = try name(path)
        state.withLock { _ = $0.madeDirectories.remove(name) }
    }

    /// An object is durable when it is put.
    public func syncDirectory(_ path: String) throws(FileSystemError) {}

    public func lock(_ path: String) throws(FileSystemError) -> (any File)? {
        try load()
        return state.withLock { $0.isBusy ? nil : $0.lock }
    }

    /// Endpoints do not tell.
    public func space(at path: String) throws(FileSystemError) -> (free: UInt64, total: UInt64) {
        (UInt64(Int64.max), UInt64(Int64.max))
    }

    // MARK: Opening

    public func open(
        _ path: String, _ options: OpenOptions, permissions: UInt16
    ) throws(FileSystemError) -> any File {
        let name = try name(path)
        if options.contains(.write) { try refuseToWritePast(path) }
        if let staged = state.withLock({ $0.staged[name] }) {
            if options.contains(.createNew) {
                throw FileSystemError(operation: "open", path: path, code: EEXIST)
            }
            return StagedFileHandle(path: path, name: name, staged, self)
        }
        if let contents = try contents(ofFile: name) {
            if options.contains(.createNew) {
                throw FileSystemError(operation: "open", path: path, code: EEXIST)
            }
            return RemoteFileHandle(
                path: path, name: name, self, fixed: options.contains(.write) ? nil : contents)
        }
        guard options.contains(.createNew) || options.contains(.createIfMissing) else {
            throw FileSystemError(operation: "open", path: path, code: ENOENT)
        }
        let file = try makeScratchFile()
        state.withLock { $0.staged[name] = file }
        return StagedFileHandle(path: path, name: name, file, self)
    }

    /// A file without a name: it is gone with the last who has it open, also when this process is killed.
    private func makeScratchFile() throws(FileSystemError) -> any File {
        let path = "\(scratch)/holdfast-object-\(OperationID.random())"
        let file = try RealFileSystem().open(path, [.write, .createNew], permissions: 0o600)
        try RealFileSystem().remove(path)
        return file
    }

    // MARK: Reading

    func read(
        _ contents: Contents, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(FileSystemError) -> Int {
        guard offset < contents.size else { return 0 }
        let end = min(contents.size, offset + UInt64(buffer.count))
        var position = offset
        // The extents stand in order: the first that reaches past the offset.
        var index = contents.extents.partition { $0.end > offset }
        while position < min(end, contents.stored), index < contents.extents.count {
            let extent = contents.extents[index]
            let range = (position - extent.offset)..<(min(end, extent.end) - extent.offset)
            let room = UnsafeMutableRawBufferPointer(
                rebasing: buffer[Int(position - offset)..<Int(position - offset) + range.count])
            try read(extent, range, into: room)
            position += UInt64(range.count)
            index += 1
        }
        if position < end {
            let start = Int(position - contents.stored)
            contents.appended.withUnsafeBytes { bytes in
                UnsafeMutableRawBufferPointer(rebasing: buffer[Int(position - offset)...]).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: bytes[start..<start + Int(end - position)]))
            }
        }
        return Int(end - offset)
    }

    private func read(
        _ extent: Extent, _ range: Range<UInt64>, into room: UnsafeMutableRawBufferPointer
    ) throws(FileSystemError) {
        let size = UInt64(BlockCache.blockByteCount)
        let last = Int((range.upperBound - 1) / size)
        var block = Int(range.lowerBound / size)
        while block <= last {
            let place = BlockCache.Place(key: extent.name, etag: extent.etag, block: block)
            if let bytes = cache.block(place) {
                Self.copy(bytes, of: block, range, to: room)
                block += 1
                continue
            }
            let count = cache.window(extent.name, from: block, wanted: last - block + 1)
            let start = UInt64(block) * size
            let end = min(extent.size, start + UInt64(count) * size)
            let bytes = try asking {
                try client.read(key(extent.name), version: extent.versionID, etag: extent.etag, start..<end)
            }
            cache.insert(bytes, key: extent.name, etag: extent.etag, from: block)
            // Copied from here, not from the cache: it may have room for fewer.
            var at = 0
            while at < bytes.count, block <= last {
                let piece = Array(bytes[at..<min(at + Int(size), bytes.count)])
                Self.copy(piece, of: block, range, to: room)
                (at, block) = (at + piece.count, block + 1)
            }
        }
    }

    private static func copy(
        _ bytes: [UInt8], of block: Int, _ range: Range<UInt64>, to room: UnsafeMutableRawBufferPointer
    ) {
        let start = UInt64(block * BlockCache.blockByteCount)
        let low = max(start, range.lowerBound)
        let high = min(start + UInt64(bytes.count), range.upperBound)
        guard low < high else { return }
        bytes.withUnsafeBytes { source in
            UnsafeMutableRawBufferPointer(rebasing: room[Int(low - range.lowerBound)...]).copyMemory(
                from: UnsafeRawBufferPointer(rebasing: source[Int(low - start)..<Int(high - start)]))
        }
    }
}

extension Array where Element == Extent {
    /// The index of the first that `holds`, where all behind it do.
    func partition(_ holds: (Extent) -> Bool) -> Int {
        var (low, high) = (0, count)
        while low < high {
            let middle = (low + high) / 2
            if holds(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
