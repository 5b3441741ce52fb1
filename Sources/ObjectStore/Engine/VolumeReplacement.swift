import EventLog
import Foundation
import Model
import Volumes

/// Puts a new, empty volume in the place of one that is lost. The maintenance thread then fills it from the
/// log, as any volume that returns.
struct VolumeReplacement {
    let engine: Engine

    /// - Returns: the new volume's id.
    /// - Throws: ``VolumeError/notEmpty(path:)`` if something is in the directory, ``StoreError`` if the volume
    ///   is in good standing.
    func run(_ index: Int) async throws -> VolumeID {
        guard engine.volumes.setAside.contains(where: { $0.index == index }) else {
            throw StoreError.invalidState(
                "volume \(index) is in good standing: only a volume that is set aside can be replaced")
        }
        let identity = VolumeIdentity(
            storeID: engine.storeID, volumeID: .random(), index: index, created: engine.clock())
        try DirectoryVolume.create(
            identity, at: engine.volumes.path(of: index), fileSystem: engine.environment.fileSystem,
            clock: engine.clock
        ).close()
        var change = EventVolumeReplaced()
        change.volume = UInt32(index)
        change.oldVolumeID = engine.volumes.departed(index).map { Data($0.volumeID.bytes) } ?? Data()
        change.newVolumeID = Data(identity.volumeID.bytes)
        let event = change
        _ = try await engine.ledger.commit(
            Proposal(actor: .holdfast) { _ in .append(.volumeReplaced(event)) { _, _ in } })
        engine.returns.release(index)
        return identity.volumeID
    }
}
