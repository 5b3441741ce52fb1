import Foundation
import Model

/// `volume.json`: who a directory is.
package struct VolumeFile: Codable {
    package static let format = 1
    package static let name = "volume.json"

    let format: Int
    let storeID: String
    let volumeID: String
    let index: Int
    let createdMicroseconds: UInt64

    init(_ identity: VolumeIdentity) {
        format = Self.format
        storeID = identity.storeID.description
        volumeID = identity.volumeID.description
        index = identity.index
        createdMicroseconds = identity.created.microseconds
    }

    func encoded() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return Array(try encoder.encode(self)) + [UInt8(ascii: "\n")]
    }

    /// - Throws: ``VolumeError`` if this is no volume, or one of a format that is not known.
    package static func decode(_ bytes: [UInt8], path: String) throws(VolumeError) -> VolumeIdentity {
        struct Head: Decodable { let format: Int }
        let file: VolumeFile
        do {
            let head = try JSONDecoder().decode(Head.self, from: Data(bytes))
            guard head.format == format else {
                throw VolumeError.unknownFormat(path: path, format: head.format)
            }
            file = try JSONDecoder().decode(VolumeFile.self, from: Data(bytes))
        } catch let error as VolumeError {
            throw error
        } catch {
            throw .notAVolume(path: path, reason: "\(name) cannot be read: \(error)")
        }
        guard let storeID = StoreID(file.storeID), let volumeID = VolumeID(file.volumeID),
            (0...Limits.volumeCount).contains(file.index)
        else { throw .notAVolume(path: path, reason: "\(name) names no store and volume") }
        return VolumeIdentity(
            storeID: storeID, volumeID: volumeID, index: file.index,
            created: Timestamp(microseconds: file.createdMicroseconds))
    }
}

extension FileSystem {
    /// Reads a whole small file.
    package func contents(of path: String) throws(FileSystemError) -> [UInt8] {
        let file = try open(path, [], permissions: 0)
        defer { file.close() }
        return try file.bytes(Int(try file.size()), at: 0)
    }

    /// Writes a small file so that after a crash it is either as it was or whole: beside, synced, renamed,
    /// directory synced.
    package func replaceFile(_ path: String, with bytes: [UInt8], permissions: UInt16 = 0o600)
        throws(FileSystemError)
    {
        let beside = path + ".new"
        if try status(of: beside) != nil { try remove(beside) }
        let file = try open(beside, [.write, .createNew], permissions: permissions)
        defer { file.close() }
        try file.write(bytes, at: 0)
        try file.sync()
        try rename(beside, to: path)
        try syncDirectory(parent(of: path))
    }

    /// Creates a directory and the missing ones above it, each synced into its parent.
    /// - Parameters:
    ///   - base: a directory above it that must be there, and is not created.
    package func createDirectories(
        _ path: String, below base: String? = nil, permissions: UInt16 = 0o755
    ) throws(FileSystemError) {
        if let status = try status(of: path) {
            guard status.kind == .directory else {
                throw FileSystemError(operation: "mkdir", path: path, code: ENOTDIR)
            }
            return
        }
        let parent = parent(of: path)
        if parent != path, parent != base {
            try createDirectories(parent, below: base, permissions: permissions)
        }
        do { try createDirectory(path, permissions: permissions) } catch {
            guard error.code == EEXIST else { throw error }
        }
        do { try syncDirectory(parent) } catch {
            // Who finds the directory takes it for durable: one that may not be must not stay. If it does, because
            // it cannot be removed or has something in it by now, the caller's error still sets the volume aside.
            _ = Result { () throws(FileSystemError) in try removeDirectory(path) }
            throw error
        }
    }
}

extension File {
    /// Up to `count` bytes at `offset`; fewer only at the end of the file.
    package func bytes(_ count: Int, at offset: UInt64) throws(FileSystemError) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let result = bytes.withUnsafeMutableBytes { buffer in
            Result { () throws(FileSystemError) in try read(into: buffer, at: offset) }
        }
        bytes.removeLast(count - (try result.get()))
        return bytes
    }

    package func write(_ bytes: [UInt8], at offset: UInt64) throws(FileSystemError) {
        try bytes.withUnsafeBytes { buffer in
            Result { () throws(FileSystemError) in try write(buffer, at: offset) }
        }.get()
    }
}

package func parent(of path: String) -> String {
    // By bytes: a slash that a combining mark follows is no "/" to a String.
    guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
}
