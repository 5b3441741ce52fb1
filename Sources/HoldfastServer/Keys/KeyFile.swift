import Foundation
import Volumes

/// Users and keys as `state/keys.json` has them, described in Documentation/formats.md.
///
/// Format 1 had keys alone: its users are those whom the keys name. Format 2 had no canonical ids: they follow from
/// the users' names. Both are read; format 3 is written, and a file of an earlier one stays as it is until
/// `holdfast upgrade` makes it the newest: a release that is gone back to must find what it knows.
struct KeyFile: Codable, Equatable {
    static let newestFormat = 3

    var format = Self.newestFormat
    var users: [User]
    var keys: [AccessKey]

    init(users: [User] = [], keys: [AccessKey] = []) {
        self.users = users
        self.keys = keys
    }

    private struct Beginning: Decodable { let format: Int }
    private struct First: Decodable { let keys: [AccessKey] }

    /// - Throws: ``KeyError/unreadable(path:reason:)``, ``FileSystemError``.
    static func read(_ path: String, _ fileSystem: any FileSystem) throws -> KeyFile {
        guard try fileSystem.status(of: path) != nil else { return KeyFile() }
        let bytes = Data(try fileSystem.contents(of: path))
        let format: Int
        let decoder = JSONDecoder()
        do {
            format = try decoder.decode(Beginning.self, from: bytes).format
            switch format {
            case 1:
                var file = KeyFile(keys: try decoder.decode(First.self, from: bytes).keys)
                file.format = format
                for key in file.keys where key.user != AccessKey.rootUser && file[key.user] == nil {
                    file.users.append(
                        User(
                            name: key.user, displayName: key.user, created: key.created,
                            canonicalID: AccessKey.canonicalID(of: key.user)))
                }
                return file
            case 2, 3: return try decoder.decode(KeyFile.self, from: bytes)
            default: break
            }
        } catch {
            throw KeyError.unreadable(path: path, reason: "\(error)")
        }
        throw KeyError.unreadable(
            path: path, reason: "it has format \(format), not 1 to \(Self.newestFormat)")
    }

    func write(_ path: String, _ fileSystem: any FileSystem) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try fileSystem.createDirectories(parent(of: path), permissions: 0o700)
        try fileSystem.replaceFile(path, with: Array(try encoder.encode(self)), permissions: 0o600)
    }

    /// The name of the user whose canonical id it is.
    func holder(of canonicalID: String) -> String? {
        canonicalID == AccessKey.canonicalID(of: AccessKey.rootUser)
            ? AccessKey.rootUser : users.first { $0.canonicalID == canonicalID }?.name
    }

    subscript(_ name: String) -> User? { users.first { $0.name == name } }
}
