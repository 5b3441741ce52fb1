import Digests
import Foundation
import Model
import S3
import Synchronization
import Volumes

/// An access key as it is kept.
public struct AccessKey: Codable, Sendable, Hashable {
    public let accessKey: String
    public let secretKey: String
    /// Who holds it: what objects show as their owner's name.
    public let user: String
    public let created: String
    /// The key that the server made for itself when it was first started without one.
    public let isRoot: Bool

    var identity: Identity {
        Identity(
            accessKey: accessKey, secretKey: secretKey, userID: Self.canonicalID(of: user), displayName: user)
    }

    static let rootUser = "root"

    /// A user's canonical id follows from its name, so that keys of one user are one owner.
    static func canonicalID(of user: String) -> String {
        SHA256.hash(Array("holdfast user \(user)".utf8)).hexadecimal
    }
}

/// What is wrong with the keys, or with a change to them.
public enum KeyError: Error, CustomStringConvertible {
    case unreadable(path: String, reason: String)
    case noSuchKey(String)
    case incompleteEnvironment
    case tooShort(setting: String, minimum: Int)

    public var description: String {
        switch self {
        case .unreadable(let path, let reason): "the keys in \(path) cannot be read: \(reason)"
        case .noSuchKey(let key): "there is no access key \(key); 'holdfast key list' shows those there are"
        case .incompleteEnvironment:
            "HOLDFAST_ROOT_ACCESS_KEY and HOLDFAST_ROOT_SECRET_KEY go together: only one of them is set"
        case .tooShort(let setting, let minimum):
            "\(setting) is shorter than \(minimum) characters"
        }
    }
}

/// The access keys of a store, kept in one file that only its owner may read.
///
/// The file is `state/keys.json`, described in Documentation/formats.md. It is replaced whole: written beside,
/// synced, renamed, its directory synced.
public final class KeyStore: IdentitySource {
    private struct Contents: Codable {
        var format = 1
        var keys: [AccessKey]
    }

    private let path: String
    private let fileSystem: any FileSystem
    private let keys: Mutex<[AccessKey]>
    /// The key that the environment gives; it is never written down.
    private let environmentKey: AccessKey?
    /// By access key: every request asks.
    private let identities: ReadMostly<[String: Identity]>

    /// - Throws: ``KeyError``, ``FileSystemError``.
    public init(
        stateDirectory: String, environment: [String: String] = [:],
        fileSystem: any FileSystem = RealFileSystem()
    ) throws {
        path = stateDirectory + "/keys.json"
        self.fileSystem = fileSystem
        let environmentKey = try Self.rootKey(environment)
        let keys = try Self.read(path, fileSystem)
        self.environmentKey = environmentKey
        self.keys = Mutex(keys)
        identities = ReadMostly(Self.identities(of: keys, environmentKey))
    }

    private static func identities(
        of keys: [AccessKey], _ environmentKey: AccessKey?
    ) -> [String: Identity] {
        // A key of the environment counts before one in the file.
        let all = keys + (environmentKey.map { [$0] } ?? [])
        return Dictionary(all.map { ($0.accessKey, $0.identity) }) { _, last in last }
    }

    private static func rootKey(_ environment: [String: String]) throws -> AccessKey? {
        let accessKey = environment["HOLDFAST_ROOT_ACCESS_KEY"] ?? ""
        let secretKey = environment["HOLDFAST_ROOT_SECRET_KEY"] ?? ""
        if accessKey.isEmpty, secretKey.isEmpty { return nil }
        guard !accessKey.isEmpty, !secretKey.isEmpty else { throw KeyError.incompleteEnvironment }
        guard accessKey.utf8.count >= 3 else {
            throw KeyError.tooShort(setting: "HOLDFAST_ROOT_ACCESS_KEY", minimum: 3)
        }
        guard secretKey.utf8.count >= 8 else {
            throw KeyError.tooShort(setting: "HOLDFAST_ROOT_SECRET_KEY", minimum: 8)
        }
        return AccessKey(
            accessKey: accessKey, secretKey: secretKey, user: AccessKey.rootUser, created: "", isRoot: true)
    }

    private static func read(_ path: String, _ fileSystem: any FileSystem) throws -> [AccessKey] {
        guard try fileSystem.status(of: path) != nil else { return [] }
        let contents: Contents
        do {
            contents = try JSONDecoder().decode(Contents.self, from: Data(try fileSystem.contents(of: path)))
        } catch {
            throw KeyError.unreadable(path: path, reason: "\(error)")
        }
        guard contents.format == 1 else {
            throw KeyError.unreadable(path: path, reason: "it has format \(contents.format), not 1")
        }
        return contents.keys
    }

    public func identity(accessKey: String) -> Identity? {
        identities.read { $0[accessKey] }
    }

    public var all: [AccessKey] { (environmentKey.map { [$0] } ?? []) + keys.withLock { $0 } }

    /// Makes the root key of a store that has none.
    /// - Returns: the key, if it was made now.
    public func makeRootKeyIfNeeded() throws -> AccessKey? {
        guard environmentKey == nil, !keys.withLock({ $0.contains(where: \.isRoot) }) else { return nil }
        return try create(user: AccessKey.rootUser, isRoot: true)
    }

    public func create(user: String) throws -> AccessKey { try create(user: user, isRoot: false) }

    private func create(user: String, isRoot: Bool) throws -> AccessKey {
        let key = AccessKey(
            accessKey: "HF" + Self.random("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", count: 18),
            secretKey: Self.random(
                "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", count: 40),
            user: user, created: Timestamp.now().description, isRoot: isRoot)
        try change { $0.append(key) }
        return key
    }

    /// - Throws: ``KeyError/noSuchKey(_:)``.
    public func delete(_ accessKey: String) throws {
        try change { keys in
            guard keys.contains(where: { $0.accessKey == accessKey }) else {
                throw KeyError.noSuchKey(accessKey)
            }
            keys.removeAll { $0.accessKey == accessKey }
        }
    }

    private func change(_ body: (inout [AccessKey]) throws -> Void) throws {
        try keys.withLock { keys in
            var changed = keys
            try body(&changed)
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            try fileSystem.createDirectories(parent(of: path), permissions: 0o700)
            try fileSystem.replaceFile(
                path, with: Array(try encoder.encode(Contents(keys: changed))), permissions: 0o600)
            keys = changed
            identities.change { $0 = Self.identities(of: changed, environmentKey) }
        }
    }

    private static func random(_ alphabet: String, count: Int) -> String {
        let letters = Array(alphabet)
        return String((0..<count).map { _ in letters[Int.random(in: 0..<letters.count)] })
    }
}
