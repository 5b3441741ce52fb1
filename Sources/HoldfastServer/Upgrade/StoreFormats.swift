import Catalog
import EventLog
import Foundation
import Model
import ObjectStore
import Volumes

/// One file or kind of file of a store, and its format.
public struct FormatLine: Codable, Sendable, Equatable {
    /// "volume 1", "log of volume 1", "keys" …
    public let what: String
    public let path: String
    /// Of what is there; `nil` if it cannot be read.
    public let format: Int?
    /// That this release writes, and the newest that it reads.
    public let newest: Int
    /// Why the format is not known.
    public let reason: String?

    public var isNewer: Bool { format.map { $0 > newest } ?? false }
}

/// A file of a store that a newer release wrote.
public struct NewerFormat: Error, CustomStringConvertible {
    public let lines: [FormatLine]
    public var description: String {
        lines.map { line in
            "\(line.what) has format \(line.format ?? 0) (\(line.path)), and this is \(Release.name), which knows format \(line.newest): use the release that wrote it, or a newer one"
        }.joined(separator: "\n")
    }
}

/// The formats of what a store's directories hold.
public enum StoreFormats {
    private struct Head: Decodable { let format: Int }

    /// Looks at every file of the store that says of itself which format it has; at nothing of the blobs, each of which has
    /// its own in its footer. The store may be served meanwhile.
    public static func lines(
        _ settings: ServerSettings, _ fileSystem: any FileSystem = RealFileSystem()
    ) -> [FormatLine] {
        let state = settings.store.stateDirectory
        var lines: [FormatLine] = []
        for (offset, path) in settings.volumePaths.enumerated() {
            lines += document(
                "volume \(offset + 1)", "\(path)/\(VolumeFile.name)", newest: VolumeFile.format, fileSystem)
            lines += log("log of volume \(offset + 1)", path + "/log", fileSystem)
        }
        lines += document(keysName, state + "/keys.json", newest: KeyFile.newestFormat, fileSystem)
        lines += document("master keys", settings.masterKeysPath, newest: MasterKeyFile.format, fileSystem)
        lines += document("jobs", state + "/jobs.json", newest: 1, fileSystem)
        lines += catalog(settings.store.catalogPath)
        return lines
    }

    /// Before anything is opened or taken over.
    /// - Throws: ``NewerFormat``. The catalog is none of them: it is computed from the log, by an earlier release as well.
    public static func requireKnown(
        _ settings: ServerSettings, _ fileSystem: any FileSystem = RealFileSystem()
    ) throws {
        let newer = lines(settings, fileSystem).filter { $0.isNewer && $0.what != catalogName }
        if !newer.isEmpty { throw NewerFormat(lines: newer) }
    }

    static let catalogName = "catalog"
    static let keysName = "keys"

    private static func document(
        _ what: String, _ path: String, newest: Int, _ fileSystem: any FileSystem
    ) -> [FormatLine] {
        line(what, path, newest: newest) {
            guard try fileSystem.status(of: path) != nil else { return nil }
            return try JSONDecoder().decode(Head.self, from: Data(try fileSystem.contents(of: path))).format
        }
    }

    private static func catalog(_ path: String) -> [FormatLine] {
        line(catalogName, path, newest: Catalog.schemaVersion) { try Catalog.schema(path: path) }
    }

    /// Its segments, by the newest format among them.
    private static func log(_ what: String, _ directory: String, _ fileSystem: any FileSystem) -> [FormatLine]
    {
        line(what, directory, newest: Int(Segment.version)) {
            guard try fileSystem.status(of: directory) != nil else { return nil }
            return try fileSystem.list(directory).filter { Segment.first(of: $0) != nil }.map { name in
                let file = try fileSystem.open("\(directory)/\(name)", [], permissions: 0)
                defer { file.close() }
                return try Segment.format(try file.bytes(Segment.headerByteCount, at: 0))
            }.max()
        }
    }

    /// - Parameter format: `nil` for what is not there, which makes no line.
    private static func line(
        _ what: String, _ path: String, newest: Int, _ format: () throws -> Int?
    ) -> [FormatLine] {
        do {
            guard let format = try format() else { return [] }
            return [FormatLine(what: what, path: path, format: format, newest: newest, reason: nil)]
        } catch {
            return [FormatLine(what: what, path: path, format: nil, newest: newest, reason: "\(error)")]
        }
    }
}
