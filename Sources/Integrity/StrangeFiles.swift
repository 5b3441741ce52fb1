import Catalog
import EventLog
import Foundation
import Model
import ObjectStore
import Volumes

/// What a file is that no blob of the catalog explains, told by its trailer and by the log.
struct StrangeFile: Sendable {
    let volume: any Volume
    /// Relative to the volume.
    let path: String
    let code: FindingCode
    let evidence: String
    var blobID: BlobID?

    /// A file whose name is not one that a blob has.
    static func named(otherwise path: String, on volume: any Volume) -> StrangeFile {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        if let id = BlobID(name.lowercased()), id.description != name {
            return StrangeFile(
                volume: volume, path: path, code: .nameVariant,
                evidence: "its name is that of blob \(id) in other letters", blobID: id)
        }
        if let info = try? volume.identify(path) {
            return StrangeFile(
                volume: volume, path: path, code: .duplicateFile,
                evidence: "it is a whole replica of blob \(info.id), under another name", blobID: info.id)
        }
        return StrangeFile(
            volume: volume, path: path, code: .foreignFile, evidence: "it is not named as a blob is")
    }

    /// A file that is named as a blob is, of which the catalog knows nothing. Whether the log ever did, is asked
    /// for all of them at once.
    static func orphan(_ id: BlobID, on volume: any Volume) -> StrangeFile {
        let path = volume.path(of: id)
        if let info = try? volume.identify(path), info.id != id {
            return StrangeFile(
                volume: volume, path: path, code: .duplicateFile,
                evidence: "it is a whole replica of blob \(info.id), under the name of blob \(id)",
                blobID: id)
        }
        return StrangeFile(
            volume: volume, path: path, code: .orphanFile,
            evidence: "no event in the log publishes blob \(id)", blobID: id)
    }

    /// - Returns: the same files, with those told apart whose blob was published once and is removed since.
    /// - Throws: what reading the log throws.
    static func classify(_ orphans: [StrangeFile], by log: EventLog) throws -> [StrangeFile] {
        var wanted = Set(orphans.filter { $0.code == .orphanFile }.compactMap(\.blobID))
        guard !wanted.isEmpty else { return orphans }
        var published: [BlobID: SequenceNumber] = [:]
        var next = SequenceNumber(1)
        while !wanted.isEmpty {
            let events = try log.events(from: next, limit: 4096)
            guard let last = events.last else { break }
            for event in events {
                for piece in event.record.pieces {
                    guard let id = BlobID(bytes: piece.blobID), wanted.remove(id) != nil else { continue }
                    published[id] = event.sequence
                }
            }
            next = last.sequence.next
        }
        return orphans.map { orphan in
            guard let id = orphan.blobID, let sequence = published[id] else { return orphan }
            return StrangeFile(
                volume: orphan.volume, path: orphan.path, code: .removedOrphan,
                evidence: "event \(sequence) published blob \(id), and it was reclaimed since", blobID: id)
        }
    }
}
