/// What became of uploads in parts that nobody will finish: their parts are no file of anybody's, and take room.
public struct UnfinishedUploads: Sendable, Equatable {
    /// How many were given up.
    public var removed = 0
    /// Why they could not be looked for, or one not be given up: the endpoint refuses that. `nil` if it does not.
    public var refusal: String?

    public init(removed: Int = 0, refusal: String? = nil) {
        self.removed = removed
        self.refusal = refusal
    }
}

/// A file system that puts large files in parts. Whoever is killed meanwhile leaves what it had put of them.
public protocol UploadingFileSystem: FileSystem {
    /// Gives up the uploads of files here that were begun so long ago that nobody is at them any more. Whoever asks for it
    /// has the files to itself.
    func removeUnfinishedUploads() throws(FileSystemError) -> UnfinishedUploads
}
