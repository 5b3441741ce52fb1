import Encryption
import EventLog
import Model
import Volumes

/// Reads a range of a version's bytes, every block verified before it is handed out (DESIGN invariant 3).
///
/// A block that is bad or cannot be read on one volume is read from another, block by block. What is in
/// memory is read on the caller's thread; what is not, on the volume's readers. One task at a time calls it.
public final class ObjectReader: @unchecked Sendable {  // every property belongs to the one task that calls
    private let engine: Engine
    private let version: ObjectVersion
    private var position: UInt64
    private let end: UInt64
    private var piece: (index: Int, start: UInt64)
    private var payload: [UInt8]?
    private var block: (index: Int, piece: Int, count: Int)?
    private var blockBuffer: AlignedBuffer?
    private let pin: ReadPins.Pin
    /// Does the reading, if the version is enciphered.
    private var deciphering: DecipheringReader?
    private let lacksKey: Bool
    /// The one volume to read from; `nil` for any.
    private let volume: Int?
    /// The version was declared lost: all that is wanted of it is read before a byte of it is handed out, so that no
    /// body is begun that cannot be ended.
    private var mustProve = false
    private let dataKey: SecretKey?
    /// Whether bytes that were read and verified before are as good; they are not where the volumes are what is asked for.
    private let takesCached: Bool
    /// A blob was found good nowhere, and mended for this very read: not twice.
    private var wasRescued = false

    /// - Parameter dataKey: needed, and looked at, for a version that is enciphered.
    init(_ version: ObjectVersion, range: Range<UInt64>, dataKey: SecretKey? = nil, engine: Engine) {
        precondition(range.upperBound <= version.size, "a range lies within its object")
        self.version = version
        self.engine = engine
        position = range.lowerBound
        end = range.upperBound
        piece = (0, 0)
        volume = nil
        pin = engine.readPins.pin(version.sequence)
        lacksKey = version.record.hasEncryption && dataKey == nil
        self.dataKey = dataKey
        mustProve = engine.board.isGone(version.sequence)
        takesCached = !mustProve
        if let dataKey, version.record.hasEncryption, !range.isEmpty {
            deciphering = DecipheringReader(version, range: range, dataKey: dataKey, engine: engine)
        }
    }

    /// Reads a version as it is stored, enciphered or not.
    /// - Parameter volume: the one volume to read from, if not any.
    /// - Precondition: `range` lies within what its pieces hold.
    init(stored version: ObjectVersion, range: Range<UInt64>, on volume: Int? = nil, engine: Engine) {
        self.volume = volume
        self.version = version
        self.engine = engine
        position = range.lowerBound
        end = range.upperBound
        piece = (0, 0)
        pin = engine.readPins.pin(version.sequence)
        lacksKey = false
        dataKey = nil
        takesCached = false
    }

    deinit { engine.readPins.unpin(pin) }

    /// Bytes not read yet.
    public var remaining: UInt64 { deciphering?.remaining ?? (end - position) }

    /// Reads the next bytes, as many as the buffer takes or fewer.
    /// - Returns: 0 at the end of the range.
    /// - Throws: ``StoreError/lost(_:evidence:)`` if no volume has a good replica of some block,
    ///   ``StoreError/notReadable(_:evidence:)`` if one that could not be asked may.
    public func read(into buffer: UnsafeMutableRawBufferPointer) async throws -> Int {
        if mustProve { try await prove() }
        if let deciphering { return try await deciphering.read(into: buffer) }
        guard position < end, buffer.count > 0 else { return 0 }
        guard !lacksKey else {
            throw StoreError.internalFault("an enciphered version is read without its key")
        }
        while position >= piece.start + version.record.pieces[piece.index].length {
            piece = (piece.index + 1, piece.start + version.record.pieces[piece.index].length)
            payload = nil
        }
        let current = version.record.pieces[piece.index]
        let offset = position - piece.start
        let count = Int(min(UInt64(buffer.count), end - position, current.length - offset))
        let room = UnsafeMutableRawBufferPointer(rebasing: buffer[0..<count])
        let read =
            current.blobID.isEmpty
            ? try await readPayload(current, offset: Int(offset), into: room)
            : try await readBlob(current, offset: offset, into: room)
        position += UInt64(read)
        return read
    }

    private func prove() async throws {
        mustProve = false
        let reader = ObjectReader(version, range: position..<end, dataKey: dataKey, engine: engine)
        reader.mustProve = false
        let buffer = AlignedBuffer(capacity: 16 * Limits.blockSize)
        while try await reader.read(into: buffer.bytes) > 0 {}
        if position == 0, end == version.size { engine.rescue.recovered(version) }
    }

    private func readPayload(
        _ current: EventPiece, offset: Int, into room: UnsafeMutableRawBufferPointer
    ) async throws -> Int {
        let bytes: [UInt8]
        if let payload {
            bytes = payload
        } else {
            bytes = try await payload(version.carrier(of: current))
            guard bytes.count == Int(current.length) else {
                throw StoreError.lost(
                    version,
                    evidence:
                        "event \(version.carrier(of: current)) has \(bytes.count) bytes, not \(current.length)"
                )
            }
            payload = bytes
        }
        bytes.withUnsafeBytes { source in
            room.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[offset..<offset + room.count]))
        }
        return room.count
    }

    /// From memory, or else from a volume.
    private func payload(_ sequence: SequenceNumber) async throws -> [UInt8] {
        guard takesCached, let cache = engine.payloadCache else { return try await fetch(sequence) }
        let name = PayloadCache.Name(bucket: version.record.bucket, key: version.key)
        switch cache.payload(of: sequence, name) {
        case .found(let bytes): return bytes
        case .missing(let isWanted):
            let bytes = try await fetch(sequence)
            if isWanted { cache.insert(bytes, of: sequence, name) }
            return bytes
        }
    }

    private func fetch(_ sequence: SequenceNumber) async throws -> [UInt8] {
        if volume == nil, let bytes = engine.ledger.payloadIfCached(of: sequence) { return bytes }
        var failure = ReadFailure()
        for handle in engine.volumes.inService where volume == nil || volume == handle.index {
            do {
                return try await WatchedJob.run(on: handle.reader, watch: engine.watch) {
                    [ledger = engine.ledger, volume] in
                    if let volume { return try ledger.log.payload(of: sequence, mirror: volume) }
                    return try ledger.payload(of: sequence)
                }
            } catch let error as LogError {
                failure.flaw(handle, error)
            } catch { failure.silence(handle, error) }
        }
        throw failure.error(version, "the bytes in event \(sequence)", engine.volumes)
    }

    private func readBlob(
        _ current: EventPiece, offset: UInt64, into room: UnsafeMutableRawBufferPointer
    ) async throws -> Int {
        guard let id = BlobID(bytes: current.blobID) else { preconditionFailure("a piece names a blob") }
        let size = UInt64(Limits.blockSize)
        let first = Int(offset / size)
        let isWhole = offset % size == 0
        // Whole blocks go straight to the caller's memory; the last one of a blob is whole when the rest of
        // it is wanted.
        let last =
            (offset + UInt64(room.count)) == current.length
            ? BlockMath.count(current.length) : Int((offset + UInt64(room.count)) / size)
        if isWhole, last > first {
            return try await readBlocks(id, current.length, first..<last, into: room)
        }
        let buffer = blockBuffer ?? AlignedBuffer(capacity: Limits.blockSize)
        blockBuffer = buffer
        if block?.index != first || block?.piece != piece.index {
            block = nil
            let count = try await readBlocks(id, current.length, first..<first + 1, into: buffer.bytes)
            block = (first, piece.index, count)
        }
        guard let block else { preconditionFailure("the block was just read") }
        let start = Int(offset % size)
        let count = min(room.count, block.count - start)
        room.copyMemory(from: UnsafeRawBufferPointer(rebasing: buffer.bytes[start..<start + count]))
        return count
    }

    private func readBlocks(
        _ id: BlobID, _ length: UInt64, _ blocks: Range<Int>, into room: UnsafeMutableRawBufferPointer
    ) async throws -> Int {
        var handles = engine.readOrder(id)
        if let volume { handles.removeAll { $0.index != volume } }
        guard let primary = handles.first else {
            throw ReadFailure().error(version, "blob \(id)", engine.volumes)
        }
        do throws(BlobFlaw) {
            if let count = try primary.volume.readBlocksIfCached(
                id, length: length, blocks: blocks, into: room)
            {
                return count
            }
        } catch {
            // Met again, and reported, below.
        }
        var done = 0
        for chunk in BlockMath.chunks(blocks) {
            let rest = UnsafeMutableRawBufferPointer(rebasing: room[done...])
            done += try await readChunk(id, length, chunk, from: handles, into: rest)
        }
        return done
    }

    /// Reads up to 1 MiB on a volume's readers, into memory of the pool: a read that its deadline gives up
    /// may still be writing there.
    private func readChunk(
        _ id: BlobID, _ length: UInt64, _ blocks: Range<Int>, from handles: [VolumeHandle],
        into room: UnsafeMutableRawBufferPointer
    ) async throws -> Int {
        var failure = ReadFailure()
        for handle in handles {
            let shared = await engine.readBuffers.borrow()
            do {
                let count = try await WatchedJob.run(on: handle.reader, watch: engine.watch) {
                    try handle.volume.readBlocks(
                        id, length: length, blocks: blocks, into: shared.bytes)
                }
                room.copyMemory(from: UnsafeRawBufferPointer(rebasing: shared.bytes[0..<count]))
                return count
            } catch let flaw as BlobFlaw {
                engine.report(id, volume: handle.index, flaw)
                failure.flaw(handle, flaw)
            } catch let late as DeadlinePassed {
                engine.volumes.fail(handle, reason: "reading blob \(id): \(late)")
                failure.silence(handle, late)
            } catch {
                // It left service since the volumes were listed, or its queue is full.
                failure.silence(handle, error)
            }
        }
        guard blocks.count > 1 else {
            if volume == nil, try await isRescued(id) {
                return try await readChunk(id, length, blocks, from: engine.readOrder(id), into: room)
            }
            throw failure.error(version, "blob \(id) block \(blocks.lowerBound)", engine.volumes)
        }
        // No volume has all of these blocks; together they may.
        var done = 0
        for block in blocks {
            let rest = UnsafeMutableRawBufferPointer(rebasing: room[done...])
            done += try await readChunk(id, length, block..<block + 1, from: handles, into: rest)
        }
        return done
    }

    /// Whether a blob that no volume has good by itself was mended, from all of them together. One that was declared
    /// lost is not tried again with every read.
    private func isRescued(_ id: BlobID) async throws -> Bool {
        guard !wasRescued, !engine.board.isGone(version.sequence) else { return false }
        wasRescued = true
        return try await engine.rescue.mend(id)
    }
}

enum BlockMath {
    static func count(_ length: UInt64) -> Int {
        Int((length + UInt64(Limits.blockSize) - 1) / UInt64(Limits.blockSize))
    }

    /// Runs of at most 1 MiB.
    static func chunks(_ blocks: Range<Int>) -> [Range<Int>] {
        stride(from: blocks.lowerBound, to: blocks.upperBound, by: 16).map {
            $0..<min($0 + 16, blocks.upperBound)
        }
    }
}
