import Model

/// Why a directory cannot be used as a volume. Each says which directory and what to do.
public enum VolumeError: Error, Sendable, Equatable {
    case missing(path: String)
    /// Nothing is in the directory: it may be the mount point of a disk that is not mounted.
    case empty(path: String)
    case notEmpty(path: String)
    case notAVolume(path: String, reason: String)
    case unknownFormat(path: String, format: Int)
    case foreignStore(path: String, found: StoreID, expected: StoreID)
    case wrongIndex(path: String, found: Int, expected: Int)
    case inUse(path: String)
    case blobExists(path: String)
    case fileSystem(FileSystemError)
}

extension VolumeError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .missing(let path):
            "volume \(path) does not exist: mount its disk, or replace it with 'holdfast volume replace'"
        case .empty(let path):
            "volume \(path) is empty: mount its disk if it is not mounted, or replace it with 'holdfast volume replace'"
        case .notEmpty(let path): "\(path) is not empty: a new volume needs an empty directory"
        case .notAVolume(let path, let reason): "\(path) is not a volume of Holdfast: \(reason)"
        case .unknownFormat(let path, let format):
            "volume \(path) has format \(format); this Holdfast knows format \(VolumeFile.format)"
        case .foreignStore(let path, let found, let expected):
            "volume \(path) belongs to store \(found), not to store \(expected): check the volumes setting"
        case .wrongIndex(let path, let found, let expected):
            "volume \(path) is volume \(found) of its store, given as volume \(expected): check the order of the volumes setting"
        case .inUse(let path):
            "volume \(path) is in use by another process, or is given twice: stop the other, or check the volumes setting"
        case .blobExists(let path): "there is a replica at \(path) already"
        case .fileSystem(let error): "\(error)"
        }
    }
}
