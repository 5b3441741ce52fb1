import GRDB
import Model

/// Why the catalog cannot do what it is asked.
public enum CatalogError: Error, Sendable {
    /// A newer Holdfast made it: run that, or delete the file, which is rebuilt from the log.
    case unknownSchema(path: String, found: Int)
    case foreignStore(path: String)
    /// SQLite can make nothing of the file.
    case noDatabase(path: String, reason: String)
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
        case .noDatabase(let path, let reason):
            "catalog \(path) is no SQLite database, or a damaged one (\(reason)): delete it and it is rebuilt from the log"
        case .contradiction(let sequence, let reason): "event \(sequence) contradicts the catalog: \(reason)"
        case .unknownChange(let sequence):
            "event \(sequence) is a change that this Holdfast does not know: a newer one wrote it"
        case .unreadable(let reason): "the catalog cannot be read: \(reason)"
        }
    }
}

extension CatalogError {
    /// What is wrong with a catalog, of which its path is told already: for whom it was rebuilt.
    package var flaw: String {
        switch self {
        case .unknownSchema(_, let found): "it has schema \(found), which this Holdfast does not know"
        case .foreignStore: "it belongs to another store"
        case .noDatabase(_, let reason): "it is no SQLite database, or a damaged one (\(reason))"
        case .contradiction, .unknownChange, .unreadable: "\(self)"
        }
    }

    /// Opens, or begins to read, the file at a path.
    static func naming<Value>(_ path: String, _ body: () throws -> Value) throws -> Value {
        do { return try body() } catch let error as DatabaseError
            where [.SQLITE_NOTADB, .SQLITE_CORRUPT].contains(error.resultCode)
        {
            throw CatalogError.noDatabase(path: path, reason: error.message ?? "\(error.resultCode)")
        }
    }
}
