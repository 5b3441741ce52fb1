import Foundation
import Model
import Volumes

/// What a check has found damaged or missing in a repository, or a snapshot copied without its bytes, in
/// `snapshots/damaged`, a line each: a blob by its id, an event of the log by its number, a manifest or a stored catalog by the
/// name of its file. A replica whose bytes are bad
/// looks good until it is read whole, so the next snapshot would take it for one that need not be copied.
struct KnownDamage: Sendable, Equatable {
    private(set) var blobs: Set<BlobID> = []
    var events: Set<SequenceNumber> = []
    var files: Set<SnapshotFile> = []

    private static func path(_ repository: Repository) -> String {
        "\(repository.directory)/snapshots/damaged"
    }

    /// A line that names nothing is left out: the next check that reads what it meant finds it again.
    static func load(_ repository: Repository) throws -> KnownDamage {
        var damage = KnownDamage()
        guard try repository.fileSystem.status(of: path(repository)) != nil else { return damage }
        let text = String(decoding: try repository.fileSystem.contents(of: path(repository)), as: UTF8.self)
        let lines = text.split(separator: "\n")
        damage.blobs = Set(lines.compactMap { BlobID($0) })
        damage.events = Set(
            lines.filter { $0.utf8.count < 32 }.compactMap { UInt64($0) }.map { SequenceNumber($0) })
        damage.files = Set(lines.compactMap { SnapshotFile(String($0)) })
        return damage
    }

    func save(_ repository: Repository) throws {
        guard try self != KnownDamage.load(repository) else { return }
        let names = files.map(\.name).sorted()
        let text = (blobs.sorted().map(\.description) + events.sorted().map(\.description) + names)
            .map { $0 + "\n" }.joined()
        try repository.fileSystem.replaceFile(Self.path(repository), with: Array(text.utf8))
    }

    /// Those that no snapshot needs any more.
    mutating func forget(_ ids: Set<BlobID>) { blobs.subtract(ids) }

    /// Of events that are to be copied, before they are: one that is there and not noted would never be looked for again, and
    /// what is noted and not there yet is said anew when it is copied.
    /// - Returns: whether that is new.
    mutating func noteCopied(_ copied: some Sequence<SequenceNumber>, lost: [SequenceNumber]) -> Bool {
        let lost = Set(lost)
        var isNew = false
        for event in copied where !lost.contains(event) && events.remove(event) != nil { isNew = true }
        for event in lost where events.insert(event).inserted { isNew = true }
        return isNew
    }

    mutating func note(_ id: BlobID, isDamaged: Bool) {
        if isDamaged { blobs.insert(id) } else { blobs.remove(id) }
    }
}
