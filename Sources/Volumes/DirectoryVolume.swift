import Digests
import Foundation
import Model
import Synchronization

/// A volume that is a local directory.
public final class DirectoryVolume: Volume {
    public let identity: VolumeIdentity
    public let directory: String
    public let fileSystem: any FileSystem
    public var name: String { directory }
    public var logDirectory: String { directory + "/log" }
    public var quarantineDirectory: String { directory + "/quarantine" }

    let clock: @Sendable () -> Timestamp
    private let lock: any File
    private let place: FileStatus
    private let directoryPlace: FileStatus
    private let openBlobs = OpenBlobs()
    /// Whose the files in quarantine are.
    let quarantinedIdentities = QuarantinedIdentities()

    init(
        identity: VolumeIdentity, directory: String, fileSystem: any FileSystem, lock: any File,
        clock: @escaping @Sendable () -> Timestamp
    ) throws(FileSystemError) {
        self.identity = identity
        self.directory = directory
        self.fileSystem = fileSystem
        self.lock = lock
        self.clock = clock
        let file = directory + "/" + VolumeFile.name
        guard let place = try fileSystem.status(of: file), let parent = try fileSystem.status(of: directory)
        else { throw FileSystemError(operation: "lstat", path: file, code: ENOENT) }
        self.place = place
        directoryPlace = parent
    }

    /// Opens a volume and locks it until it is closed.
    /// - Throws: ``VolumeError`` if the directory is not a volume that can be used, by name.
    public static func open(
        _ directory: String, fileSystem: any FileSystem,
        clock: @escaping @Sendable () -> Timestamp = { .now() }
    ) throws(VolumeError) -> DirectoryVolume {
        do {
            let identity = try readIdentity(directory, fileSystem: fileSystem)
            guard let lock = try fileSystem.lock(directory + "/" + VolumeFile.name) else {
                throw VolumeError.inUse(path: directory)
            }
            return try DirectoryVolume(
                identity: identity, directory: directory, fileSystem: fileSystem, lock: lock, clock: clock)
        } catch let error as FileSystemError {
            throw .fileSystem(error)
        } catch let error as VolumeError {
            throw error
        } catch {
            preconditionFailure("a volume throws errors of its own and of the file system: \(error)")
        }
    }

    /// Who a directory is, without opening it.
    public static func readIdentity(
        _ directory: String, fileSystem: any FileSystem
    ) throws -> VolumeIdentity {
        guard let status = try fileSystem.status(of: directory) else {
            throw VolumeError.missing(path: directory)
        }
        guard status.kind == .directory else {
            throw VolumeError.notAVolume(path: directory, reason: "it is not a directory")
        }
        guard try fileSystem.list(directory).contains(VolumeFile.name) else {
            if try isUnused(directory, fileSystem) { throw VolumeError.empty(path: directory) }
            throw VolumeError.notAVolume(path: directory, reason: "it has no \(VolumeFile.name)")
        }
        let bytes = try fileSystem.contents(of: directory + "/" + VolumeFile.name)
        return try VolumeFile.decode(bytes, path: directory)
    }

    public func close() { lock.close() }

    public func isPresent() -> Bool {
        let found = try? fileSystem.status(of: directory + "/" + VolumeFile.name)
        return found?.inode == place.inode && found?.device == place.device
    }

    /// What tells this directory from another in its place.
    public var departure: DepartedVolume {
        DepartedVolume(volumeID: identity.volumeID, directory: directory, place: directoryPlace)
    }

    public func space() throws -> (free: UInt64, total: UInt64) { try fileSystem.space(at: directory) }

    // MARK: Places

    public func path(of id: BlobID) -> String {
        let digits = id.description
        return "blobs/\(digits.prefix(2))/\(digits.dropFirst(2).prefix(2))/\(digits)"
    }

    func incomingPath(_ id: BlobID) -> String { "\(directory)/incoming/\(id)" }

    // MARK: Writing

    public func beginBlob(
        _ id: BlobID, expectedLength: UInt64?, replacing: String?
    ) throws -> any BlobSink {
        try DirectoryBlobSink(id, expectedLength: expectedLength, replacing: replacing, volume: self)
    }

    public func syncIncoming() throws { try fileSystem.syncDirectory(directory + "/incoming") }

    public func syncName(of id: BlobID) throws {
        try fileSystem.syncDirectory(parent(of: directory + "/" + path(of: id)))
    }

    public func settle(_ id: BlobID) throws { try removeIfPresent(incomingPath(id)) }

    public func keep(_ id: BlobID) throws {
        try syncNameIfAny(of: id)
        try settle(id)
    }

    public func incoming() throws -> (blobs: [BlobID], foreign: [String]) {
        var blobs: [BlobID] = []
        var foreign: [String] = []
        for name in try fileSystem.list(directory + "/incoming") {
            if let id = BlobID(name) { blobs.append(id) } else { foreign.append("incoming/" + name) }
        }
        return (blobs, foreign)
    }

    public func removeBlob(_ id: BlobID) throws {
        openBlobs.forget(id)
        // The name in blobs/ goes first, for good: while the one in incoming/ is there, recovery knows of the
        // blob. Synced also if the name was gone: whoever removed it may have failed before the sync, and a crash
        // would bring back a blob that nothing tells of.
        try removeIfPresent(directory + "/" + path(of: id))
        try syncNameIfAny(of: id)
        try removeIfPresent(incomingPath(id))
    }

    /// Makes durable what became of a blob's name, where it may never have had one.
    private func syncNameIfAny(of id: BlobID) throws {
        do { try syncName(of: id) } catch let error as FileSystemError {
            guard error.code == ENOENT else { throw error }  // no blob ever had a name there
        }
    }

    private func removeIfPresent(_ path: String) throws(FileSystemError) {
        do { try fileSystem.remove(path) } catch {
            guard error.code == ENOENT else { throw error }
        }
    }

    func forget(_ id: BlobID) { openBlobs.forget(id) }

    // MARK: Reading

    public func readBlocks(
        _ id: BlobID, length: UInt64, blocks: Range<Int>, into buffer: UnsafeMutableRawBufferPointer
    ) throws(BlobFlaw) -> Int {
        let blob = try open(id, length: length)
        let wanted = room(for: blocks, length: length, in: buffer)
        let count = try BlobFormat.unreadable { () throws(FileSystemError) in
            try blob.file.read(into: wanted, at: UInt64(blocks.lowerBound * Limits.blockSize))
        }
        try check(blob, blocks, UnsafeRawBufferPointer(wanted), count: count)
        return count
    }

    public func readBlocksIfCached(
        _ id: BlobID, length: UInt64, blocks: Range<Int>, into buffer: UnsafeMutableRawBufferPointer
    ) throws(BlobFlaw) -> Int? {
        guard let blob = openBlobs.find(id), blob.info.length == length else { return nil }
        let wanted = room(for: blocks, length: length, in: buffer)
        let read = try BlobFormat.unreadable { () throws(FileSystemError) in
            try blob.file.readIfCached(into: wanted, at: UInt64(blocks.lowerBound * Limits.blockSize))
        }
        guard let read else { return nil }
        try check(blob, blocks, UnsafeRawBufferPointer(wanted), count: read)
        return read
    }

    private func room(
        for blocks: Range<Int>, length: UInt64, in buffer: UnsafeMutableRawBufferPointer
    ) -> UnsafeMutableRawBufferPointer {
        let start = UInt64(blocks.lowerBound * Limits.blockSize)
        let end = min(UInt64(blocks.upperBound * Limits.blockSize), length)
        precondition(start < end && Int(end - start) <= buffer.count, "the blocks fit the buffer")
        return UnsafeMutableRawBufferPointer(rebasing: buffer[0..<Int(end - start)])
    }

    private func check(
        _ blob: OpenBlob, _ blocks: Range<Int>, _ bytes: UnsafeRawBufferPointer, count: Int
    ) throws(BlobFlaw) {
        guard count == bytes.count else {
            throw .truncated(
                expected: UInt64(blocks.lowerBound * Limits.blockSize + bytes.count),
                found: UInt64(blocks.lowerBound * Limits.blockSize + count))
        }
        for block in blocks {
            let start = (block - blocks.lowerBound) * Limits.blockSize
            let end = min(start + Limits.blockSize, bytes.count)
            let found = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
            let expected = blob.info.blockChecksums[block]
            guard found == expected else {
                // The file may have been replaced by a good one since it was opened: the next read looks again.
                openBlobs.forget(blob.info.id)
                throw .corruptBlock(index: block, expected: expected, found: found)
            }
        }
    }

    private func open(_ id: BlobID, length: UInt64?) throws(BlobFlaw) -> OpenBlob {
        if let blob = openBlobs.find(id) {
            if let length, blob.info.length != length {
                throw .wrongContent("it has \(blob.info.length) bytes, not \(length)")
            }
            return blob
        }
        let (file, info) = try openFile(id, length: length, options: [])
        let blob = OpenBlob(file: file, info: info)
        openBlobs.insert(blob)
        return blob
    }

    private func openFile(
        _ id: BlobID, length: UInt64?, options: OpenOptions
    ) throws(BlobFlaw) -> (any File, BlobInfo) {
        let file: any File
        do { file = try fileSystem.open(directory + "/" + path(of: id), options, permissions: 0) } catch {
            throw error.code == ENOENT ? .missing : .unreadable(error)
        }
        let info = try BlobFormat.readTrailer(file, id: id, length: length)
        guard info.descriptor.storeID == Data(identity.storeID.bytes) else {
            let found = StoreID(bytes: info.descriptor.storeID).map { "\($0)" } ?? "?"
            throw .wrongIdentity(expected: "store \(identity.storeID)", found: "store \(found)")
        }
        if let length, info.length != length {
            throw .wrongContent("it has \(info.length) bytes, not \(length)")
        }
        return (file, info)
    }

    public func info(of id: BlobID, length: UInt64?) throws(BlobFlaw) -> BlobInfo {
        try openFile(id, length: length, options: []).1
    }

    public func verify(
        _ id: BlobID, length: UInt64, sha256: [UInt8], depth: VerificationDepth
    ) -> [BlobFlaw] {
        do throws(BlobFlaw) {
            let info = try info(of: id, length: length)
            if let flaw = contentFlaw(info, sha256) { return [flaw] }
            // It is read all the same: the bytes are those of the blob.
            let place = isOwn(info.descriptor) ? [] : [placeFlaw(info.descriptor)]
            if depth == .trailer { return place }
            return try place + BlobScan.run(reader(of: info), digests: depth == .whole)
        } catch {
            openBlobs.forget(id)
            return [error]
        }
    }

    public func openReplica(
        _ id: BlobID, length: UInt64, sha256: [UInt8], mayBeCached: Bool
    ) throws(BlobFlaw) -> OpenReplica {
        let (file, info) = try openFile(id, length: length, options: [])
        if let flaw = contentFlaw(info, sha256) { throw flaw }
        guard isOwn(info.descriptor) else { throw placeFlaw(info.descriptor) }
        return try reader(of: info, cached: mayBeCached ? file : nil)
    }

    private func reader(of info: BlobInfo, cached: (any File)? = nil) throws(BlobFlaw) -> OpenReplica {
        try OpenReplica(
            fileSystem: fileSystem, path: directory + "/" + path(of: info.id), info: info, cached: cached)
    }

    private func contentFlaw(_ info: BlobInfo, _ sha256: [UInt8]) -> BlobFlaw? {
        guard info.sha256 != sha256 else { return nil }
        return .wrongContent("its SHA-256 is \(info.sha256.hexadecimal), not \(sha256.hexadecimal)")
    }

    // MARK: Scanning

    public func listBlobs(after: BlobID?, through last: BlobID?) throws -> [BlobListItem] {
        func covers(_ ids: ClosedRange<BlobID>) -> Bool {
            (after.map { $0 < ids.upperBound } ?? true) && (last.map { ids.lowerBound <= $0 } ?? true)
        }
        // What is named as no directory of blobs is comes with the first one.
        var items = after == nil ? try strangersBesideBlobs() : []
        for byte in UInt8((after?.high ?? 0) >> 56)...UInt8((last?.high ?? .max) >> 56) {
            // What is no blob is told of where the directory that it is in begins.
            let head = BlobID(high: UInt64(byte) << 56, low: 0)
            try list(byte, &items, covers: covers, tellsStrangers: covers(head...head))
        }
        return items
    }

    /// The directory of blobs whose ids begin with a byte.
    private func list(
        _ byte: UInt8, _ items: inout [BlobListItem], covers: (ClosedRange<BlobID>) -> Bool,
        tellsStrangers: Bool
    ) throws {
        let first = [byte].hexadecimal
        let root = "blobs/" + first
        guard let status = try fileSystem.status(of: directory + "/" + root) else { return }
        guard status.kind == .directory else {
            if tellsStrangers { items.append(.foreign(root)) }
            return
        }
        for second in try fileSystem.list(directory + "/" + root) {
            let branch = "\(root)/\(second)"
            guard let number = UInt8(second, radix: 16), [number].hexadecimal == second else {
                if tellsStrangers { items.append(.foreign(branch)) }
                continue
            }
            let low = UInt64(byte) << 56 | UInt64(number) << 48
            let ids = BlobID(high: low, low: 0)...BlobID(high: low | (1 << 48 - 1), low: .max)
            guard covers(ids) else { continue }
            let tellsStrangers = covers(ids.lowerBound...ids.lowerBound)
            guard try fileSystem.status(of: directory + "/" + branch)?.kind == .directory else {
                if tellsStrangers { items.append(.foreign(branch)) }
                continue
            }
            for name in try fileSystem.list(directory + "/" + branch) {
                if let id = BlobID(name), name.hasPrefix(first + second) {
                    if covers(id...id) { items.append(.blob(id)) }
                } else if tellsStrangers {
                    items.append(.foreign("\(branch)/\(name)"))
                }
            }
        }
    }

    private func strangersBesideBlobs() throws -> [BlobListItem] {
        try fileSystem.list(directory + "/blobs").filter { name in
            name.utf8.count != 2 || UInt8(name, radix: 16).map { [$0].hexadecimal } != name
        }.map { .foreign("blobs/" + $0) }
    }
}

/// A volume that left service, as far as it matters for its return.
public struct DepartedVolume: Sendable {
    public let volumeID: VolumeID
    let directory: String
    let place: FileStatus

    /// Whether the very directory, not another mounted over it or in its place, has nothing in it any more: it
    /// was emptied, and can be filled again. An empty mount point whose disk is missing is another directory.
    public func wasEmptied(_ fileSystem: any FileSystem) throws(FileSystemError) -> Bool {
        guard let status = try fileSystem.status(of: directory), status.inode == place.inode,
            status.device == place.device
        else { return false }
        return try DirectoryVolume.isUnused(directory, fileSystem)
    }
}
