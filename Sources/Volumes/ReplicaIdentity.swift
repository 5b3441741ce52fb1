import Foundation
import Model

/// What a file says of itself, whatever its name says.
extension DirectoryVolume {
    public func identify(_ relativePath: String) throws(BlobFlaw) -> BlobInfo {
        let file: any File
        do { file = try fileSystem.open(directory + "/" + relativePath, [], permissions: 0) } catch {
            throw error.code == ENOENT ? .missing : .unreadable(error)
        }
        defer { file.close() }
        return try BlobFormat.readTrailer(file, id: nil, length: nil)
    }

    func isOwn(_ descriptor: EventBlobDescriptor) -> Bool { descriptor.volume == UInt32(index) }

    func placeFlaw(_ descriptor: EventBlobDescriptor) -> BlobFlaw {
        .otherVolume(expected: index, found: Int(descriptor.volume))
    }
}
