import Glibc
import Synchronization
import Volumes

/// An open file of a ``SimulatedFileSystem``.
final class SimulatedFile: File {
    let path: String
    let inode: SimulatedDisk.Inode
    private let options: OpenOptions
    private let fileSystem: SimulatedFileSystem
    private let isLock: Bool
    private let isClosed = Atomic(false)

    init(
        path: String, inode: SimulatedDisk.Inode, options: OpenOptions, fileSystem: SimulatedFileSystem,
        isLock: Bool
    ) {
        self.path = path
        self.inode = inode
        self.options = options
        self.fileSystem = fileSystem
        self.isLock = isLock
    }

    deinit { close() }

    private func failure(_ operation: SimulatedOperation, _ code: Int32, _ detail: String? = nil)
        -> FileSystemError
    {
        FileSystemError(operation: operation.rawValue, path: path, code: code, detail: detail)
    }

    private func check(_ operation: SimulatedOperation) throws(FileSystemError) {
        guard !isClosed.load(ordering: .acquiring) else { throw failure(operation, EBADF) }
        if operation.isMutating, operation != .sync, !options.contains(.write) {
            throw failure(operation, EBADF, "opened for reading")
        }
    }

    private func checkAlignment(
        _ operation: SimulatedOperation, _ buffer: UnsafeRawBufferPointer, _ offset: UInt64
    ) throws(FileSystemError) {
        let unit = FileSystemAlignment.bytes
        let isAligned =
            Int(bitPattern: buffer.baseAddress) % unit == 0 && buffer.count % unit == 0
            && offset % UInt64(unit) == 0
        guard options.contains(.direct), !isAligned else { return }
        throw failure(operation, EINVAL, "\(buffer.count) bytes at \(offset): direct I/O must be aligned")
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(FileSystemError) -> Int {
        try read(.read, into: buffer, at: offset) ?? 0
    }

    func readIfCached(into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64) throws(FileSystemError)
        -> Int?
    {
        try read(.readIfCached, into: buffer, at: offset)
    }

    private func read(
        _ operation: SimulatedOperation, into buffer: UnsafeMutableRawBufferPointer, at offset: UInt64
    ) throws(FileSystemError) -> Int? {
        try check(operation)
        try checkAlignment(operation, UnsafeRawBufferPointer(buffer), offset)
        let (effect, _) = try fileSystem.begin(operation, path)
        var limit = buffer.count
        if case .shortRead(let count) = effect { limit = min(limit, count) }
        nonisolated(unsafe) let target = UnsafeMutableRawBufferPointer(rebasing: buffer[0..<limit])
        let inode = inode
        return try fileSystem.onDisk(operation, path) { state throws(SimulatedDisk.Failure) -> Int? in
            if operation == .readIfCached, !state.disk.files[inode]!.isCached { return nil }
            if state.disk.files[inode]!.isUnreadable(offset..<offset + UInt64(target.count)) {
                throw SimulatedDisk.Failure(code: EIO, detail: "unreadable sector")
            }
            if !state.disk.files[inode]!.isCached { state.disk.files[inode]!.isCached = true }
            return state.disk.files[inode]!.read(into: target, at: offset)
        }
    }

    func write(_ buffer: UnsafeRawBufferPointer, at offset: UInt64) throws(FileSystemError) {
        try check(.write)
        try checkAlignment(.write, buffer, offset)
        let (effect, dies) = try fileSystem.begin(.write, path)
        var source = buffer
        var failure: FileSystemError? = dies ? SimulatedFileSystem.dead(.write, path) : nil
        if case .shortWrite(let count, let code) = effect {
            source = UnsafeRawBufferPointer(rebasing: buffer[0..<min(count, buffer.count)])
            failure = self.failure(.write, code, "short write: \(source.count) of \(buffer.count) bytes")
        }
        nonisolated(unsafe) let bytes = source
        let inode = inode
        try fileSystem.onDisk(.write, path) { state throws(SimulatedDisk.Failure) in
            let size = state.disk.files[inode]!.size
            try state.disk.charge(inode, for: max(size, offset + UInt64(bytes.count)))
            state.disk.files[inode]!.write(bytes, at: offset)
            if case .flippedWrite(let index) = effect, index < bytes.count {
                state.disk.files[inode]!.corrupt(at: offset + UInt64(index)) { $0 ^= 1 }
            }
        }
        if let failure { throw failure }
    }

    func allocate(size: UInt64) throws(FileSystemError) {
        try resize(.allocate) { max($0, size) }
    }

    func truncate(to size: UInt64) throws(FileSystemError) {
        try resize(.truncate) { _ in size }
    }

    private func resize(_ operation: SimulatedOperation, _ newSize: (UInt64) -> UInt64)
        throws(FileSystemError)
    {
        try check(operation)
        let (_, dies) = try fileSystem.begin(operation, path)
        let inode = inode
        try fileSystem.onDisk(operation, path) { state throws(SimulatedDisk.Failure) in
            let size = newSize(state.disk.files[inode]!.size)
            try state.disk.charge(inode, for: size)
            state.disk.files[inode]!.resize(to: size)
        }
        if dies { throw SimulatedFileSystem.dead(operation, path) }
    }

    func size() throws(FileSystemError) -> UInt64 {
        try check(.size)
        _ = try fileSystem.begin(.size, path)
        let inode = inode
        return fileSystem.state.withLock { $0.disk.files[inode]!.size }
    }

    func sync() throws(FileSystemError) {
        try check(.sync)
        let (effect, dies) = try fileSystem.begin(.sync, path)
        // A sync that the machine dies in has done nothing that can be counted on.
        if dies { throw SimulatedFileSystem.dead(.sync, path) }
        let inode = inode
        if case .loseSync(let code) = effect {
            fileSystem.state.withLock { $0.disk.files[inode]!.failSync() }
            throw failure(.sync, code, "injected: what was not synced is lost")
        }
        fileSystem.state.withLock { $0.disk.files[inode]!.sync() }
    }

    func dropCache() throws(FileSystemError) {
        try check(.dropCache)
        _ = try fileSystem.begin(.dropCache, path)
        let inode = inode
        fileSystem.state.withLock { $0.disk.files[inode]!.dropCache() }
    }

    func close() {
        guard !isClosed.exchange(true, ordering: .acquiringAndReleasing) else { return }
        guard isLock else { return }
        let inode = inode
        fileSystem.state.withLock { _ = $0.locked.remove(inode) }
    }
}
