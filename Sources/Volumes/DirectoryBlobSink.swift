import Foundation
import Model

/// Writes one blob file.
///
/// The bytes go to `incoming/<id>`, past the page cache. When all are there the file and its name are synced,
/// then it is linked to its name in `blobs/`, and that is synced: so the name in `blobs/` is durable only for
/// a file that is. The name in `incoming/` stays until the blob's event is in the log; after a crash it says
/// which blobs may have no event.
final class DirectoryBlobSink: BlobSink, @unchecked Sendable {
    // Unchecked: Calls come one at a time, as the protocol says.
    private let id: BlobID
    private let volume: DirectoryVolume
    private let replacing: String?
    private let file: any File
    private var offset: UInt64 = 0
    private var isFinished = false
    private var isLinked = false
    private(set) var displaced: String?
    /// What stood under the name when it was looked at, and what it is.
    private var examined: (status: FileStatus, content: QuarantinedContent)?

    init(_ id: BlobID, expectedLength: UInt64?, replacing: String?, volume: DirectoryVolume) throws {
        self.id = id
        self.volume = volume
        self.replacing = replacing
        let path = volume.incomingPath(id)
        if replacing != nil, try volume.fileSystem.status(of: path) != nil {
            // What an earlier repair that was cut off has left; or, where the name in blobs/ was lost, the last
            // there is of the blob on this volume.
            _ = try volume.quarantine(
                "incoming/\(id)", reason: "a replica that was being written: \(replacing ?? "")")
        }
        file = try volume.fileSystem.open(path, [.write, .createNew, .direct], permissions: 0o600)
        if let expectedLength, expectedLength > 0 {
            do { try file.allocate(size: expectedLength) } catch {
                file.close()
                try volume.fileSystem.remove(path)
                throw error
            }
        }
    }

    func append(_ bytes: UnsafeRawBufferPointer) throws {
        precondition(!isFinished, "a finished blob takes no bytes")
        precondition(bytes.count % FileSystemAlignment.bytes == 0, "a direct write has whole pages")
        try file.write(bytes, at: offset)
        offset += UInt64(bytes.count)
    }

    func finish(tail: UnsafeRawBufferPointer, trailer: BlobTrailer) throws {
        try complete(tail: tail, trailer: trailer)
        try volume.publish(self, as: id)
    }

    func complete(tail: UnsafeRawBufferPointer, trailer: BlobTrailer) throws {
        precondition(!isFinished, "a blob is finished once")
        precondition(offset + UInt64(tail.count) == trailer.length, "the trailer counts the bytes written")
        let rest = try BlobFormat.encode(trailer, id: id, volume: volume.index)
        let size = tail.count + rest.count
        let buffer = AlignedBuffer(capacity: size)
        if tail.count > 0 { buffer.bytes.copyMemory(from: tail) }
        rest.withUnsafeBytes { source in
            UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[tail.count...]).copyMemory(from: source)
        }
        try file.write(UnsafeRawBufferPointer(buffer.bytes), at: offset)
        if try file.size() != offset + UInt64(size) { try file.truncate(to: offset + UInt64(size)) }
        isFinished = true
    }

    /// Stable before it has its name: a name in blobs/ never stands for bytes that a crash may take back.
    func sync() throws {
        precondition(isFinished, "what is synced is complete")
        try file.sync()
        file.close()
    }

    func examineDisplaced() throws {
        let path = volume.path(of: id)
        guard let status = try volume.fileSystem.status(of: volume.directory + "/" + path) else { return }
        examined = (status, try volume.content(of: path))
    }

    /// The name in incoming/ is durable before the other can be: a crash must not leave a blob that no event names and
    /// nothing tells of. And the name in blobs/ is before the event: DESIGN invariants 1 and 2.
    func link() throws {
        let fileSystem = volume.fileSystem
        let path = volume.directory + "/" + volume.path(of: id)
        let branch = parent(of: path)
        // The fan-out directories are made on demand; each new one is synced into the one above it. Never more
        // than they: where the volume's disk is gone, its mount point must stay empty.
        try fileSystem.createDirectories(branch, below: volume.directory + "/blobs", permissions: 0o700)
        if let status = try fileSystem.status(of: path) {
            guard let replacing else { throw VolumeError.blobExists(path: path) }
            // What was examined, unless another file has come in its place.
            let content = examined.flatMap { $0.status == status ? $0.content : nil }
            displaced = try volume.quarantine(
                volume.path(of: id), reason: replacing,
                content: content ?? volume.content(of: volume.path(of: id)))
        }
        try fileSystem.link(volume.incomingPath(id), to: path)
        isLinked = true
        volume.forget(id)
    }

    func abort() throws {
        file.close()
        // A name in blobs/ that this sink did not give is another replica's.
        if isLinked { try volume.removeBlob(id) } else { try volume.settle(id) }
    }
}
