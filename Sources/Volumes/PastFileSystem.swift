import Model

/// A file system that can show its files as they were at a moment that is past: objects of which versions are kept.
public protocol PastFileSystem: FileSystem {
    /// Whether it does.
    var isPast: Bool { get }
    /// When the bytes were written that stand now where a file ends as it is seen; of one that is not seen, where it begins.
    /// `nil` if there are none.
    func laterWrite(of path: String) throws(FileSystemError) -> Timestamp?
}
