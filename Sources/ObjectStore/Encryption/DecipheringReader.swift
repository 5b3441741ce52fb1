import Encryption
import Model
import Volumes

/// Reads a range of an enciphered version: opens the chunks that the range touches, and hands out no byte of one
/// that does not authenticate.
///
/// What is stored is read through an ``ObjectReader`` of its own, so blocks are checked, and taken from another
/// volume, below. Chunks that follow one another, over the ends of pieces too, stand one after the other in what is
/// stored: it is read in order, up to ``window`` at once. One task at a time calls it.
final class DecipheringReader {
    /// Chunks that are read at once at most: about 1 MiB.
    private static let window = 16

    private struct Chunk {
        let piece: Int
        let index: Int
        let count: Int
        let isLast: Bool
    }

    private let version: ObjectVersion
    private let dataKey: SecretKey
    private let engine: Engine
    private let stored: ObjectReader
    /// The next chunk to read.
    private var next: (piece: Int, chunk: Int)
    /// Bytes of the first chunk that stand before the range.
    private var skipped: Int
    private(set) var remaining: UInt64
    private var opener: (piece: Int, opener: PieceOpener)?
    private var buffer: AlignedBuffer?
    /// What was opened and is not handed out yet, in order: ranges of `buffer`.
    private var ready: ArraySlice<Range<Int>> = []

    /// - Precondition: `range` lies within the version and is not empty.
    init(_ version: ObjectVersion, range: Range<UInt64>, dataKey: SecretKey, engine: Engine) {
        self.version = version
        self.dataKey = dataKey
        self.engine = engine
        remaining = UInt64(range.count)
        let first = Self.locate(range.lowerBound, in: version)
        let last = Self.locate(range.upperBound - 1, in: version)
        next = (first.piece, first.chunk)
        skipped = first.offset
        stored = ObjectReader(
            stored: version, range: first.stored.lowerBound..<last.stored.upperBound, engine: engine)
    }

    deinit {
        if let buffer { Self.forget(buffer) }
    }

    /// Plaintext does not stay in memory that goes back to the allocator.
    private static func forget(_ buffer: AlignedBuffer) {
        buffer.bytes.initializeMemory(as: UInt8.self, repeating: 0)
    }

    private typealias Place = (piece: Int, chunk: Int, offset: Int, stored: Range<UInt64>)

    /// Where a byte is: its piece, its chunk in it, its place in the chunk; and where the chunk is stored.
    private static func locate(_ position: UInt64, in version: ObjectVersion) -> Place {
        var start: UInt64 = 0
        var storedStart: UInt64 = 0
        for (index, piece) in version.record.pieces.enumerated() {
            let length = piece.contentLength
            if position < start + length {
                let (chunk, offset) = (position - start).quotientAndRemainder(
                    dividingBy: UInt64(SealedPiece.chunkByteCount))
                let from = chunk * UInt64(SealedPiece.sealedChunkByteCount)
                let end = min(from + UInt64(SealedPiece.sealedChunkByteCount), piece.length)
                return (index, Int(chunk), Int(offset), storedStart + from..<storedStart + end)
            }
            start += length
            storedStart += piece.length
        }
        preconditionFailure("a range lies within its object")
    }

    func read(into output: UnsafeMutableRawBufferPointer) async throws -> Int {
        guard remaining > 0, output.count > 0 else { return 0 }
        while ready.isEmpty { try await fill() }
        guard let buffer else { preconditionFailure("what is ready stands in the buffer") }
        var done = 0
        while let range = ready.first, done < output.count, remaining > 0 {
            let count = min(range.count, output.count - done, Int(clamping: remaining))
            UnsafeMutableRawBufferPointer(rebasing: output[done..<done + count]).copyMemory(
                from: UnsafeRawBufferPointer(
                    rebasing: buffer.bytes[range.lowerBound..<range.lowerBound + count]))
            done += count
            remaining -= UInt64(count)
            ready.removeFirst()
            if count < range.count {
                ready.insert(range.lowerBound + count..<range.upperBound, at: ready.startIndex)
            }
        }
        return done
    }

    /// Reads the next chunks and opens them in place.
    private func fill() async throws {
        let chunks = upcoming()
        let total = chunks.reduce(0) { $0 + $1.count }
        let buffer = buffer(for: total)
        var done = 0
        while done < total {
            let count = try await stored.read(
                into: UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[done..<total]))
            guard count > 0 else {
                throw StoreError.lost(version, evidence: "what is stored is shorter than its pieces say")
            }
            done += count
        }
        var start = 0
        var opened: [Range<Int>] = []
        for chunk in chunks {
            let bytes = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[start..<start + chunk.count])
            if !opener(of: chunk.piece).open(bytes, index: chunk.index, isLast: chunk.isLast) {
                try await openFromAnother(chunk, in: bytes)
            }
            let end = start + chunk.count - AESGCM.tagByteCount
            opened.append(start + skipped..<end)
            skipped = 0
            start += chunk.count
        }
        ready = opened[...]
    }

    /// Opens a chunk that does not authenticate, though its blocks' checksums are good, from the first volume on
    /// which it does.
    private func openFromAnother(_ chunk: Chunk, in bytes: UnsafeMutableRawBufferPointer) async throws {
        let start =
            version.record.pieces[..<chunk.piece].reduce(
                UInt64(chunk.index * SealedPiece.sealedChunkByteCount)
            ) {
                $0 + $1.length
            }
        let place = "chunk \(chunk.index) of piece \(chunk.piece)"
        var failure = ReadFailure()
        var forged: [VolumeHandle] = []
        for handle in engine.volumes.inService {
            let reader = ObjectReader(
                stored: version, range: start..<start + UInt64(chunk.count), on: handle.index, engine: engine)
            do {
                var done = 0
                while done < chunk.count {
                    done += try await reader.read(
                        into: UnsafeMutableRawBufferPointer(rebasing: bytes[done...]))
                }
            } catch StoreError.lost, StoreError.notReadable {
                failure.silence(handle, NotAuthentic(place: "\(place) could not be read"))
                continue
            }
            if opener(of: chunk.piece).open(bytes, index: chunk.index, isLast: chunk.isLast) {
                for other in forged { report(chunk, on: other) }
                return
            }
            failure.flaw(handle, NotAuthentic(place: "\(place) does not authenticate"))
            forged.append(handle)
        }
        let error = failure.error(version, "enciphered bytes", engine.volumes)
        // Every volume has the same, whole: it is no replica that is bad, but the key or what is said of it.
        guard case .lost(_, let evidence) = error else { throw error }
        engine.reportUndecipherable(version, evidence)
        throw StoreError.undecipherable(version, evidence: evidence)
    }

    /// The replica that another one showed to be false is looked at as any that is damaged.
    private func report(_ chunk: Chunk, on handle: VolumeHandle) {
        guard let id = BlobID(bytes: version.record.pieces[chunk.piece].blobID) else { return }
        engine.report(
            id, volume: handle.index,
            .wrongContent("chunk \(chunk.index) does not authenticate under its key"))
    }

    /// The chunks to read now, and moves past them.
    private func upcoming() -> [Chunk] {
        var chunks: [Chunk] = []
        var budget = stored.remaining
        while chunks.count < Self.window, budget > 0 {
            let piece = version.record.pieces[next.piece]
            let from = UInt64(next.chunk) * UInt64(SealedPiece.sealedChunkByteCount)
            guard from < piece.length else {
                next = (next.piece + 1, 0)
                continue
            }
            let count = min(UInt64(SealedPiece.sealedChunkByteCount), piece.length - from)
            chunks.append(
                Chunk(
                    piece: next.piece, index: next.chunk, count: Int(count),
                    isLast: from + count == piece.length))
            next.chunk += 1
            budget -= count
        }
        return chunks
    }

    private func opener(of piece: Int) -> PieceOpener {
        if let opener, opener.piece == piece { return opener.opener }
        let made = PieceOpener(dataKey: dataKey, salt: Array(version.record.pieces[piece].keySalt))
        opener = (piece, made)
        return made
    }

    private func buffer(for count: Int) -> AlignedBuffer {
        if let buffer, buffer.capacity >= count { return buffer }
        if let buffer { Self.forget(buffer) }
        let page = FileSystemAlignment.bytes
        let made = AlignedBuffer(capacity: (count + page - 1) / page * page)
        buffer = made
        return made
    }
}

private struct NotAuthentic: Error, CustomStringConvertible {
    let place: String
    var description: String { place }
}

extension EventPiece {
    /// The bytes that the piece is of its object: fewer than are stored, if they are stored enciphered.
    public var contentLength: UInt64 {
        keySalt.isEmpty ? length : SealedPiece.openedLength(of: length)
    }
}
