import Digests
import Model
import Volumes

/// Writes a blob to a volume from a sibling's replica, every block verified on the way and the whole against
/// its SHA-256. Synchronous: runs on a thread that may wait for disks.
struct BlobCopier: Sendable {
    static let chunkBlocks = 16

    /// Volumes to read from.
    let sources: [any Volume]
    /// Told of each run of bytes that is copied; may wait before the next.
    var copied: (@Sendable (Int) throws -> Void)?

    /// - Throws: ``BlobFlaw`` if no source has a good replica of some block, or what writing throws; nothing
    ///   of the copy stays then.
    /// - Returns: bytes of data written.
    /// - Parameters:
    ///   - replacing: why a replica that is there goes to quarantine; `nil` if none is.
    ///   - settles: whether the blob is published: its name in incoming/ goes. Else that stays, for recovery to find
    ///     the copy by.
    @discardableResult
    func copy(
        _ id: BlobID, to target: any Volume, replacing: String?, settles: Bool = true
    ) throws -> UInt64 {
        let info = try firstInfo(of: id)
        let sink = try target.beginBlob(id, expectedLength: info.length, replacing: replacing)
        do {
            try fill(sink, with: info)
        } catch {
            try sink.abort()
            throw error
        }
        if settles { try target.settle(id) }
        return info.length
    }

    private func firstInfo(of id: BlobID) throws -> BlobInfo {
        var flaw: any Error = BlobFlaw.missing
        for source in sources {
            do { return try source.info(of: id, length: nil) } catch { flaw = error }
        }
        throw flaw
    }

    private func fill(_ sink: any BlobSink, with info: BlobInfo) throws {
        let buffer = AlignedBuffer(capacity: Self.chunkBlocks * Limits.blockSize)
        let total = (Int(info.length) + Limits.blockSize - 1) / Limits.blockSize
        var sha256 = SHA256()
        var checksums: [UInt32] = []
        checksums.reserveCapacity(total)
        var tail = 0..<0
        for start in stride(from: 0, to: total, by: Self.chunkBlocks) {
            let blocks = start..<min(start + Self.chunkBlocks, total)
            let count = try read(info, blocks, into: buffer.bytes)
            let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer.bytes)[0..<count])
            sha256.update(bytes)
            try copied?(count)
            for offset in stride(from: 0, to: count, by: Limits.blockSize) {
                let end = min(offset + Limits.blockSize, count)
                checksums.append(CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[offset..<end])))
            }
            let aligned = count & ~(FileSystemAlignment.bytes - 1)
            if aligned > 0 { try sink.append(UnsafeRawBufferPointer(rebasing: bytes[0..<aligned])) }
            tail = aligned..<count
        }
        guard sha256.finalize() == info.sha256 else { throw BlobFlaw.wrongSHA256 }
        let rest = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer.bytes)[tail])
        try sink.finish(
            tail: rest,
            trailer: BlobTrailer(
                length: info.length, blockChecksums: checksums, sha256: info.sha256,
                descriptor: info.descriptor))
    }

    /// Whole blocks from the first source that has them good, block by block where none has all.
    private func read(
        _ info: BlobInfo, _ blocks: Range<Int>, into buffer: UnsafeMutableRawBufferPointer
    ) throws -> Int {
        var flaw: any Error = BlobFlaw.missing
        for source in sources {
            do {
                return try source.readBlocks(info.id, length: info.length, blocks: blocks, into: buffer)
            } catch { flaw = error }
        }
        guard blocks.count > 1 else { throw flaw }
        var count = 0
        for block in blocks {
            let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[count...])
            count += try read(info, block..<block + 1, into: rest)
        }
        return count
    }
}
