import Digests
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
    private static let step: UInt64 = 1024 * 1024

    private let folder: String
    private let source: any RestoreSource
    private let pace: BytePace

    init(_ folder: String, _ source: any RestoreSource, _ pace: BytePace) {
        self.pace = pace
        self.folder = folder
        self.source = source
    }

    /// - Throws: ``SnapshotError/enciphered(_:)``: without its keys, an enciphered object is no file.
    func path(of version: ObjectVersion) throws -> String {
        guard !version.record.hasEncryption else {
            throw SnapshotError.enciphered("\(version.record.bucket)/\(version.key)")
        }
        // By bytes: a slash that a combining mark follows is no "/" to a String, and one to a file system.
        let parts = version.key.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
            .map { Self.name(Array($0)) }
        var path = "\(folder)/\(version.record.bucket)"
        for (index, part) in parts.enumerated() {
            path += "/\(part)"
            let wanted: FileStatus.Kind = index < parts.count - 1 ? .directory : .file
            if let status = try RealFileSystem().status(of: path), status.kind != wanted { path += "%" }
        }
        return path
    }

    private static func name(_ part: [UInt8]) -> String {
        if part.isEmpty { return "%" }
        let dot = UInt8(ascii: ".")
        if part == [dot] || part == [dot, dot] { return String(repeating: "%2E", count: part.count) }
        let text = part.flatMap { byte -> [UInt8] in
            switch byte {
            case UInt8(ascii: "%"): Array("%25".utf8)
            case 0: Array("%00".utf8)
            default: [byte]
            }
        }
        guard text.count > 240 else { return String(decoding: text, as: UTF8.self) }
        let digest = text.reduce(UInt64(14_695_981_039_346_656_037)) {
            ($0 ^ UInt64($1)) &* 1_099_511_628_211
        }
        // Not within a character of several bytes.
        var end = 200
        while text[end] & 0xC0 == 0x80 { end -= 1 }
        return "\(String(decoding: text[..<end], as: UTF8.self))%\(String(digest, radix: 16))"
    }

    /// Whether a file is there that has the version's bytes. It is read: a size says little, and a time nothing that is
    /// certain.
    func has(_ version: ObjectVersion, at path: String) throws -> Bool {
        let fileSystem = RealFileSystem()
        guard let status = try fileSystem.status(of: path), status.kind == .file,
            status.size == version.size
        else { return false }
        let file = try fileSystem.open(path, [], permissions: 0)
        defer { file.close() }
        var start: UInt64 = 0
        for piece in version.record.pieces {
            let end = start + piece.length
            var sha256 = SHA256()
            while start < end {
                let bytes = try file.bytes(Int(min(Self.step, end - start)), at: start)
                guard !bytes.isEmpty else { return false }
                sha256.update(bytes)
                start += UInt64(bytes.count)
            }
            guard sha256.finalize() == Array(piece.sha256) else { return false }
        }
        return true
    }

    /// Writes it beside, and then in the place of what is there.
    func write(_ version: ObjectVersion, to path: String) async throws {
        let fileSystem = RealFileSystem()
        try fileSystem.createDirectories(parent(of: path))
        // No key has that name.
        let beside = path + "%restoring"
        if try fileSystem.status(of: beside) != nil { try fileSystem.remove(beside) }
        let file = try fileSystem.open(beside, [.write, .createNew], permissions: 0o600)
        defer { file.close() }
        let pieces = source.pieces(of: version)
        var written: UInt64 = 0
        for (index, piece) in version.record.pieces.enumerated() {
            var offset: UInt64 = 0
            while offset < piece.length {
                let bytes = try pieces.read(
                    index, at: offset, count: Int(min(Self.step, piece.length - offset)))
                guard !bytes.isEmpty else { throw SnapshotError.cutOff(path) }
                try file.write(bytes, at: written)
                offset += UInt64(bytes.count)
                written += UInt64(bytes.count)
                try await pace.spent(bytes.count)
            }
        }
        try file.sync()
        try fileSystem.rename(beside, to: path)
        try fileSystem.syncDirectory(parent(of: path))
    }
}
