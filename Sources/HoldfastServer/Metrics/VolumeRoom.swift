import ObjectStore
import Volumes

/// Room on the file system of a volume.
package struct VolumeRoom: Sendable {
    package let index: Int
    package let freeBytes: Double
    package let sizeBytes: Double

    package var freePart: Double { sizeBytes > 0 ? freeBytes / sizeBytes : 1 }

    /// Of the volumes in service: a disk that hangs is set aside within its deadline, and not asked then.
    package static func ofVolumes(in store: ObjectStore) -> [VolumeRoom] {
        store.volumeStatuses.compactMap { status in
            guard status.standing == .inService,
                // A disk that cannot say is set aside by whoever writes to it next; until then it has no sample.
                let (free, total) = try? store.inspection.fileSystem.space(at: status.path)
            else { return nil }
            return VolumeRoom(index: status.index, freeBytes: Double(free), sizeBytes: Double(total))
        }
    }
}
