import Digests
import Foundation
import Model
import Synchronization
import Volumes

/// One volume's mirror of the log: a directory of segments.
///
/// Appending, sealing and making the next segment ready run on the mirror's lane, one after the other.
/// Reading runs on any thread.
public final class LogMirror: Sendable {
    static let zeroChunk = 1024 * 1024
    /// Written to files, and by nobody else.
    private static let zeros: AlignedBuffer = {
        let buffer = AlignedBuffer(capacity: zeroChunk)
        buffer.bytes.initializeMemory(as: UInt8.self, repeating: 0)
        return buffer
    }()
    static let openLimit = 16

    public let index: Int
    let fileSystem: any FileSystem
    let directory: String
    let quarantineDirectory: String
    let lane: any Lane

    /// The segment that frames are appended to.
    struct Active: Sendable {
        let first: SequenceNumber
        let file: any File
        /// Where the next frame goes.
        var end: UInt64
    }

    /// A segment file that is being allocated and zeroed under the name ``Segment/nextName``.
    struct Next: Sendable {
        let file: any File
        var zeroed: UInt64
    }

    private struct State {
        var active: Active?
        var next: Next?
        /// Why the next segment could not be made ready ahead.
        var unready: FileSystemError?
        var open: [SequenceNumber: SegmentFile] = [:]
        var order: [SequenceNumber] = []
        /// Grows when some segment's name is about to be given to another file, or taken away, and again when it was.
        var renamings: UInt64 = 0
        /// Segments that are being renamed.
        var renaming = 0

        mutating func forget(_ first: SequenceNumber) {
            open.removeValue(forKey: first)
            order.removeAll { $0 == first }
        }
    }

    private let state = Mutex(State())
    private let isRetired = Atomic<Bool>(false)

    /// - Parameters:
    ///   - directory: the volume's `log` directory.
    ///   - quarantine: where a tail that is cut is put first.
    public init(
        fileSystem: any FileSystem, directory: String, quarantine: String, index: Int, lane: any Lane
    ) {
        self.fileSystem = fileSystem
        self.directory = directory
        quarantineDirectory = quarantine
        self.index = index
        self.lane = lane
    }

    func path(_ first: SequenceNumber) -> String { directory + "/" + Segment.name(first) }
    private var nextPath: String { directory + "/" + Segment.nextName }

    var active: Active? { state.withLock { $0.active } }

    func setActive(_ active: Active?) { state.withLock { $0.active = active } }

    // MARK: Appending, on the lane

    /// What a flush brings to every mirror: bytes for the active segment, or first a seal and a new segment.
    struct Chunk: Sendable {
        /// Set if the chunk begins a segment.
        var begins: (header: Segment.Header, seal: [UInt8])?
        let offset: UInt64
        var bytes: [UInt8]
        /// Zeros at the end of `bytes` that are no part of any frame: they make the last page whole, so that a
        /// page that is not in memory need not be read before it is written.
        var padding = 0

        var frameByteCount: UInt64 { UInt64(bytes.count - padding) }

        /// Pads to a whole page, inside the segment.
        mutating func pad(segmentByteCount: UInt64) {
            let page = UInt64(FileSystemAlignment.bytes)
            let end = offset + UInt64(bytes.count)
            let whole = (end + page - 1) / page * page
            guard whole > end, whole <= segmentByteCount else { return }
            padding = Int(whole - end)
            bytes.append(contentsOf: repeatElement(0, count: padding))
        }
    }

    /// The mirror has left the log. A call on it that hung in the kernel may go on any time later, when the volume
    /// is back under another mirror: from here on it stops before it changes another file or a name.
    func retire() { isRetired.store(true, ordering: .sequentiallyConsistent) }

    private func requireDuty(_ operation: String = "append") throws(FileSystemError) {
        guard isRetired.load(ordering: .sequentiallyConsistent) else { return }
        throw FileSystemError(
            operation: operation, path: directory, code: ECANCELED, detail: "the volume has left the log")
    }

    /// Appends and makes durable. On an error the mirror must not be appended to again: what the file holds
    /// is not known.
    func append(_ chunks: [Chunk], segmentByteCount: UInt64) throws(FileSystemError) {
        if let error = state.withLock({ $0.unready.take() }) {
            // A disk that failed away from the frames is as sick. One that is full may have room by the time
            // the next segment is needed, and refuses then if it has not.
            guard error.code == ENOSPC else { throw error }
        }
        for chunk in chunks {
            try requireDuty()
            if let begins = chunk.begins {
                try seal(begins.seal)
                try begin(
                    begins.header, segmentByteCount: segmentByteCount, with: chunk.bytes,
                    padding: chunk.padding)
            } else if !chunk.bytes.isEmpty {
                guard let active else { preconditionFailure("a mirror in service has an active segment") }
                precondition(active.end == chunk.offset, "frames are appended where the last one ended")
                try active.file.write(chunk.bytes, at: chunk.offset)
                try active.file.sync()
                state.withLock { $0.active?.end += chunk.frameByteCount }
            }
        }
    }

    /// Ends the active segment. Durable before the next segment gets its name, so that only the last segment
    /// can be unsealed.
    private func seal(_ seal: [UInt8]) throws(FileSystemError) {
        guard let active else { preconditionFailure("a mirror in service has an active segment") }
        try active.file.write(seal, at: active.end)
        try requireDuty()
        try active.file.truncate(to: active.end + UInt64(seal.count))
        try active.file.sync()
        setActive(nil)
    }

    /// Begins a segment in the file that was made ready: header and frames are durable before the file gets
    /// its name.
    /// - Parameter padding: as in ``Chunk``.
    func begin(
        _ header: Segment.Header, segmentByteCount: UInt64, with bytes: [UInt8], padding: Int = 0
    ) throws(FileSystemError) {
        while try !prepareNext(segmentByteCount: segmentByteCount) {}
        guard let next = state.withLock({ $0.next.take() }) else {
            preconditionFailure("a prepared segment is there")
        }
        try requireDuty()
        try next.file.write(header.encoded() + bytes, at: 0)
        try next.file.sync()
        try requireDuty()
        try fileSystem.rename(nextPath, to: path(header.first))
        try fileSystem.syncDirectory(directory)
        setActive(
            Active(
                first: header.first, file: next.file,
                end: UInt64(Segment.headerByteCount + bytes.count - padding)))
    }

    /// One step of making the next segment ready: allocated, then zeroed a chunk at a time, so that a commit
    /// that comes meanwhile waits for one chunk at most. A sync into zeroed space costs half of one that
    /// makes a file grow.
    /// - Returns: whether it is ready.
    func prepareNext(segmentByteCount: UInt64) throws(FileSystemError) -> Bool {
        do {
            return try prepareStep(segmentByteCount: segmentByteCount)
        } catch {
            // What a write or a sync that failed has left is not known: the next attempt begins another file.
            state.withLock { $0.next = nil }
            throw error
        }
    }

    /// As ``prepareNext(segmentByteCount:)``, ahead of need: an error is told to the next append.
    func prepareAhead(segmentByteCount: UInt64) {
        do { _ = try prepareNext(segmentByteCount: segmentByteCount) } catch {
            state.withLock { $0.unready = error }
        }
    }

    private func prepareStep(segmentByteCount: UInt64) throws(FileSystemError) -> Bool {
        try requireDuty()
        var next: Next
        if let known = state.withLock({ $0.next }) {
            next = known
        } else {
            if try fileSystem.status(of: nextPath) != nil { try fileSystem.remove(nextPath) }
            // Past the page cache: zeros are not worth the copy, nor the memory.
            let isAligned = segmentByteCount % UInt64(FileSystemAlignment.bytes) == 0
            let file = try fileSystem.open(
                nextPath, isAligned ? [.write, .createNew, .direct] : [.write, .createNew],
                permissions: 0o600)
            try file.allocate(size: segmentByteCount)
            next = Next(file: file, zeroed: 0)
        }
        if next.zeroed < segmentByteCount {
            let count = Int(min(UInt64(Self.zeroChunk), segmentByteCount - next.zeroed))
            try next.file.write(
                UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(Self.zeros.bytes)[0..<count]),
                at: next.zeroed)
            try next.file.sync()
            next.zeroed += UInt64(count)
            if next.zeroed == segmentByteCount {
                // Frames are not written in whole pages.
                next = Next(
                    file: try fileSystem.open(nextPath, .write, permissions: 0o600), zeroed: next.zeroed)
            }
        }
        let prepared = next
        state.withLock { $0.next = prepared }
        return prepared.zeroed >= segmentByteCount
    }

    func nextIsReady(segmentByteCount: UInt64) -> Bool {
        state.withLock { state in state.next.map { $0.zeroed >= segmentByteCount } ?? false }
    }

    // MARK: Reading, on any thread

    /// Segments that are there, by their first event.
    func list() throws(FileSystemError) -> [SequenceNumber] {
        try fileSystem.list(directory).compactMap { Segment.first(of: $0) }
    }

    /// A sealed segment, kept open for the next reader.
    func sealed(_ first: SequenceNumber) throws(SegmentFlaw) -> SegmentFile {
        let (known, before) = state.withLock { ($0.open[first], $0.renamings) }
        if let known { return known }
        let file = try SegmentFile.open(path(first), fileSystem: fileSystem)
        guard file.seal != nil else { throw .notSealed }
        state.withLock { state in
            // It may be the file that had the name before.
            guard state.renamings == before else { return }
            state.open[first] = file
            state.order.append(first)
            if state.order.count > Self.openLimit {
                state.open.removeValue(forKey: state.order.removeFirst())
            }
        }
        return file
    }

    func forgetSealed(_ first: SequenceNumber) { state.withLock { $0.forget(first) } }

    private static let lookLimit = 200
    private static let lookPause = 0.005

    /// What `look` finds at a segment, by its table and its bytes: looked at once more as long as some segment was
    /// renamed meanwhile, for then the two may be of different files. After a second of that, as a disk that hangs makes it,
    /// what it found last.
    func steadily<Found>(
        isGood: (Found) -> Bool, _ look: () throws -> Found
    ) rethrows -> Found {
        var looks = 1
        while true {
            let before = state.withLock { ($0.renamings, $0.renaming) }
            let found = try look()
            if isGood(found) || looks == Self.lookLimit { return found }
            let now = state.withLock { ($0.renamings, $0.renaming) }
            if before == now, now.1 == 0 { return found }
            looks += 1
            if now.1 > 0 { Thread.sleep(forTimeInterval: Self.lookPause) }
        }
    }

    /// Renames a segment's file, or another to it, so that no reader keeps the one that had the name before.
    private func rename(
        _ path: String, to newPath: String, of first: SequenceNumber
    ) throws(FileSystemError) {
        try requireDuty("rename")
        // A rename may hang; whoever wants the lock must not.
        state.withLock { state in
            state.renaming += 1
            state.renamings += 1
        }
        defer {
            state.withLock { state in
                state.forget(first)
                state.renamings += 1
                state.renaming -= 1
            }
        }
        try fileSystem.rename(path, to: newPath)
    }

    func closeFiles() {
        let taken = state.withLock { state -> (Active?, Next?) in
            state.open.removeAll()
            state.order.removeAll()
            defer { (state.active, state.next) = (nil, nil) }
            return (state.active, state.next)
        }
        _ = taken  // closed with their last reference: a lane that hangs may hold one still
    }

    // MARK: Replacing

    /// Where the new file of a segment is before it takes another's place.
    var besidePath: String { directory + "/copy" }

    /// Puts a segment in place of the one that is there, or where none is: written beside, synced, renamed,
    /// directory synced.
    /// - Parameter size: zeros follow the bytes up to here, for an active segment.
    func replace(_ first: SequenceNumber, with bytes: [UInt8], size: UInt64? = nil) throws(FileSystemError)
        -> any File
    {
        let file = try writeBeside(bytes, size: size)
        try takePlace(of: first)
        return file
    }

    /// Writes the new file of a segment beside the one whose place it is to take, and syncs it.
    func writeBeside(_ bytes: [UInt8], size: UInt64? = nil) throws(FileSystemError) -> any File {
        if try fileSystem.status(of: besidePath) != nil { try fileSystem.remove(besidePath) }
        let file = try fileSystem.open(besidePath, [.write, .createNew], permissions: 0o600)
        try file.write(bytes, at: 0)
        if let size {
            var offset = UInt64(bytes.count)
            while offset < size {
                let count = min(UInt64(Self.zeroChunk), size - offset)
                try file.write([UInt8](repeating: 0, count: Int(count)), at: offset)
                offset += count
            }
        }
        try file.sync()
        return file
    }

    /// Gives the file that was written beside a segment its name.
    func takePlace(of first: SequenceNumber) throws(FileSystemError) {
        try rename(besidePath, to: path(first), of: first)
        try fileSystem.syncDirectory(directory)
    }

    /// Removes the new file of a segment that was to be replaced by whoever ended before it was.
    func clearUnfinished() throws(FileSystemError) {
        guard try fileSystem.status(of: besidePath) != nil else { return }
        do throws(FileSystemError) { try fileSystem.remove(besidePath) } catch {
            guard error.isRetained else { throw error }  // it stays until it may go
        }
    }

    /// Copies what is about to be cut or replaced to quarantine, with the reason.
    /// - Parameter first: the event that the segment begins with.
    /// - Returns: where it is, relative to the volume.
    @discardableResult
    func quarantine(
        _ bytes: [UInt8], as name: String, of first: SequenceNumber, reason: String
    ) throws -> String {
        let place = try freePlace(name)
        let note = QuarantineNote(
            path: "log/\(Segment.name(first))", reason: reason, time: Timestamp.now().description,
            size: UInt64(bytes.count), sha256: SHA256.hash(bytes).hexadecimal, unreadable: nil)
        try fileSystem.replaceFile("\(quarantineDirectory)/\(place).json", with: try note.encoded())
        try fileSystem.replaceFile("\(quarantineDirectory)/\(place)", with: bytes)
        return "quarantine/\(place)"
    }

    /// A name in quarantine that nothing has: nothing there is ever overwritten.
    private func freePlace(_ name: String) throws(FileSystemError) -> String {
        var place = name
        while try fileSystem.status(of: "\(quarantineDirectory)/\(place)") != nil { place += "+" }
        return place
    }

    /// Moves a segment to quarantine, with the reason: also one that cannot be read.
    func setAside(_ first: SequenceNumber, reason: String) throws {
        let path = "\(quarantineDirectory)/\(try freePlace("log-\(first)"))"
        var sha256: String?
        var unreadable: String?
        do { sha256 = SHA256.hash(try fileSystem.contents(of: self.path(first))).hexadecimal } catch {
            unreadable = "\(error)"
        }
        let note = QuarantineNote(
            path: "log/\(Segment.name(first))",
            reason: "volume \(index): log/\(Segment.name(first)): \(reason)",
            time: Timestamp.now().description, size: try fileSystem.status(of: self.path(first))?.size,
            sha256: sha256, unreadable: unreadable)
        try fileSystem.replaceFile(path + ".json", with: try note.encoded())
        try rename(self.path(first), to: path, of: first)
        try fileSystem.syncDirectory(quarantineDirectory)
        try fileSystem.syncDirectory(directory)
    }
}
