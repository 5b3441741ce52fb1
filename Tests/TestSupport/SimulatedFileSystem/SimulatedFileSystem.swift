import Glibc
import Synchronization
import Volumes

/// A file system in memory that loses what was not synced, and fails when it is told to.
///
/// Data, sizes and names that were not synced are kept apart from those that were. ``crash(atOperation:)``
/// lets the n-th change fail with everything after it; ``recovered(seed:)`` is then the disk as the machine
/// finds it: any part of the un-synced lost, sector by sector and name by name, the same for the same seed.
/// Its promises are the least that journaling file systems keep: a name is durable only once its directory
/// was synced, also after a sync of the file.
public final class SimulatedFileSystem: FileSystem {
    struct State: Sendable {
        var disk: SimulatedDisk
        var faults: [(id: Int, fault: Fault, matched: Int)] = []
        var lastFault = 0
        var operations = 0
        var crashAt: Int?
        var hasCrashed = false
        var locked: Set<SimulatedDisk.Inode> = []
        var unmounted: [String: SimulatedDisk.Inode] = [:]
        var log: [String]?
    }

    let state: Mutex<State>

    public convenience init(capacity: UInt64? = nil) {
        var disk = SimulatedDisk()
        disk.capacity = capacity
        self.init(disk: disk)
    }

    private init(disk: SimulatedDisk) { state = Mutex(State(disk: disk)) }

    // MARK: Crashes and clones

    /// Changes asked for so far, failed ones too.
    public var operationCount: Int { state.withLock { $0.operations } }

    /// The machine dies at the n-th change from now, counted from 1: that call and all after it fail.
    public func crash(atOperation number: Int) {
        precondition(number > 0, "operations are counted from 1")
        state.withLock { $0.crashAt = $0.operations + number }
    }

    /// The machine dies now.
    public func crash() { state.withLock { $0.hasCrashed = true } }

    public var hasCrashed: Bool { state.withLock { $0.hasCrashed } }

    /// What the machine finds when it is started again, were it to die now: a new file system, without faults
    /// and locks.
    public func recovered(seed: UInt64) -> SimulatedFileSystem {
        SimulatedFileSystem(disk: state.withLock { $0.disk }.recovered(seed: seed))
    }

    /// The same contents, synced and not, without faults and locks. Shares all memory until one of the two
    /// changes.
    public func clone() -> SimulatedFileSystem { SimulatedFileSystem(disk: state.withLock { $0.disk }) }

    /// From now on, keeps a line for every change: see ``operationLog``.
    public func recordOperations() { state.withLock { $0.log = [] } }
    public var operationLog: [String] { state.withLock { $0.log ?? [] } }

    /// Bytes that files may take in all; `nil` for no limit.
    public func setCapacity(_ capacity: UInt64?) { state.withLock { $0.disk.capacity = capacity } }

    // MARK: Faults

    /// Arms a fault. The first armed one that matches a call decides.
    /// - Returns: what ``removeFault(_:)`` takes.
    @discardableResult
    public func inject(_ fault: Fault) -> Int {
        state.withLock {
            $0.lastFault += 1
            $0.faults.append(($0.lastFault, fault, 0))
            return $0.lastFault
        }
    }

    public func removeFault(_ id: Int) { state.withLock { $0.faults.removeAll { $0.id == id } } }
    public func removeFaults() { state.withLock { $0.faults.removeAll() } }

    /// Accounts for a call and finds what befalls it.
    /// - Returns: a fault other than failure and stall, which are dealt with here, and whether the machine
    ///   dies at this
    ///   very call: its effect is then left un-synced on the disk, and the caller throws ``dead``.
    func begin(_ operation: SimulatedOperation, _ path: String) throws(FileSystemError) -> (
        effect: FaultEffect?, dies: Bool
    ) {
        let (effect, dies) = try state.withLock { state throws(FileSystemError) -> (FaultEffect?, Bool) in
            guard !state.hasCrashed else { throw Self.dead(operation, path) }
            if operation.isMutating {
                state.operations += 1
                state.log?.append("\(state.operations) \(operation.rawValue) \(path)")
                if state.operations == state.crashAt {
                    state.hasCrashed = true
                    return (nil, true)
                }
            }
            return (Self.strike(&state, operation, path), false)
        }
        switch effect {
        case .fail(let code):
            throw FileSystemError(operation: operation.rawValue, path: path, code: code, detail: "injected")
        case .stall(let stall):
            stall.hang()
            // The machine may have died meanwhile.
            if hasCrashed { throw Self.dead(operation, path) }
            return (nil, false)
        default: return (effect, dies)
        }
    }

    private static func strike(_ state: inout State, _ operation: SimulatedOperation, _ path: String)
        -> FaultEffect?
    {
        for index in state.faults.indices {
            let fault = state.faults[index].fault
            guard fault.operations.contains(operation), fault.matches(path) else { continue }
            state.faults[index].matched += 1
            let struck = state.faults[index].matched - fault.skip
            guard struck > 0, struck <= fault.times ?? .max else { continue }
            return fault.effect
        }
        return nil
    }

    static func dead(_ operation: SimulatedOperation, _ path: String) -> FileSystemError {
        FileSystemError(
            operation: operation.rawValue, path: path, code: EIO, detail: "the machine has crashed")
    }

    /// Runs a call that changes names: counted, struck by faults, and dead after it if the machine dies here.
    private func change<Value: Sendable>(
        _ operation: SimulatedOperation, _ path: String,
        _ body: (inout State) throws(SimulatedDisk.Failure) -> Value
    ) throws(FileSystemError) -> Value {
        let (_, dies) = try begin(operation, path)
        // A sync that the machine dies in has done nothing that can be counted on.
        if dies, operation == .syncDirectory { throw Self.dead(operation, path) }
        let value = try onDisk(operation, path, body)
        if dies { throw Self.dead(operation, path) }
        return value
    }

    func onDisk<Value: Sendable>(
        _ operation: SimulatedOperation, _ path: String,
        _ body: (inout State) throws(SimulatedDisk.Failure) -> Value
    ) throws(FileSystemError) -> Value {
        let result: Result<Value, SimulatedDisk.Failure> = state.withLock { state in
            do throws(SimulatedDisk.Failure) {
                return .success(try body(&state))
            } catch {
                return .failure(error)
            }
        }
        switch result {
        case .success(let value): return value
        case .failure(let failure):
            throw FileSystemError(
                operation: operation.rawValue, path: path, code: failure.code, detail: failure.detail)
        }
    }

    // MARK: FileSystem

    public func open(_ path: String, _ options: OpenOptions, permissions: UInt16) throws(FileSystemError)
        -> any File
    {
        let found = try onDisk(.open, path) { state throws(SimulatedDisk.Failure) in
            try state.disk.existing(path)
        }
        let inode: SimulatedDisk.Inode
        if let found {
            _ = try begin(.open, path)
            inode = try onDisk(.open, path) { state throws(SimulatedDisk.Failure) in
                if options.contains(.createNew) { throw SimulatedDisk.Failure(code: EEXIST) }
                guard state.disk.files[found] != nil else { throw SimulatedDisk.Failure(code: EISDIR) }
                return found
            }
        } else if options.contains(.createNew) || options.contains(.createIfMissing) {
            inode = try change(.create, path) { state throws(SimulatedDisk.Failure) in
                try state.disk.createFile(path, permissions: permissions)
            }
        } else {
            _ = try begin(.open, path)
            throw FileSystemError(operation: "open", path: path, code: ENOENT)
        }
        return SimulatedFile(path: path, inode: inode, options: options, fileSystem: self, isLock: false)
    }

    public func status(of path: String) throws(FileSystemError) -> FileStatus? {
        _ = try begin(.status, path)
        return try onDisk(.status, path) { state throws(SimulatedDisk.Failure) -> FileStatus? in
            guard let inode = try state.disk.existing(path) else { return nil }
            if let directory = state.disk.directories[inode] {
                return FileStatus(
                    kind: .directory, size: 0, permissions: directory.permissions, linkCount: 1, inode: inode,
                    device: 1)
            }
            let file = state.disk.files[inode]!
            return FileStatus(
                kind: .file, size: file.size, permissions: file.permissions, linkCount: file.linkCount,
                inode: inode, device: 1)
        }
    }

    public func list(_ directory: String) throws(FileSystemError) -> [String] {
        _ = try begin(.list, directory)
        return try onDisk(.list, directory) { state throws(SimulatedDisk.Failure) in
            guard let found = state.disk.directories[try state.disk.inode(at: directory)] else {
                throw SimulatedDisk.Failure(code: ENOTDIR)
            }
            return found.names.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
        }
    }

    public func createDirectory(_ path: String, permissions: UInt16) throws(FileSystemError) {
        try change(.createDirectory, path) { state throws(SimulatedDisk.Failure) in
            try state.disk.createDirectory(path, permissions: permissions)
        }
    }

    public func removeDirectory(_ path: String) throws(FileSystemError) {
        try change(.removeDirectory, path) { state throws(SimulatedDisk.Failure) in
            try state.disk.removeDirectory(path)
        }
    }

    public func link(_ path: String, to newPath: String) throws(FileSystemError) {
        try change(.link, newPath) { state throws(SimulatedDisk.Failure) in
            try state.disk.link(path, to: newPath)
        }
    }

    public func rename(_ path: String, to newPath: String) throws(FileSystemError) {
        try change(.rename, newPath) { state throws(SimulatedDisk.Failure) in
            try state.disk.rename(path, to: newPath)
        }
    }

    public func remove(_ path: String) throws(FileSystemError) {
        try change(.remove, path) { state throws(SimulatedDisk.Failure) in try state.disk.remove(path) }
    }

    public func syncDirectory(_ path: String) throws(FileSystemError) {
        try change(.syncDirectory, path) { state throws(SimulatedDisk.Failure) in
            let inode = try state.disk.inode(at: path)
            guard state.disk.directories[inode] != nil else { throw SimulatedDisk.Failure(code: ENOTDIR) }
            state.disk.syncDirectory(inode)
        }
    }

    public func lock(_ path: String) throws(FileSystemError) -> (any File)? {
        let file = try open(path, [.write, .createIfMissing], permissions: 0o644)
        guard let file = file as? SimulatedFile else { preconditionFailure("our files are our own") }
        _ = try begin(.lock, path)
        guard state.withLock({ $0.locked.insert(file.inode).inserted }) else { return nil }
        return SimulatedFile(
            path: path, inode: file.inode, options: [.write], fileSystem: self, isLock: true)
    }

    public func space(at path: String) throws(FileSystemError) -> (free: UInt64, total: UInt64) {
        _ = try begin(.space, path)
        return try onDisk(.space, path) { state throws(SimulatedDisk.Failure) in
            _ = try state.disk.inode(at: path)
            let total = state.disk.capacity ?? 1 << 50
            return (total - min(total, state.disk.used), total)
        }
    }
}
