import EventLog
import Model
import ObjectStore
import Volumes

/// Where the bytes of versions are read from: every block and every payload verified.
protocol StoredBytes: Sendable {
    /// The bytes that an event carries.
    func payload(of carrier: SequenceNumber) throws -> [UInt8]
    /// Reads whole blocks of a blob.
    /// - Returns: the number of bytes, which the blob's last block may make smaller than the blocks.
    func readBlocks(
        _ id: BlobID, length: UInt64, blocks: Range<Int>, into buffer: UnsafeMutableRawBufferPointer
    ) throws -> Int
}

/// A repository's copies.
extension Repository: StoredBytes {
    func payload(of carrier: SequenceNumber) throws -> [UInt8] { try log.payload(of: carrier) }

    func readBlocks(
        _ id: BlobID, length: UInt64, blocks: Range<Int>, into buffer: UnsafeMutableRawBufferPointer
    ) throws -> Int {
        try volume.readBlocks(id, length: length, blocks: blocks, into: buffer)
    }
}

/// A store's own, also of versions that were removed since: from whichever mirror or volume has them good.
struct VolumeBytes: StoredBytes {
    let inspection: StoreInspection

    func payload(of carrier: SequenceNumber) throws -> [UInt8] { try inspection.log.payload(of: carrier) }

    func readBlocks(
        _ id: BlobID, length: UInt64, blocks: Range<Int>, into buffer: UnsafeMutableRawBufferPointer
    ) throws -> Int {
        try inspection.readBlocks(id, length: length, blocks: blocks, into: buffer)
    }
}

/// The stored bytes of a version, piece by piece.
struct StoredPieces: RestoredPieces {
    private let version: ObjectVersion
    private let source: any StoredBytes

    init(_ version: ObjectVersion, in source: any StoredBytes) {
        self.version = version
        self.source = source
    }

    func read(_ index: Int, at offset: UInt64, count: Int) throws -> [UInt8] {
        let piece = version.record.pieces[index]
        guard let id = BlobID(bytes: piece.blobID) else {
            let payload = try source.payload(of: version.carrier(of: piece))
            return Array(payload.dropFirst(Int(offset)).prefix(count))
        }
        let size = UInt64(Limits.blockSize)
        precondition(offset % size == 0, "pieces are read from a block's beginning")
        let blocks = Int(offset / size)..<Int((offset + UInt64(count) + size - 1) / size)
        let buffer = AlignedBuffer(capacity: blocks.count * Limits.blockSize)
        let read = try source.readBlocks(id, length: piece.length, blocks: blocks, into: buffer.bytes)
        return Array(buffer.bytes[0..<min(read, count)])
    }
}
