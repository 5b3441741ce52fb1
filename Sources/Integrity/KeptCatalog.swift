import Catalog
import EventLog
import Foundation
import Model
import ObjectStore
import Volumes

/// The second catalog of the check before, `state/checked.sqlite`: computed from the log, and found to be what the catalog in
/// use was.
///
/// A check that begins with it takes it away under a name of its own, so that two checks never share it, and puts it back
/// when nothing differed. It is a computed copy: whatever is wrong with it, it is removed, and computed again.
struct KeptCatalog {
    private let inspection: StoreInspection
    private let fileSystem: any FileSystem = RealFileSystem()  // as SQLite, which writes it

    init(_ inspection: StoreInspection) { self.inspection = inspection }

    private var path: String { inspection.stateDirectory + "/" + StoreSettings.checkedCatalogName }

    /// The path of a catalog that is not there yet. What a process that was killed leaves there goes when the store opens.
    func newPath() -> String {
        "\(inspection.stateDirectory)/\(StoreSettings.checkingCatalogPrefix)\(OperationID.random()).sqlite"
    }

    /// Takes the catalog, if there is one and it is of this log: of the chain hash that the log has at its last event.
    /// - Returns: its path, which nobody else has.
    func take() throws -> String? {
        let own = newPath()
        do throws(FileSystemError) { try fileSystem.rename(path, to: own) } catch {
            guard error.code == ENOENT else { throw error }
            return nil
        }
        if isOfThisLog(own) { return own }
        remove(own)
        return nil
    }

    private func isOfThisLog(_ path: String) -> Bool {
        do {
            let catalog = try Catalog(path: path, storeID: inspection.storeID, readers: 1)
            let position = try catalog.read { try $0.position() }
            let inUse = try inspection.catalog.read { try $0.position().sequence }
            guard position.sequence <= inUse else { return false }
            return try inspection.log.chainHash(at: position.sequence) == position.chain
        } catch { return false }  // damaged, or of another schema, store or log
    }

    /// Keeps a catalog that nobody has open.
    func keep(_ own: String) throws {
        // Closed by its last connection, it may have left what was committed last beside itself.
        let isWhole = try Catalog(path: own, storeID: inspection.storeID, readers: 1).checkpoint()
        guard isWhole else { return remove(own) }
        removeBeside(own)
        do throws(FileSystemError) { try fileSystem.rename(own, to: path) } catch {
            remove(own)
            throw error
        }
    }

    func remove(_ own: String) {
        removeBeside(own)
        remove(file: own)
    }

    private func removeBeside(_ own: String) {
        for suffix in ["-wal", "-shm"] { remove(file: own + suffix) }
    }

    /// What stays in the state directory is a computed copy that nothing reads, and goes when the store opens.
    private func remove(file: String) {
        _ = Result { () throws(FileSystemError) in try fileSystem.remove(file) }
    }
}
