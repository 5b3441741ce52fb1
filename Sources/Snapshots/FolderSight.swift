import Volumes

/// A directory as whoever gives an order sees it: the nearest one that is there, at a path or above it. Another process may see
/// another directory under the same path, such as a service that has a `/tmp` of its own.
public struct FolderSight: Codable, Sendable, Equatable {
    public let path: String
    let device: UInt64
    let inode: UInt64

    /// - Parameter folder: an absolute path.
    /// - Throws: ``FileSystemError`` if it cannot be looked at.
    public init(of folder: String) throws {
        var path = folder
        while true {
            if let status = try RealFileSystem().status(of: path) {
                (self.path, device, inode) = (path, status.device, status.inode)
                return
            }
            path = parent(of: path)
        }
    }

    /// Whether this process sees the same directory there.
    public var isSeenHere: Bool {
        do {
            let status = try RealFileSystem().status(of: path)
            return status?.device == device && status?.inode == inode
        } catch { return false }  // What it may not look at it does not see.
    }
}
