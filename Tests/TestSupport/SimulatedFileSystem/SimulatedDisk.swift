import Glibc
import Volumes

/// The state of a simulated file system: a value, so that a clone costs nothing until it is changed.
///
/// Changes of directories are kept as a list of operations on names that are not yet durable. Syncing a
/// directory makes those durable that put a name into it or take one from it (a rename counts where it leads
/// to, not where it comes from), with the earlier operations on the same names that these rest on.
struct SimulatedDisk: Sendable {
    typealias Inode = UInt64
    static let root: Inode = 1

    struct Directory: Sendable {
        var names: [String: Inode] = [:]
        var syncedNames: [String: Inode] = [:]
        var permissions: UInt16
    }

    struct Entry: Hashable, Sendable {
        let directory: Inode
        let name: String
    }

    /// One un-synced change of names: all of it survives a crash, or nothing.
    struct NameChange: Sendable {
        let removed: Entry?
        let added: (entry: Entry, inode: Inode)?
        var entries: [Entry] { [removed, added?.entry].compactMap { $0 } }
        var home: Inode? { added?.entry.directory ?? removed?.directory }
    }

    var files: [Inode: SimulatedFileData] = [:]
    var directories: [Inode: Directory] = [root: Directory(permissions: 0o755)]
    var pending: [NameChange] = []
    private var nextInode: Inode = 2
    /// Bytes of all files that have a name.
    private(set) var used: UInt64 = 0
    /// `nil`: no limit.
    var capacity: UInt64?

    // MARK: Paths

    struct Failure: Error {
        let code: Int32
        var detail: String? = nil
    }

    func inode(at path: String) throws(Failure) -> Inode {
        var inode = Self.root
        for name in path.utf8.split(separator: UInt8(ascii: "/")) {
            guard let directory = directories[inode] else { throw Failure(code: ENOTDIR) }
            guard let next = directory.names[String(Substring(name))] else { throw Failure(code: ENOENT) }
            inode = next
        }
        return inode
    }

    private func entry(at path: String) throws(Failure) -> Entry {
        guard path.hasPrefix("/"), let slash = path.lastIndex(of: "/") else { throw Failure(code: EINVAL) }
        let name = String(path[path.index(after: slash)...])
        guard !name.isEmpty else { throw Failure(code: EINVAL) }
        let parent = try inode(at: String(path[..<slash]))
        guard directories[parent] != nil else { throw Failure(code: ENOTDIR) }
        return Entry(directory: parent, name: name)
    }

    private func inode(of entry: Entry) -> Inode? { directories[entry.directory]?.names[entry.name] }

    func existing(_ path: String) throws(Failure) -> Inode? {
        do {
            return try inode(at: path)
        } catch {
            if error.code == ENOENT || error.code == ENOTDIR { return nil }
            throw error
        }
    }

    // MARK: Names

    private mutating func change(removing removed: Entry?, adding added: (entry: Entry, inode: Inode)?) {
        if let removed { directories[removed.directory]!.names[removed.name] = nil }
        if let added { directories[added.entry.directory]!.names[added.entry.name] = added.inode }
        pending.append(NameChange(removed: removed, added: added))
    }

    private mutating func newInode() -> Inode {
        defer { nextInode += 1 }
        return nextInode
    }

    mutating func createFile(_ path: String, permissions: UInt16) throws(Failure) -> Inode {
        let entry = try entry(at: path)
        guard inode(of: entry) == nil else { throw Failure(code: EEXIST) }
        let inode = newInode()
        var data = SimulatedFileData(permissions: permissions)
        data.linkCount = 1
        files[inode] = data
        change(removing: nil, adding: (entry, inode))
        return inode
    }

    mutating func createDirectory(_ path: String, permissions: UInt16) throws(Failure) {
        let entry = try entry(at: path)
        guard inode(of: entry) == nil else { throw Failure(code: EEXIST) }
        let inode = newInode()
        directories[inode] = Directory(permissions: permissions)
        change(removing: nil, adding: (entry, inode))
    }

    mutating func removeDirectory(_ path: String) throws(Failure) {
        let entry = try entry(at: path)
        guard let inode = inode(of: entry) else { throw Failure(code: ENOENT) }
        guard let directory = directories[inode] else { throw Failure(code: ENOTDIR) }
        guard directory.names.isEmpty else { throw Failure(code: ENOTEMPTY) }
        change(removing: entry, adding: nil)
    }

    mutating func link(_ path: String, to newPath: String) throws(Failure) {
        let inode = try inode(at: path)
        guard files[inode] != nil else { throw Failure(code: EPERM) }
        let entry = try entry(at: newPath)
        guard self.inode(of: entry) == nil else { throw Failure(code: EEXIST) }
        files[inode]!.linkCount += 1
        change(removing: nil, adding: (entry, inode))
    }

    mutating func rename(_ path: String, to newPath: String) throws(Failure) {
        let (source, target) = (try entry(at: path), try entry(at: newPath))
        guard let moved = inode(of: source) else { throw Failure(code: ENOENT) }
        if let replaced = inode(of: target) {
            guard replaced != moved else { return }
            switch (directories[replaced], directories[moved]) {
            case (nil, nil): unlinked(replaced)
            case (let directory?, .some):
                guard directory.names.isEmpty else { throw Failure(code: ENOTEMPTY) }
            case (.some, nil): throw Failure(code: EISDIR)
            case (nil, .some): throw Failure(code: ENOTDIR)
            }
        }
        change(removing: source, adding: (target, moved))
    }

    mutating func remove(_ path: String) throws(Failure) {
        let entry = try entry(at: path)
        guard let inode = inode(of: entry) else { throw Failure(code: ENOENT) }
        guard files[inode] != nil else { throw Failure(code: EISDIR) }
        unlinked(inode)
        change(removing: entry, adding: nil)
    }

    private mutating func unlinked(_ inode: Inode) {
        files[inode]!.linkCount -= 1
        if files[inode]!.linkCount == 0 { used -= files[inode]!.charge }
    }

    // MARK: Space

    /// Accounts for a new size of the file, or refuses it.
    mutating func charge(_ inode: Inode, for size: UInt64) throws(Failure) {
        let (old, new) = (files[inode]!.charge, SimulatedFileData.charge(of: size))
        guard files[inode]!.linkCount > 0 else { return }
        if new > old, let capacity, used + (new - old) > capacity { throw Failure(code: ENOSPC) }
        used = used - old + new
    }

    // MARK: Durability

    mutating func syncDirectory(_ inode: Inode) {
        var needed: Set<Entry> = []
        var chosen = [Bool](repeating: false, count: pending.count)
        for index in pending.indices.reversed() {
            let entries = pending[index].entries
            guard pending[index].home == inode || entries.contains(where: needed.contains) else { continue }
            chosen[index] = true
            needed.formUnion(entries)
        }
        for index in pending.indices where chosen[index] { persist(pending[index]) }
        pending = pending.indices.filter { !chosen[$0] }.map { pending[$0] }
    }

    mutating func persist(_ change: NameChange) {
        if let removed = change.removed { directories[removed.directory]?.syncedNames[removed.name] = nil }
        if let (entry, inode) = change.added { directories[entry.directory]?.syncedNames[entry.name] = inode }
    }

    /// The disk as the machine finds it after a crash: a seed says what of the un-synced was lost.
    func recovered(seed: UInt64) -> SimulatedDisk {
        var generator = SeededGenerator(seed: seed)
        // The extremes first: everything lost, nothing lost, names without data, data without names.
        let (dataLoss, nameLoss): (SimulatedFileData.Loss, SimulatedFileData.Loss) =
            switch seed % 8 {
            case 0: (.everything, .everything)
            case 1: (.nothing, .nothing)
            case 2: (.everything, .nothing)
            case 3: (.nothing, .everything)
            default: (.some, .some)
            }
        var disk = self
        var blocked: Set<Entry> = []
        for change in pending {
            let survives = nameLoss == .nothing || nameLoss == .some && generator.next() % 2 == 0
            // What rests on a lost change of the same name is lost with it.
            if survives, !change.entries.contains(where: blocked.contains) {
                disk.persist(change)
            } else {
                blocked.formUnion(change.entries)
            }
        }
        disk.pending = []
        disk.keepReachable(dataLoss, using: &generator)
        return disk
    }

    private mutating func keepReachable(
        _ loss: SimulatedFileData.Loss, using generator: inout SeededGenerator
    ) {
        let (oldFiles, oldDirectories) = (files, directories)
        files = [:]
        directories = [:]
        used = 0
        var waiting = [Self.root]
        while let inode = waiting.popLast() {
            if var directory = oldDirectories[inode] {
                directory.names = directory.syncedNames
                directories[inode] = directory
                waiting += directory.names.sorted { $0.key < $1.key }.map(\.value)
            } else if files[inode] != nil {
                files[inode]!.linkCount += 1
            } else if let old = oldFiles[inode] {
                var data = old.recovered(loss, using: &generator)
                data.linkCount = 1
                files[inode] = data
                used += data.charge
            }
        }
    }

    // MARK: Behind everybody's back

    /// Puts a fresh, empty directory in the place of another, durably; returns the inode of the one before.
    mutating func replaceDirectory(_ path: String, with inode: Inode?) throws(Failure) -> Inode {
        let entry = try entry(at: path)
        guard let before = self.inode(of: entry) else { throw Failure(code: ENOENT) }
        let after = inode ?? newInode()
        if inode == nil { directories[after] = Directory(permissions: 0o755) }
        directories[entry.directory]!.names[entry.name] = after
        directories[entry.directory]!.syncedNames[entry.name] = after
        return before
    }

    /// Makes everything durable.
    mutating func syncEverything() {
        for change in pending { persist(change) }
        pending = []
        for inode in Array(files.keys) { files[inode]!.sync() }
    }
}
