import Foundation
import Volumes

/// What `stat(2)` says of a file that matters to an import.
struct FileStamp: Sendable, Equatable {
    enum Kind: Sendable { case file, directory, link, other }

    let kind: Kind
    let size: UInt64
    /// Since 1970-01-01T00:00:00Z; may be before.
    let modifiedNanoseconds: Int64
    /// Which directory it is, to find a link that leads back up.
    let device: UInt64
    let inode: UInt64

    /// - Parameter followsLinks: what a symbolic link leads to is looked at, not the link.
    /// - Throws: ``FileSystemError``.
    static func of(_ path: RawPath, followsLinks: Bool) throws(FileSystemError) -> FileStamp {
        var information = stat()
        let flags = followsLinks ? 0 : AT_SYMLINK_NOFOLLOW
        let status = path.bytes.withUnsafeBufferPointer {
            fstatat(AT_FDCWD, $0.baseAddress!, &information, flags)
        }
        guard status == 0 else {
            throw FileSystemError(operation: "stat", path: path.text, code: errno)
        }
        return FileStamp(information)
    }

    init(_ information: stat) {
        kind =
            switch information.st_mode & S_IFMT {
            case S_IFREG: .file
            case S_IFDIR: .directory
            case S_IFLNK: .link
            default: .other
            }
        size = UInt64(information.st_size)
        modifiedNanoseconds =
            Int64(information.st_mtim.tv_sec) * 1_000_000_000 + Int64(information.st_mtim.tv_nsec)
        device = UInt64(information.st_dev)
        inode = UInt64(information.st_ino)
    }

    var modifiedText: String { ModificationTime.text(nanoseconds: modifiedNanoseconds) }
}

/// A file's time of change as rclone keeps it in `x-amz-meta-mtime`: seconds with up to nine decimals, none that are zero
/// at the end.
///
/// Source: rclone documentation, "Amazon S3 Storage Providers", "Modification times and hashes".
package enum ModificationTime {
    /// - Parameter nanoseconds: since 1970-01-01T00:00:00Z; may be before.
    package static func text(nanoseconds: Int64) -> String {
        let magnitude = nanoseconds.magnitude
        let seconds = (nanoseconds < 0 ? "-" : "") + String(magnitude / 1_000_000_000)
        var decimals = String(magnitude % 1_000_000_000)
        guard decimals != "0" else { return seconds }
        decimals = String(repeating: "0", count: 9 - decimals.utf8.count) + decimals
        while decimals.hasSuffix("0") { decimals.removeLast() }
        return "\(seconds).\(decimals)"
    }
}

/// A path as the file system has it: bytes without a meaning, ended by a zero.
struct RawPath: Sendable {
    /// With the zero at the end.
    let bytes: [CChar]

    init(_ path: String) { bytes = Array(path.utf8CString) }
    private init(bytes: [CChar]) { self.bytes = bytes }

    func appending(_ name: [CChar]) -> RawPath {
        var joined = Array(bytes.dropLast())
        if joined.last != CChar(UInt8(ascii: "/")) { joined.append(CChar(UInt8(ascii: "/"))) }
        return RawPath(bytes: joined + name + [0])
    }

    /// For messages: what is no UTF-8 in it is shown as U+FFFD.
    var text: String { String(decoding: bytes.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self) }
}

/// A file that is to be imported, as it was when its directory was read.
struct FolderFile: Sendable {
    let path: RawPath
    /// Relative to the folder that is imported.
    let name: String
    let size: UInt64
    let followsLinks: Bool

    func open() throws(FileSystemError) -> OpenFolderFile {
        // Not to wait for a writer, should a pipe have taken the file's place.
        let flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | (followsLinks ? 0 : O_NOFOLLOW)
        let descriptor = path.bytes.withUnsafeBufferPointer { Glibc.open($0.baseAddress!, flags) }
        guard descriptor >= 0 else {
            throw FileSystemError(operation: "open", path: path.text, code: errno)
        }
        return OpenFolderFile(descriptor, path.text)
    }

    /// How it stands under its name now.
    func stamp() throws(FileSystemError) -> FileStamp {
        try FileStamp.of(path, followsLinks: followsLinks)
    }
}

/// A file that is being read. Of one task at a time; what it reads it waits for.
final class OpenFolderFile: Sendable {
    private let descriptor: Int32
    private let path: String

    fileprivate init(_ descriptor: Int32, _ path: String) {
        self.descriptor = descriptor
        self.path = path
    }

    deinit { close(descriptor) }

    func stamp() throws(FileSystemError) -> FileStamp {
        var information = stat()
        guard fstat(descriptor, &information) == 0 else {
            throw FileSystemError(operation: "fstat", path: path, code: errno)
        }
        return FileStamp(information)
    }

    /// - Returns: fewer bytes than asked for only at the end of the file.
    func read(at offset: UInt64, count: Int) throws(FileSystemError) -> [UInt8] {
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, done in
            while done < count {
                let got = pread(
                    descriptor, buffer.baseAddress! + done, count - done, off_t(offset) + off_t(done))
                if got < 0, errno == EINTR { continue }
                if got < 0 { failure = errno }
                if got <= 0 { return }
                done += got
            }
        }
        guard failure == 0 else {
            throw FileSystemError(operation: "pread", path: path, code: failure)
        }
        return bytes
    }
}
