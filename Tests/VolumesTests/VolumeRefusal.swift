import TestSupport
import Volumes

enum VolumeRefusal {
    /// What keeps the directory `/v` from being opened as a volume; `nil` if nothing does.
    static func of(_ disk: SimulatedFileSystem) -> VolumeError? {
        do throws(VolumeError) {
            try DirectoryVolume.open("/v", fileSystem: disk).close()
            return nil
        } catch { return error }
    }
}
