/// A file system whose files are objects. While one takes the place of several, whoever does that may be cut off, and leaves
/// some that are no part of any file.
public protocol StrayKeepingFileSystem: FileSystem {
    /// Whether there are objects under the names of a file's parts that do not join it: what was cut off has left them, or
    /// one between them is lost.
    func hasStrays(of path: String) throws(FileSystemError) -> Bool
    /// Removes them. Whoever asks for it knows that the file is complete without them.
    /// - Returns: how many are gone; those that are locked stay.
    func removeStrays(of path: String) throws(FileSystemError) -> Int
}
