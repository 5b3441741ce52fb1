import Model
import Volumes

/// What snapshots and restores ask of an open store.
extension StoreInspection {
    package var storeID: StoreID { engine.storeID }
    package var fileSystem: any FileSystem { engine.environment.fileSystem }
    package var clock: @Sendable () -> Timestamp { engine.clock }

    /// Runs `body` while nothing that can be seen as of `sequence` is reclaimed.
    package func holding<Value>(
        _ sequence: SequenceNumber, _ body: () async throws -> Value
    ) async throws -> Value {
        let pin = engine.readPins.pin(sequence)
        defer { engine.readPins.unpin(pin) }
        return try await body()
    }

    /// Brings a blob to a volume that is none of the store's, from the good blocks of those that are.
    /// - Returns: bytes written; `nil` if it is there already.
    /// - Throws: ``BlobFlaw`` if no volume has a good replica of some block.
    package func export(
        _ id: BlobID, length: UInt64, sha256: [UInt8], to target: any Volume
    ) throws -> UInt64? {
        let flaws = target.verify(id, length: length, sha256: sha256, deep: false)
        guard !flaws.isEmpty else { return nil }
        let reason = flaws == [.missing] ? nil : flaws.map(\.description).joined(separator: "; ")
        return try BlobCopier(sources: volumes).copy(id, to: target, replacing: reason)
    }
}
