import Model
import Volumes

/// A file larger than 16 MiB is put in parts. A process that is killed before it has put the last one leaves those that it has: they
/// are in no listing of objects, cost what objects do, and stay until somebody gives the upload up.
extension ObjectFileSystem: UploadingFileSystem {
    /// Uploads that were begun so long ago, in seconds, are nobody's. On this machine the lock says so at once; a process of another,
    /// which should not be there, would be at the same file all day.
    private static let uploadSeconds: UInt64 = 86_400

    /// Where a repository's files are. What else is below the same prefix is somebody else's.
    private static let directories = ["blobs/", "log/", "quarantine/", "snapshots/"]

    public func removeUnfinishedUploads() throws(FileSystemError) -> UnfinishedUploads {
        var outcome = UnfinishedUploads()
        guard location.moment == nil else { return outcome }
        let now = Timestamp.now().microseconds
        let bound = Timestamp(microseconds: now - min(now, Self.uploadSeconds * 1_000_000))
        do throws(S3ClientError) {
            for upload in try client.unfinishedUploads(key("")) where isOwn(upload.key) {
                guard let begun = upload.begun, begun < bound else { continue }
                try client.giveUp(upload)
                outcome.removed += 1
            }
        } catch {
            // Not every endpoint knows uploads that are listed, nor may everybody list them: no reason to do nothing else.
            guard !error.isTransient else { throw error.asFileSystemError }
            outcome.refusal = "\(error)"
        }
        return outcome
    }

    private func isOwn(_ key: String) -> Bool {
        let prefix = self.key("")
        guard key.hasPrefix(prefix) else { return false }
        return Self.directories.contains { key.dropFirst(prefix.count).hasPrefix($0) }
    }
}
