import Catalog
import Model
import ObjectStore

/// What objects come back from: the catalog as it was at some event, and the bytes that it names.
protocol RestoreSource: Sendable {
    /// "snapshot monday", "event 1234": goes into the events of what is restored.
    var label: String { get }
    var catalog: Catalog { get }
    var bytes: any StoredBytes { get }
    /// Whether the blobs are the store's own: a version that comes back may refer to them.
    var isOfTheStore: Bool { get }
}

extension RestoreSource {
    func pieces(of version: ObjectVersion) -> StoredPieces { StoredPieces(version, in: bytes) }
}

/// A snapshot of a repository.
struct SnapshotSource: RestoreSource {
    let name: String
    let repository: Repository
    let snapshot: SnapshotCatalog

    var label: String { "snapshot \(name)" }
    var catalog: Catalog { snapshot.catalog }
    var bytes: any StoredBytes { repository }
    var isOfTheStore: Bool { false }
}

/// The store itself, as it was.
struct HistorySource: RestoreSource {
    let history: History
    let inspection: StoreInspection

    var label: String { history.label }
    var catalog: Catalog { history.catalog }
    var bytes: any StoredBytes { VolumeBytes(inspection: inspection) }
    var isOfTheStore: Bool { true }
}
