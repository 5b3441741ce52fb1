import Catalog
import EventLog
import Model
import ObjectStore
import Volumes

/// What objects come back from: the catalog as it was at some event, and the bytes that it names.
protocol RestoreSource: Sendable {
    /// "snapshot monday", "event 1234": goes into the events of what is restored.
    var label: String { get }
    var catalog: Catalog { get }
    func pieces(of version: ObjectVersion) -> any RestoredPieces
}

/// A snapshot of a repository.
struct SnapshotSource: RestoreSource {
    let name: String
    let repository: Repository
    let snapshot: SnapshotCatalog

    var label: String { "snapshot \(name)" }
    var catalog: Catalog { snapshot.catalog }
    func pieces(of version: ObjectVersion) -> any RestoredPieces { RepositoryPieces(version, in: repository) }
}

/// The store itself, as it was.
struct HistorySource: RestoreSource {
    let history: History
    let inspection: StoreInspection

    var label: String { history.label }
    var catalog: Catalog { history.catalog }
    func pieces(of version: ObjectVersion) -> any RestoredPieces { StorePieces(version, in: inspection) }
}

/// The stored bytes of a version that may have been removed since, from the volumes: every block verified, and taken
/// from whichever has it good.
final class StorePieces: RestoredPieces {
    private let version: ObjectVersion
    private let inspection: StoreInspection

    init(_ version: ObjectVersion, in inspection: StoreInspection) {
        self.version = version
        self.inspection = inspection
    }

    func read(_ index: Int, at offset: UInt64, count: Int) throws -> [UInt8] {
        let piece = version.record.pieces[index]
        guard let id = BlobID(bytes: piece.blobID) else {
            let payload = try inspection.log.payload(of: version.carrier(of: piece))
            return Array(payload.dropFirst(Int(offset)).prefix(count))
        }
        let size = UInt64(Limits.blockSize)
        precondition(offset % size == 0, "pieces are read from a block's beginning")
        let blocks = Int(offset / size)..<Int((offset + UInt64(count) + size - 1) / size)
        let buffer = AlignedBuffer(capacity: blocks.count * Limits.blockSize)
        let read = try inspection.readBlocks(id, length: piece.length, blocks: blocks, into: buffer.bytes)
        return Array(buffer.bytes[0..<min(read, count)])
    }
}
