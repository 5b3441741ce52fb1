import Digests
import Foundation
import Model

/// Reads every byte of a replica, past the page cache where the file system can: what is proved is the
/// device, not memory.
enum BlobScan {
    static let chunkByteCount = 1024 * 1024
    /// For those who scan at the same time, as many as there usually are: see ``BufferPool``.
    private static let buffers = BufferPool(bufferSize: chunkByteCount, limit: 8)

    static func run(
        fileSystem: any FileSystem, path: String, info: BlobInfo, digests: Bool
    ) throws(BlobFlaw) -> [BlobFlaw] {
        let file: any File
        do { file = try fileSystem.open(path, .direct, permissions: 0) } catch { throw .unreadable(error) }
        defer { file.close() }
        let pooled = buffers.tryTake()
        defer { if let pooled { buffers.give(pooled) } }
        let buffer = pooled ?? AlignedBuffer(capacity: chunkByteCount)
        var flaws: [BlobFlaw] = []
        var sha256 = SHA256()
        var offset: UInt64 = 0
        while offset < info.length {
            let wanted = min(UInt64(chunkByteCount), info.length - offset)
            // A direct read takes whole pages; the trailer behind the data makes up the last one.
            let page = FileSystemAlignment.bytes
            let aligned = (Int(wanted) + page - 1) / page * page
            let room = UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[0..<aligned])
            let count = try BlobFormat.unreadable { () throws(FileSystemError) in
                try file.read(into: room, at: offset)
            }
            guard count >= Int(wanted) else {
                throw .truncated(expected: info.length, found: offset + UInt64(count))
            }
            let bytes = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(room)[0..<Int(wanted)])
            if digests { sha256.update(bytes) }
            for start in stride(from: 0, to: bytes.count, by: Limits.blockSize) {
                let end = min(start + Limits.blockSize, bytes.count)
                let found = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
                let block = (Int(offset) + start) / Limits.blockSize
                let expected = info.blockChecksums[block]
                if found != expected {
                    flaws.append(.corruptBlock(index: block, expected: expected, found: found))
                }
            }
            offset += wanted
            ScanPace.note(Int(wanted))
        }
        if flaws.isEmpty, digests, sha256.finalize() != info.sha256 { flaws.append(.wrongSHA256) }
        return flaws
    }
}
