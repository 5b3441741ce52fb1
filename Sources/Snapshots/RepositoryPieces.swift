import EventLog
import Foundation
import Model
import ObjectStore
import Volumes

/// The stored bytes of a version, read from a repository: every block and every payload verified.
final class RepositoryPieces: RestoredPieces {
    private let version: ObjectVersion
    private let repository: Repository

    init(_ version: ObjectVersion, in repository: Repository) {
        self.version = version
        self.repository = repository
    }

    func read(_ index: Int, at offset: UInt64, count: Int) throws -> [UInt8] {
        let piece = version.record.pieces[index]
        guard let id = BlobID(bytes: piece.blobID) else {
            let payload = try repository.log.payload(of: version.carrier(of: piece))
            return Array(payload.dropFirst(Int(offset)).prefix(count))
        }
        let size = UInt64(Limits.blockSize)
        precondition(offset % size == 0, "pieces are read from a block's beginning")
        let blocks = Int(offset / size)..<Int((offset + UInt64(count) + size - 1) / size)
        let buffer = AlignedBuffer(capacity: blocks.count * Limits.blockSize)
        let read = try repository.volume.readBlocks(
            id, length: piece.length, blocks: blocks, into: buffer.bytes)
        return Array(buffer.bytes[0..<min(read, count)])
    }
}
