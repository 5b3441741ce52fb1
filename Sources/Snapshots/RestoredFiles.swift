import Foundation
import Model
import ObjectStore
import Volumes

/// Objects written out as plain files: `FOLDER/bucket/key`, a folder for each `/` of the key.
///
/// What a file system could not name, or would take for something else, is named otherwise: an empty part is `%`, `.` and
/// `..` are percent-encoded, as is `%` itself; a part over 240 bytes is cut at 200 and ends with a digest of the whole.
/// Where one key is the folder of others, `a` and `a/b`, whichever comes later gets a `%` behind its name.
struct RestoredFiles {
    private let folder: String
    private let source: any RestoreSource

    init(_ folder: String, _ source: any RestoreSource) {
        self.folder = folder
        self.source = source
    }

    /// - Throws: ``SnapshotError/enciphered(_:)``: without its keys, an enciphered object is no file.
    func path(of version: ObjectVersion) throws -> String {
        guard !version.record.hasEncryption else {
            throw SnapshotError.enciphered("\(version.record.bucket)/\(version.key)")
        }
        let parts = version.key.split(separator: "/", omittingEmptySubsequences: false).map(Self.name)
        var path = "\(folder)/\(version.record.bucket)"
        for (index, part) in parts.enumerated() {
            path += "/\(part)"
            let wanted: FileStatus.Kind = index < parts.count - 1 ? .directory : .file
            if let status = try RealFileSystem().status(of: path), status.kind != wanted { path += "%" }
        }
        return path
    }

    private static func name(_ substring: Substring) -> String {
        let part = String(substring)
        if part.isEmpty { return "%" }
        if part == "." || part == ".." { return part.replacing(".", with: "%2E") }
        let text = part.replacing("%", with: "%25").replacing("\0", with: "%00")
        guard text.utf8.count > 240 else { return text }
        let digest = Array(text.utf8).reduce(UInt64(14_695_981_039_346_656_037)) {
            ($0 ^ UInt64($1)) &* 1_099_511_628_211
        }
        var head = text
        while head.utf8.count > 200 { head.removeLast() }
        return "\(head)%\(String(digest, radix: 16))"
    }

    /// - Returns: `false` if a file of that size is there already.
    func write(_ version: ObjectVersion, to path: String) throws -> Bool {
        let fileSystem = RealFileSystem()
        if let status = try fileSystem.status(of: path), status.size == version.size { return false }
        try fileSystem.createDirectories(parent(of: path))
        let beside = path + ".restoring"
        if try fileSystem.status(of: beside) != nil { try fileSystem.remove(beside) }
        let file = try fileSystem.open(beside, [.write, .createNew], permissions: 0o600)
        defer { file.close() }
        let pieces = source.pieces(of: version)
        var written: UInt64 = 0
        for (index, piece) in version.record.pieces.enumerated() {
            var offset: UInt64 = 0
            while offset < piece.length {
                let bytes = try pieces.read(
                    index, at: offset, count: Int(min(1024 * 1024, piece.length - offset)))
                guard !bytes.isEmpty else { throw SnapshotError.cutOff(path) }
                try file.write(bytes, at: written)
                offset += UInt64(bytes.count)
                written += UInt64(bytes.count)
            }
        }
        try file.sync()
        try fileSystem.rename(beside, to: path)
        try fileSystem.syncDirectory(parent(of: path))
        return true
    }
}
