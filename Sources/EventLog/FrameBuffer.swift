import Foundation
import Model
import Volumes

/// Memory that runs of frames are read into, one after the other: a new page costs ten times what copying into it
/// does, and a comparison of mirrors reads the whole log.
///
/// Belongs to whoever reads, one thread at a time, and must outlive the use of what was read.
final class FrameBuffer {
    private var buffer = AlignedBuffer(capacity: FileSystemAlignment.bytes)

    /// - Returns: the bytes of a range, fewer only at the end of the file; good until the next read.
    func read(_ range: Range<UInt64>, of file: any File) throws(FileSystemError) -> UnsafeRawBufferPointer {
        reserve(range.count)
        let count = try file.read(
            into: UnsafeMutableRawBufferPointer(rebasing: buffer.bytes[0..<range.count]), at: range.lowerBound
        )
        return UnsafeRawBufferPointer(rebasing: buffer.bytes[0..<count])
    }

    /// As ``read(_:of:)``, from the device where the file system can. A direct read takes whole pages.
    func readPastCache(
        _ range: Range<UInt64>, of path: String, _ fileSystem: any FileSystem
    ) throws(FileSystemError) -> UnsafeRawBufferPointer {
        let file = try fileSystem.open(path, .direct, permissions: 0)
        defer { file.close() }
        let page = UInt64(FileSystemAlignment.bytes)
        let start = range.lowerBound / page * page
        let end = (range.upperBound + page - 1) / page * page
        let read = try read(start..<end, of: file)
        let skipped = min(Int(range.lowerBound - start), read.count)
        return UnsafeRawBufferPointer(rebasing: read[skipped..<min(skipped + range.count, read.count)])
    }

    private func reserve(_ count: Int) {
        guard count > buffer.capacity else { return }
        let page = FileSystemAlignment.bytes
        buffer = AlignedBuffer(capacity: (max(count, 2 * buffer.capacity) + page - 1) / page * page)
    }
}

/// Whether two runs of bytes are the same.
func isSame(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Bool {
    guard a.count == b.count else { return false }
    guard let left = a.baseAddress, let right = b.baseAddress else { return true }
    return memcmp(left, right, a.count) == 0
}
