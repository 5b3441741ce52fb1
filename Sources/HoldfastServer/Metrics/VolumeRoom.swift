import Foundation
import ObjectStore

/// Room on the file system of a volume.
struct VolumeRoom: Sendable {
    let index: Int
    let freeBytes: Double
    let sizeBytes: Double

    var freePart: Double { sizeBytes > 0 ? freeBytes / sizeBytes : 1 }

    /// Of the volumes in service: a disk that hangs is set aside within its deadline, and not asked then.
    static func ofVolumes(in store: ObjectStore) -> [VolumeRoom] {
        store.volumeStatuses.compactMap { status in
            var room = statvfs()
            guard status.standing == .inService, statvfs(status.path, &room) == 0 else { return nil }
            return VolumeRoom(
                index: status.index, freeBytes: Double(room.f_bavail) * Double(room.f_frsize),
                sizeBytes: Double(room.f_blocks) * Double(room.f_frsize))
        }
    }
}
