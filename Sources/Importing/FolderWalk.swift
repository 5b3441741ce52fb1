import Foundation
import Model
import Volumes

/// Walks a directory tree in the order of names, depth first; the names of one directory at each level are in memory.
///
/// What cannot be an object is passed over by name: a symbolic link that is not followed, a pipe, a socket, a device. What
/// should have been one is a failure by name: a directory that cannot be read, a name that is no UTF-8.
final class FolderWalk: ImportWalk {
    private struct Level {
        let path: RawPath
        /// Relative, with a slash at the end; empty for the folder itself.
        let prefix: String
        /// Backwards: the next one is the last.
        var names: [[CChar]]
        let stamp: FileStamp
    }

    private let followsLinks: Bool
    private var levels: [Level] = []

    /// - Throws: ``ImportRefusal/badSource(_:reason:)`` if there is no directory that can be read.
    init(_ folder: String, followsLinks: Bool) throws {
        self.followsLinks = followsLinks
        let path = RawPath(folder)
        do throws(FileSystemError) {
            let stamp = try FileStamp.of(path, followsLinks: true)
            guard stamp.kind == .directory else {
                throw FileSystemError(operation: "opendir", path: folder, code: ENOTDIR)
            }
            levels = [Level(path: path, prefix: "", names: try Self.names(in: path), stamp: stamp)]
        } catch { throw ImportRefusal.badSource(folder, reason: "\(error)") }
    }

    func next() throws -> ImportItem? {
        while !levels.isEmpty {
            guard let name = levels[levels.count - 1].names.popLast() else {
                levels.removeLast()
                continue
            }
            if let item = item(name, in: levels[levels.count - 1]) { return item }
        }
        return nil
    }

    /// - Returns: `nil` for a directory, which is gone into.
    private func item(_ raw: [CChar], in level: Level) -> ImportItem? {
        let path = level.path.appending(raw)
        let bytes = raw.map(UInt8.init(bitPattern:))
        guard let text = String(validating: bytes, as: UTF8.self) else {
            let shown = level.prefix + String(decoding: bytes, as: UTF8.self)
            return passed(.failed, shown, "its name is no UTF-8: \(bytes.hexadecimal)")
        }
        let name = level.prefix + text
        do throws(FileSystemError) {
            let stamp = try FileStamp.of(path, followsLinks: followsLinks)
            switch stamp.kind {
            case .file:
                return .file(
                    FolderFile(path: path, name: name, size: stamp.size, followsLinks: followsLinks))
            case .directory:
                let isLoop = levels.contains {
                    $0.stamp.inode == stamp.inode && $0.stamp.device == stamp.device
                }
                guard !isLoop else { return passed(.skipped, name, "a link that leads back up") }
                levels.append(
                    Level(path: path, prefix: name + "/", names: try Self.names(in: path), stamp: stamp))
                return nil
            case .link: return passed(.skipped, name, "a symbolic link")
            case .other: return passed(.skipped, name, "neither a file nor a directory")
            }
        } catch { return passed(.failed, name, "\(error)") }
    }

    private func passed(_ action: ImportOutcome.Action, _ name: String, _ why: String) -> ImportItem {
        .passedOver(ImportOutcome(action, name, detail: why))
    }

    /// Names in a directory, the last first, by their bytes.
    private static func names(in path: RawPath) throws(FileSystemError) -> [[CChar]] {
        let opened = path.bytes.withUnsafeBufferPointer { opendir($0.baseAddress!) }
        guard let stream = opened else {
            throw FileSystemError(operation: "opendir", path: path.text, code: errno)
        }
        defer { closedir(stream) }
        var names: [[CChar]] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                guard errno == 0 else {
                    throw FileSystemError(operation: "readdir", path: path.text, code: errno)
                }
                break
            }
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                Array(bytes.bindMemory(to: CChar.self).prefix { $0 != 0 })
            }
            if name != [0x2E], name != [0x2E, 0x2E] { names.append(name) }
        }
        return names.sorted { left, right in
            right.lexicographicallyPrecedes(left) {
                UInt8(bitPattern: $0) < UInt8(bitPattern: $1)
            }
        }
    }
}
