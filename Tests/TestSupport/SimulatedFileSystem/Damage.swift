import Synchronization
import Volumes

// What befalls a disk behind the back of the programs that use it. None of this is counted, struck by faults
// or undone by a crash.
extension SimulatedFileSystem {
    private func behindTheBack<Value: Sendable>(
        _ path: String,
        _ body: (inout SimulatedDisk, SimulatedDisk.Inode) throws(SimulatedDisk.Failure) -> Value
    ) throws(FileSystemError) -> Value {
        try onDisk(.open, path) { state throws(SimulatedDisk.Failure) in
            try body(&state.disk, try state.disk.inode(at: path))
        }
    }

    /// Flips these bits of the byte at `offset`, on the device and in memory.
    public func corrupt(_ path: String, at offset: UInt64, flipping bits: UInt8 = 1) throws(FileSystemError) {
        try behindTheBack(path) { disk, inode in disk.files[inode]!.corrupt(at: offset) { $0 ^= bits } }
    }

    /// Puts other bytes from `offset` on. The file does not grow.
    public func corrupt(_ path: String, at offset: UInt64, with bytes: [UInt8]) throws(FileSystemError) {
        try behindTheBack(path) { disk, inode in
            for (index, byte) in bytes.enumerated() where offset + UInt64(index) < disk.files[inode]!.size {
                disk.files[inode]!.corrupt(at: offset + UInt64(index)) { $0 = byte }
            }
        }
    }

    /// Cuts the file, or lets it go on with zeros.
    public func corruptSize(_ path: String, to size: UInt64) throws(FileSystemError) {
        try behindTheBack(path) { disk, inode throws(SimulatedDisk.Failure) in
            try disk.charge(inode, for: size)
            disk.files[inode]!.corruptSize(to: size)
        }
    }

    /// Reads that touch this range fail with `EIO` until it is written over.
    public func makeUnreadable(_ path: String, _ range: Range<UInt64>) throws(FileSystemError) {
        try behindTheBack(path) { disk, inode in disk.files[inode]!.makeUnreadable(range) }
    }

    /// Writes a whole file; directories on the way are made. Everything on the disk is durable afterwards.
    public func place(_ bytes: [UInt8], at path: String) throws(FileSystemError) {
        try onDisk(.create, path) { state throws(SimulatedDisk.Failure) in
            var parent = ""
            for name in path.split(separator: "/").dropLast() {
                parent += "/\(name)"
                if try state.disk.existing(parent) == nil {
                    try state.disk.createDirectory(parent, permissions: 0o755)
                }
            }
            if try state.disk.existing(path) != nil { try state.disk.remove(path) }
            let inode = try state.disk.createFile(path, permissions: 0o644)
            try state.disk.charge(inode, for: UInt64(bytes.count))
            bytes.withUnsafeBytes { state.disk.files[inode]!.write($0, at: 0) }
            state.disk.syncEverything()
        }
    }

    /// All bytes of a file, as programs see them.
    public func contents(of path: String) throws(FileSystemError) -> [UInt8] {
        try behindTheBack(path) { disk, inode throws(SimulatedDisk.Failure) in
            guard let file = disk.files[inode] else {
                throw SimulatedDisk.Failure(code: 21, detail: "a directory")
            }
            var bytes = [UInt8](repeating: 0, count: Int(file.size))
            _ = bytes.withUnsafeMutableBytes { file.read(into: $0, at: 0) }
            return bytes
        }
    }

    /// Removes a file for good. All changes of names before are durable afterwards, too.
    public func lose(_ path: String) throws(FileSystemError) {
        try onDisk(.remove, path) { state throws(SimulatedDisk.Failure) in
            try state.disk.remove(path)
            for change in state.disk.pending { state.disk.persist(change) }
            state.disk.pending = []
        }
    }

    /// Every path below `directory`, directories with a slash at the end, in order.
    public func paths(below directory: String = "/") throws(FileSystemError) -> [String] {
        let root = directory == "/" ? "" : directory
        return try onDisk(.list, directory) { state throws(SimulatedDisk.Failure) in
            var found: [String] = []
            var waiting = [root]
            while let path = waiting.popLast() {
                guard let children = state.disk.directories[try state.disk.inode(at: path)] else { continue }
                for (name, inode) in children.names {
                    let isDirectory = state.disk.directories[inode] != nil
                    found.append("\(path)/\(name)" + (isDirectory ? "/" : ""))
                    if isDirectory { waiting.append("\(path)/\(name)") }
                }
            }
            return found.sorted()
        }
    }

    /// Leaves an empty directory where the disk was mounted; files that are open stay so.
    public func unmount(_ path: String) throws(FileSystemError) {
        try onDisk(.open, path) { state throws(SimulatedDisk.Failure) in
            state.unmounted[path] = try state.disk.replaceDirectory(path, with: nil)
        }
    }

    /// Puts back what ``unmount(_:)`` took away.
    public func mount(_ path: String) throws(FileSystemError) {
        try onDisk(.open, path) { state throws(SimulatedDisk.Failure) in
            guard let inode = state.unmounted.removeValue(forKey: path) else {
                throw SimulatedDisk.Failure(code: 2, detail: "it is not unmounted")
            }
            _ = try state.disk.replaceDirectory(path, with: inode)
        }
    }
}
