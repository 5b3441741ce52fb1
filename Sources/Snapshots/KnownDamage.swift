import Foundation
import Model
import Volumes

/// What a check has found damaged or missing in a repository, in `snapshots/damaged`: a blob's id a line. A replica whose
/// bytes are bad looks good until it is read whole, so the next snapshot would take it for one that need not be copied.
struct KnownDamage: Sendable, Equatable {
    private(set) var blobs: Set<BlobID> = []

    var isEmpty: Bool { blobs.isEmpty }

    private static func path(_ repository: Repository) -> String {
        "\(repository.directory)/snapshots/damaged"
    }

    /// A line that names nothing is left out: the next check that reads what it meant finds it again.
    static func load(_ repository: Repository) throws -> KnownDamage {
        var damage = KnownDamage()
        guard try repository.fileSystem.status(of: path(repository)) != nil else { return damage }
        let text = String(decoding: try repository.fileSystem.contents(of: path(repository)), as: UTF8.self)
        damage.blobs = Set(text.split(separator: "\n").compactMap { BlobID($0) })
        return damage
    }

    func save(_ repository: Repository) throws {
        guard try self != KnownDamage.load(repository) else { return }
        let text = blobs.sorted().map { "\($0)\n" }.joined()
        try repository.fileSystem.replaceFile(Self.path(repository), with: Array(text.utf8))
    }

    mutating func note(_ id: BlobID, isDamaged: Bool) {
        if isDamaged { blobs.insert(id) } else { blobs.remove(id) }
    }
}
