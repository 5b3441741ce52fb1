import Foundation
import Model
import Volumes

/// What befalls whole volumes. The store is not running.
struct VolumeFaults {
    let store: TestStore

    func plant(_ fault: FaultClass, _ volume: Int) throws -> [Planted] {
        let path = store.volumePaths[volume - 1]
        let away = path + ".away"
        switch fault {
        case .volumeMissing:
            try store.fileSystem.rename(path, to: away)
            return [Planted(fault, volume: volume, path: "", "moved to \(away)")]
        case .volumeEmpty:
            try store.fileSystem.rename(path, to: away)
            try store.fileSystem.createDirectory(path, permissions: 0o755)
            return [
                Planted(fault, volume: volume, path: "", "moved to \(away), an empty directory in its place")
            ]
        case .volumesExchanged:
            let other = volume % 3 + 1
            let second = store.volumePaths[other - 1]
            try store.fileSystem.rename(path, to: away)
            try store.fileSystem.rename(second, to: path)
            try store.fileSystem.rename(away, to: second)
            return [volume, other].map { Planted(fault, volume: $0, path: "", "exchanged with another") }
        case .volumeForeign:
            let name = "volume.json"
            let before = try store.read(volume, name)
            let text = String(decoding: before, as: UTF8.self)
            let identity = try DirectoryVolume.readIdentity(path, fileSystem: store.fileSystem)
            let after = text.replacingOccurrences(
                of: identity.storeID.description, with: StoreID.random().description)
            try store.place(Array(after.utf8), volume, name)
            var made = Planted(fault, volume: volume, path: name, "the id of another store written into it")
            (made.before, made.after) = (digest(before), digest(Array(after.utf8)))
            return [made]
        default: preconditionFailure("\(fault) is no fault of a volume")
        }
    }
}
