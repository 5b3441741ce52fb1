import Digests
import Model
import Volumes

/// Writes one blob to a volume, a run of blocks at a time: each is verified by what it is read from, and the whole
/// against its SHA-256 before the file is complete.
///
/// Synchronous; between two steps, whoever takes them may let others go first.
final class BlobFilling: @unchecked Sendable {
    // Unchecked: steps are taken one after the other, each when the one before has returned.
    private static let chunkBlocks = OpenReplica.chunkByteCount / Limits.blockSize

    let sink: any BlobSink
    private let info: BlobInfo
    private let source: any BlockSource
    private let copied: (@Sendable (Int) throws -> Void)?
    private let blockCount: Int
    /// Blocks that are written.
    private var done = 0
    private var isComplete = false
    private var sha256 = SHA256()
    private var checksums: [UInt32] = []

    /// - Parameter copied: told of each run of bytes that was read, before it is written.
    init(
        _ sink: any BlobSink, _ info: BlobInfo, _ source: any BlockSource,
        _ copied: (@Sendable (Int) throws -> Void)?
    ) {
        self.sink = sink
        self.info = info
        self.source = source
        self.copied = copied
        blockCount = BlockMath.count(info.length)
        checksums.reserveCapacity(blockCount)
    }

    /// - Returns: the number of bytes that it wrote; `nil` if all were there: the blob is complete then, and not durable.
    /// - Throws: ``BlobFlaw`` if some block is good nowhere, or what writing throws. The sink is to be aborted then.
    func step() throws -> Int? {
        guard !isComplete else { return nil }
        let buffer = OpenReplica.buffers.lend()
        defer { withExtendedLifetime(buffer) {} }
        var bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer.bytes)[0..<0])
        if done < blockCount {
            let blocks = done..<min(done + Self.chunkBlocks, blockCount)
            let count = try source.read(blocks, into: buffer.bytes)
            bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer.bytes)[0..<count])
            sha256.update(bytes)
            try copied?(count)
            for offset in stride(from: 0, to: count, by: Limits.blockSize) {
                let end = min(offset + Limits.blockSize, count)
                checksums.append(CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[offset..<end])))
            }
            done = blocks.upperBound
        }
        let aligned = bytes.count & ~(FileSystemAlignment.bytes - 1)
        if aligned > 0 { try sink.append(UnsafeRawBufferPointer(rebasing: bytes[0..<aligned])) }
        // Only the last run of a blob has a rest: the others are whole blocks.
        if done == blockCount { try complete(UnsafeRawBufferPointer(rebasing: bytes[aligned...])) }
        return bytes.count
    }

    private func complete(_ tail: UnsafeRawBufferPointer) throws {
        guard sha256.finalize() == info.sha256 else { throw BlobFlaw.wrongSHA256 }
        try sink.complete(
            tail: tail,
            trailer: BlobTrailer(
                length: info.length, blockChecksums: checksums, sha256: info.sha256,
                descriptor: info.descriptor))
        isComplete = true
    }
}
