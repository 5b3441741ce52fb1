import Digests
import Foundation
import Model

/// A replica opened to be read from its first byte to its last, past the page cache where the file system can: what is
/// proved is the device, not memory, and what requests have in memory stays there.
public final class OpenReplica {
    package static let chunkByteCount = 1024 * 1024
    /// For those who read at the same time, as many as there usually are: see ``BufferPool``.
    package static let buffers = BufferPool(bufferSize: chunkByteCount, limit: 18)

    public let info: BlobInfo
    private let file: any File
    /// To be read as far as it is in memory; `nil` for what the device has.
    private let cached: (any File)?
    private var buffer: LentBuffer?
    private var offset: UInt64 = 0

    /// - Throws: ``BlobFlaw/unreadable(_:)``.
    init(
        fileSystem: any FileSystem, path: String, info: BlobInfo, cached: (any File)? = nil
    ) throws(BlobFlaw) {
        self.info = info
        self.cached = cached
        file = try BlobFormat.unreadable { () throws(FileSystemError) in
            try fileSystem.open(path, .direct, permissions: 0)
        }
    }

    deinit {
        file.close()
        cached?.close()
    }

    /// The bytes that follow, a whole number of blocks unless they are the last; `nil` behind the last. They are there
    /// until the next call.
    /// - Throws: ``BlobFlaw/truncated(expected:found:)``, ``BlobFlaw/unreadable(_:)``.
    func next() throws(BlobFlaw) -> (bytes: UnsafeRawBufferPointer, firstBlock: Int)? {
        let buffer = buffer ?? Self.buffers.lend()
        self.buffer = buffer
        return try next(into: buffer.bytes)
    }

    /// As ``next()``, into memory that the caller has: aligned, and of ``chunkByteCount`` bytes.
    package func next(
        into buffer: UnsafeMutableRawBufferPointer
    ) throws(BlobFlaw) -> (bytes: UnsafeRawBufferPointer, firstBlock: Int)? {
        precondition(buffer.count == Self.chunkByteCount, "the memory takes what is read at once")
        guard offset < info.length else { return nil }
        let wanted = Int(min(UInt64(Self.chunkByteCount), info.length - offset))
        // A direct read takes whole pages; the trailer behind the data makes up the last one.
        let page = FileSystemAlignment.bytes
        let aligned = (wanted + page - 1) / page * page
        let room = UnsafeMutableRawBufferPointer(rebasing: buffer[0..<aligned])
        let start = offset
        let count = try BlobFormat.unreadable { () throws(FileSystemError) in
            let wantedRoom = UnsafeMutableRawBufferPointer(rebasing: room[0..<wanted])
            if let count = try cached?.readIfCached(into: wantedRoom, at: start) { return count }
            return try file.read(into: room, at: start)
        }
        guard count >= wanted else {
            throw .truncated(expected: info.length, found: start + UInt64(count))
        }
        offset += UInt64(wanted)
        guard ScanPace.note(wanted) else {
            // Whoever ends a scan hears of that, and of no flaw.
            throw .unreadable(FileSystemError(operation: "read", path: "", code: ECANCELED))
        }
        return (UnsafeRawBufferPointer(rebasing: room[0..<wanted]), Int(start) / Limits.blockSize)
    }

    /// The blocks of a run that differ from the block table.
    package func corruptBlocks(in bytes: UnsafeRawBufferPointer, from first: Int) -> [BlobFlaw] {
        stride(from: 0, to: bytes.count, by: Limits.blockSize).compactMap { start in
            let end = min(start + Limits.blockSize, bytes.count)
            let found = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
            let block = first + start / Limits.blockSize
            let expected = info.blockChecksums[block]
            return found == expected
                ? nil : .corruptBlock(index: block, expected: expected, found: found)
        }
    }
}

/// Reads every byte of a replica.
enum BlobScan {
    static func run(_ replica: OpenReplica, digests: Bool) throws(BlobFlaw) -> [BlobFlaw] {
        var flaws: [BlobFlaw] = []
        var sha256 = SHA256()
        while let (bytes, block) = try replica.next() {
            if digests { sha256.update(bytes) }
            flaws += replica.corruptBlocks(in: bytes, from: block)
        }
        if flaws.isEmpty, digests, sha256.finalize() != replica.info.sha256 { flaws.append(.wrongSHA256) }
        return flaws
    }
}

/// Reads every byte of several replicas of one blob, side by side.
///
/// One is proved by its SHA-256. Another that is the same, byte for byte, is proved by it too, and comparing costs a
/// tenth of a digest.
public enum ReplicaComparison {
    /// Whether the blob's replicas on all the volumes are good. Where they are not, it takes
    /// ``Volume/verify(_:length:sha256:depth:)`` of each to say what is wrong.
    public static func areGood(_ id: BlobID, length: UInt64, sha256: [UInt8], on volumes: [any Volume])
        -> Bool
    {
        do throws(BlobFlaw) {
            var replicas: [OpenReplica] = []
            for volume in volumes {
                replicas.append(
                    try volume.openReplica(id, length: length, sha256: sha256, mayBeCached: false))
            }
            return try areGood(replicas)
        } catch {
            return false
        }
    }

    private static func areGood(_ replicas: [OpenReplica]) throws(BlobFlaw) -> Bool {
        guard let first = replicas.first else { return true }
        let others = replicas.dropFirst()
        guard others.allSatisfy({ $0.info.blockChecksums == first.info.blockChecksums }) else { return false }
        var digest = SHA256()
        while let (bytes, block) = try first.next() {
            for other in others {
                guard let theirs = try other.next()?.bytes, theirs.count == bytes.count,
                    let left = bytes.baseAddress, let right = theirs.baseAddress,
                    memcmp(left, right, bytes.count) == 0
                else { return false }
            }
            guard first.corruptBlocks(in: bytes, from: block).isEmpty else { return false }
            digest.update(bytes)
        }
        return digest.finalize() == first.info.sha256
    }
}
