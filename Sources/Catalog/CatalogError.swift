import Model

/// Why the catalog cannot do what it is asked.
public enum CatalogError: Error, Sendable {
    /// A newer Holdfast made it: run that, or delete the file, which is rebuilt from the log.
    case unknownSchema(path: String, found: Int)
    case foreignStore(path: String)
    /// An event contradicts the rows: the catalog, or the log, is damaged.
    case contradiction(SequenceNumber, String)
    case unknownChange(SequenceNumber)
    case unreadable(String)
}

extension CatalogError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unknownSchema(let path, let found):
            "catalog \(path) has schema \(found); this Holdfast knows schema \(CatalogSchema.version): delete it and it is rebuilt from the log"
        case .foreignStore(let path):
            "catalog \(path) belongs to another store: delete it and it is rebuilt from the log"
        case .contradiction(let sequence, let reason): "event \(sequence) contradicts the catalog: \(reason)"
        case .unknownChange(let sequence):
            "event \(sequence) is a change that this Holdfast does not know: a newer one wrote it"
        case .unreadable(let reason): "the catalog cannot be read: \(reason)"
        }
    }
}
