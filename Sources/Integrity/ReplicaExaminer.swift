import EventLog
import Model
import ObjectStore
import Volumes

/// Looks at the replicas of one piece of an object, every byte of them.
public struct ReplicaExaminer: Sendable {
    public struct Replica: Sendable {
        public let volume: Int
        /// Relative to the volume.
        public let path: String
        /// What is wrong with it; empty if it is good.
        public let flaws: [String]
    }

    private let inspection: StoreInspection

    public init(_ store: ObjectStore) { inspection = store.inspection }

    /// One replica for each volume in service. May wait for disks.
    public func examine(_ piece: EventPiece) -> [Replica] {
        inspection.volumes.map { volume in
            if let id = BlobID(bytes: piece.blobID) {
                let flaws = volume.verify(id, length: piece.length, sha256: Array(piece.sha256), deep: true)
                return Replica(
                    volume: volume.index, path: volume.path(of: id), flaws: flaws.map(\.description))
            }
            let sequence = SequenceNumber(piece.payloadSequence)
            let bad = inspection.log.verifyFrames(from: sequence, through: sequence, mirror: volume.index)
            return Replica(volume: volume.index, path: "log", flaws: bad.map(\.reason))
        }
    }
}
