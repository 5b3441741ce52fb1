import S3Repository

/// One thing that a source has.
enum ImportItem: Sendable {
    case file(FolderFile)
    /// What a bucket shows under a key.
    case object(ListedObject)
    /// All versions of a key, newest first.
    case history([ListedObject])
    /// What is not imported, and why; its outcome is known before anything is read.
    case passedOver(ImportOutcome)

    /// What one owner has of it: the versions of a key may have several.
    var holdings: [(name: String, owner: (id: String?, name: String?), size: UInt64)] {
        switch self {
        case .file(let file): [(file.name, (nil, nil), file.size)]
        case .object(let object): [(object.key, (object.owner, object.ownerName), object.size)]
        case .history(let versions): versions.map { ($0.key, ($0.owner, $0.ownerName), $0.size) }
        case .passedOver: []
        }
    }
}

/// Gives what a source has, one by one, in a stable order, with a bounded part of it in memory. Of one task, which may
/// wait for disks and networks.
protocol ImportWalk: AnyObject {
    /// - Returns: `nil` at the end.
    func next() throws -> ImportItem?
}
