import Digests
import Foundation
import Model

/// What stands beside each file in quarantine: where it came from, why, and what it was, so that it can be put
/// back and told from something that was changed since. `Documentation/formats.md`, "Quarantine".
public struct QuarantineNote: Codable, Sendable, Equatable {
    /// Where it was, relative to the volume.
    public let path: String
    public let reason: String
    public let time: String
    /// Bytes of the file; `nil` for what is no file, or in a note of a release that kept no digests.
    public let size: UInt64?
    /// Of the file as it was set aside; `nil` if it could not be read to its end.
    public let sha256: String?
    /// Why there is no digest.
    public let unreadable: String?

    package init(
        path: String, reason: String, time: String, size: UInt64?, sha256: String?, unreadable: String?
    ) {
        self.path = path
        self.reason = reason
        self.time = time
        self.size = size
        self.sha256 = sha256
        self.unreadable = unreadable
    }

    package func encoded() throws -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(self))
    }
}

/// What a file is that goes to quarantine, as its note says.
struct QuarantinedContent {
    let size: UInt64?
    let sha256: String?
    let unreadable: String?
}

/// Why a file in quarantine is not put back.
public enum PutBackRefusal: Error, Sendable, Equatable, CustomStringConvertible {
    case gone(String)
    case unexplained(String, String)
    case changed(String, expected: String, found: String)
    case occupied(String)

    public var description: String {
        switch self {
        case .gone(let place): "\(place) is not there any more"
        case .unexplained(let place, let reason):
            "the note beside \(place) does not say what it was: \(reason)"
        case .changed(let place, let expected, let found):
            "\(place) was changed since it was set aside: its SHA-256 is \(found), not \(expected)"
        case .occupied(let path): "something else stands at \(path) by now"
        }
    }
}

extension DirectoryVolume {
    public func quarantine(_ relativePath: String, reason: String) throws -> String {
        try quarantine(relativePath, reason: reason, content: try content(of: relativePath))
    }

    /// - Parameter content: what the file is, which takes as long to know as to read it.
    func quarantine(
        _ relativePath: String, reason: String, content: QuarantinedContent
    ) throws -> String {
        let place = try freePlace(relativePath)
        let note = note(relativePath, reason, content)
        // The note first: nothing stands in quarantine unexplained.
        try fileSystem.replaceFile("\(place).json", with: try note.encoded())
        try fileSystem.rename("\(directory)/\(relativePath)", to: place)
        try fileSystem.syncDirectory(quarantineDirectory)
        try fileSystem.syncDirectory(parent(of: "\(directory)/\(relativePath)"))
        if let id = BlobID(baseName(relativePath)) { forget(id) }
        return "quarantine/\(baseName(place))"
    }

    private func baseName(_ path: String) -> String {
        path.split(separator: "/").last.map(String.init) ?? "file"
    }

    /// Nothing that is in quarantine is ever overwritten.
    private func freePlace(_ relativePath: String) throws -> String {
        var place = "\(quarantineDirectory)/\(baseName(relativePath))-\(clock().microseconds)"
        while try fileSystem.status(of: place) != nil { place += "+" }
        return place
    }

    /// Puts a copy of a file there that stays where it is until something takes its place.
    package func quarantine(copyOf relativePath: String, _ bytes: [UInt8], reason: String) throws {
        let place = try freePlace(relativePath)
        try fileSystem.replaceFile(
            "\(place).json",
            with: try note(relativePath, reason, try content(of: relativePath)).encoded())
        try fileSystem.replaceFile(place, with: bytes)
    }

    private func note(
        _ relativePath: String, _ reason: String, _ content: QuarantinedContent
    ) -> QuarantineNote {
        QuarantineNote(
            path: relativePath, reason: reason, time: clock().description, size: content.size,
            sha256: content.sha256, unreadable: content.unreadable)
    }

    func content(of relativePath: String) throws -> QuarantinedContent {
        let path = "\(directory)/\(relativePath)"
        guard let status = try fileSystem.status(of: path) else {
            throw FileSystemError(operation: "lstat", path: path, code: ENOENT)
        }
        guard status.kind == .file else {
            return QuarantinedContent(size: nil, sha256: nil, unreadable: "it is no file")
        }
        var sha256: String?
        var unreadable: String?
        // A file that cannot be read is set aside all the same: it is what a repair is made for.
        do { sha256 = try digest(path) } catch { unreadable = "\(error)" }
        return QuarantinedContent(size: status.size, sha256: sha256, unreadable: unreadable)
    }

    /// The SHA-256 of a whole file, in hexadecimal.
    private func digest(_ path: String) throws(FileSystemError) -> String {
        let file = try fileSystem.open(path, [], permissions: 0)
        defer { file.close() }
        let buffer = AlignedBuffer(capacity: OpenReplica.chunkByteCount)
        var sha256 = SHA256()
        var offset: UInt64 = 0
        while true {
            let count = try file.read(into: buffer.bytes, at: offset)
            sha256.update(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer.bytes)[0..<count]))
            offset += UInt64(count)
            if count < buffer.bytes.count { return sha256.finalize().hexadecimal }
        }
    }

    public func quarantineNote(_ place: String) throws -> QuarantineNote {
        guard try fileSystem.status(of: "\(directory)/\(place)") != nil else {
            throw PutBackRefusal.gone(place)
        }
        let bytes: [UInt8]
        do { bytes = try fileSystem.contents(of: "\(directory)/\(place).json") } catch {
            throw PutBackRefusal.unexplained(place, "\(error)")
        }
        do { return try JSONDecoder().decode(QuarantineNote.self, from: Data(bytes)) } catch {
            throw PutBackRefusal.unexplained(place, "\(error)")
        }
    }

    public func putBack(_ place: String, displacing reason: String?) throws -> String? {
        let note = try quarantineNote(place)
        if let expected = note.sha256 {
            let found = try digest("\(directory)/\(place)")
            guard found == expected else {
                throw PutBackRefusal.changed(place, expected: expected, found: found)
            }
        } else if note.unreadable == nil {
            throw PutBackRefusal.unexplained(place, "it has no SHA-256")
        }
        var displaced: String?
        let origin = "\(directory)/\(note.path)"
        if try fileSystem.status(of: origin) != nil {
            guard let reason else { throw PutBackRefusal.occupied(note.path) }
            displaced = try quarantine(note.path, reason: reason)
        }
        try fileSystem.createDirectories(parent(of: origin), below: directory, permissions: 0o700)
        try fileSystem.rename("\(directory)/\(place)", to: origin)
        try fileSystem.syncDirectory(parent(of: origin))
        try fileSystem.syncDirectory(quarantineDirectory)
        // The note goes last; without its file it explains nothing.
        try fileSystem.remove("\(directory)/\(place).json")
        if let id = note.path.split(separator: "/").last.flatMap({ BlobID(String($0)) }) { forget(id) }
        return displaced
    }

    public func quarantined(_ id: BlobID) throws -> [String] {
        try fileSystem.list(quarantineDirectory).filter {
            $0.hasPrefix("\(id)-") && !$0.hasSuffix(".json") && !$0.hasSuffix(".new")
        }.map { "quarantine/\($0)" }
    }
}
