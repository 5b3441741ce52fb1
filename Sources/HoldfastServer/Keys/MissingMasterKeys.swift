import Catalog
import Encryption
import Logging
import Model
import ObjectStore

/// Looks whether the store has the master keys that its objects need: a file of master keys that was lost, or is an
/// older one, shows when the server starts and not when somebody asks for an object.
struct MissingMasterKeys {
    /// Rows of each kind that are looked at, so that the look is over in about a second.
    static let rowLimit = 100_000

    struct Need: Hashable {
        let keyID: String
        /// `nil` for what is no wrapped key.
        let generation: UInt32?
    }

    /// Versions and uploads that need a key that is not there.
    private(set) var counts: [Need: Int] = [:]
    /// Whether every version and upload was looked at.
    private(set) var isAll = true

    init(_ store: ObjectStore, _ masterKeys: MasterKeyStore, rowLimit: Int = rowLimit) throws {
        let known = Set(
            masterKeys.all.flatMap { key in
                key.generations.map { Need(keyID: key.id, generation: $0.number) }
            })
        var counts: [Need: Int] = [:]
        isAll = try store.inspection.catalog.read { reader in
            try reader.forEachEncryption(limit: rowLimit) { encryption in
                guard encryption.kind != .customer else { return }
                let need = Need(
                    keyID: encryption.keyID,
                    generation: WrappedKey.generation(of: Array(encryption.wrappedKey)))
                if !known.contains(need) { counts[need, default: 0] += 1 }
            }
        }
        self.counts = counts
    }

    /// One line for each key.
    var warnings: [String] {
        counts.sorted { ($0.key.keyID, $0.key.generation ?? 0) < ($1.key.keyID, $1.key.generation ?? 0) }.map
        {
            need, count in
            let generation = need.generation.map { " generation \($0)" } ?? ""
            return
                "\(isAll ? "" : "at least ")\(counted(count, "object")) cannot be read: they need master key \(need.keyID)\(generation), which the file of master keys does not have"
        }
    }

    /// Warns of what is missing, once.
    static func look(_ store: ObjectStore, _ masterKeys: MasterKeyStore, _ logger: Logger) {
        do {
            for warning in try MissingMasterKeys(store, masterKeys).warnings { logger.warning("\(warning)") }
        } catch {
            logger.error("looking for the master keys that objects need: \(error)")
        }
    }
}
