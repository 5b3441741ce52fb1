import Encryption
import Foundation
import Model
import Synchronization
import Volumes

/// The master keys of a store, kept in one file that only its owner may read: a key management service as small as
/// can be.
///
/// The file is `state/master-keys.json`, described in Documentation/formats.md, or where the setting `master-keys`
/// says. Whoever loses it loses every object that was enciphered with the store's keys: unlike the catalog, it is
/// computed from nothing. It is replaced whole: written beside, synced, renamed, its directory synced, and only then
/// is a data key given out that depends on it.
///
/// Rotating a key adds a generation. Wrapped keys name theirs, so older ones stay, and stay readable.
public final class MasterKeyStore: KeyProvider {
    /// Wraps the data keys of SSE-S3.
    static let storeKeyName = "holdfast/store"
    /// Serves SSE-KMS where no key is named.
    static let defaultName = "holdfast/s3"

    package struct Generation: Sendable {
        package let number: UInt32
        let created: String
        let key: SecretKey
    }

    package struct MasterKey: Sendable {
        package let id: String
        package let name: String
        let created: String
        var isEnabled: Bool
        /// Oldest first; the last one wraps.
        package var generations: [Generation]
    }

    private let path: String
    private let fileSystem: any FileSystem
    private let keys: Mutex<[MasterKey]>

    /// - Throws: ``KeyProviderError/unreadable(path:reason:)``, ``FileSystemError``.
    public init(path: String, fileSystem: any FileSystem = RealFileSystem()) throws {
        self.path = path
        self.fileSystem = fileSystem
        keys = Mutex(try MasterKeyFile.read(path, fileSystem))
    }

    // MARK: Data keys

    public func makeDataKey(_ choice: MasterKeyChoice, context: String) throws -> MadeDataKey {
        let (id, current) = try keys.withLock { keys -> (String, Generation) in
            let master: MasterKey
            switch choice {
            case .store: master = try Self.find(Self.storeKeyName, orMakeIn: &keys, save)
            case .named(nil): master = try Self.find(Self.defaultName, orMakeIn: &keys, save)
            case .named(let text?):
                let name = Self.name(in: text)
                if name == Self.defaultName {
                    master = try Self.find(name, orMakeIn: &keys, save)
                } else if let found = keys.first(where: { $0.id == name || $0.name == name }),
                    found.name != Self.storeKeyName
                {
                    master = found
                } else {
                    throw KeyProviderError.noSuchKey(text)
                }
            }
            guard master.isEnabled else { throw KeyProviderError.disabled(master.name) }
            guard let current = master.generations.last else {
                preconditionFailure("a master key has a generation")
            }
            return (master.id, current)
        }
        let key = SecretKey.random()
        return MadeDataKey(
            key: key, keyID: id,
            wrapped: WrappedKey.wrap(
                key, with: current.key, generation: current.number, keyID: id, context: context))
    }

    public func dataKey(wrapped: [UInt8], keyID: String, context: String) throws -> SecretKey {
        let master = try master(keyID)
        guard let number = WrappedKey.generation(of: wrapped) else {
            throw KeyProviderError.damaged(keyID: keyID)
        }
        guard let generation = master.generations.first(where: { $0.number == number }) else {
            throw KeyProviderError.noSuchGeneration(keyID: keyID, generation: number)
        }
        guard
            let key = WrappedKey.unwrap(wrapped, with: generation.key, keyID: keyID, context: context)
        else { throw KeyProviderError.damaged(keyID: keyID) }
        return key
    }

    public func rewrapped(_ wrapped: [UInt8], keyID: String, context: String) throws -> [UInt8]? {
        guard let current = try master(keyID).generations.last else {
            preconditionFailure("a master key has a generation")
        }
        guard WrappedKey.generation(of: wrapped) != current.number else { return nil }
        let key = try dataKey(wrapped: wrapped, keyID: keyID, context: context)
        return WrappedKey.wrap(
            key, with: current.key, generation: current.number, keyID: keyID, context: context)
    }

    private func master(_ id: String) throws -> MasterKey {
        guard let found = keys.withLock({ $0.first { $0.id == id } }) else {
            throw KeyProviderError.noSuchKey(id)
        }
        guard found.isEnabled else { throw KeyProviderError.disabled(found.name) }
        return found
    }

    /// The id or name that a client's way of writing it means: itself, `alias/NAME`, or an ARN of either kind.
    static func name(in text: String) -> String {
        var name = text
        if name.hasPrefix("arn:") {
            let parts = name.split(separator: ":", maxSplits: 5, omittingEmptySubsequences: false)
            guard parts.count == 6, parts[2] == "kms" else { return text }
            name = String(parts[5])
            if name.hasPrefix("key/") { return String(name.dropFirst(4)) }
        }
        if name.hasPrefix("alias/") { name = String(name.dropFirst(6)) }
        // What Amazon S3 calls the key that it makes for an account.
        return name == "aws/s3" ? defaultName : name
    }

    // MARK: Keeping them

    package var all: [MasterKey] { keys.withLock { $0 } }

    /// - Throws: ``KeyProviderError/nameTaken(_:)``, ``KeyProviderError/invalidName(_:)``.
    package func create(_ name: String) throws -> MasterKey {
        let isName =
            (1...128).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                switch byte {
                case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x5F, 0x2F: true
                default: false
                }
            }
        guard isName, !name.hasPrefix("alias/"), name != "aws/s3" else {
            throw KeyProviderError.invalidName(name)
        }
        return try keys.withLock { keys in
            guard !keys.contains(where: { $0.name == name || $0.id == name }) else {
                throw KeyProviderError.nameTaken(name)
            }
            return try Self.find(name, orMakeIn: &keys, save)
        }
    }

    /// Adds a generation to a key, or to all.
    /// - Returns: the keys as they are then.
    package func rotate(_ name: String?) throws -> [MasterKey] {
        try change(name) { key in
            let number = (key.generations.last?.number ?? 0) + 1
            key.generations.append(
                Generation(number: number, created: Timestamp.now().description, key: .random()))
        }
    }

    package func setEnabled(_ isEnabled: Bool, _ name: String) throws -> [MasterKey] {
        try change(name) { $0.isEnabled = isEnabled }
    }

    private func change(_ name: String?, _ body: (inout MasterKey) -> Void) throws -> [MasterKey] {
        try keys.withLock { keys in
            var changed = keys
            let wanted = name.map(Self.name(in:))
            let chosen = changed.indices.filter {
                wanted == nil || changed[$0].name == wanted || changed[$0].id == wanted
            }
            if chosen.isEmpty, let name { throw KeyProviderError.noSuchKey(name) }
            for index in chosen { body(&changed[index]) }
            try save(changed)
            keys = changed
            return chosen.map { changed[$0] }
        }
    }

    private static func find(
        _ name: String, orMakeIn keys: inout [MasterKey], _ save: ([MasterKey]) throws -> Void
    ) throws -> MasterKey {
        if let found = keys.first(where: { $0.name == name }) { return found }
        let now = Timestamp.now().description
        let made = MasterKey(
            id: UUID().uuidString.lowercased(), name: name, created: now, isEnabled: true,
            generations: [Generation(number: 1, created: now, key: .random())])
        let changed = keys + [made]
        try save(changed)  // before anything is wrapped with it
        keys = changed
        return made
    }

    private func save(_ keys: [MasterKey]) throws {
        try fileSystem.createDirectories(parent(of: path), permissions: 0o700)
        try fileSystem.replaceFile(path, with: try MasterKeyFile.bytes(keys), permissions: 0o600)
    }
}

/// The file of master keys, format 1.
enum MasterKeyFile {
    static let format = 1

    private struct Contents: Codable {
        var format = MasterKeyFile.format
        let keys: [Key]
    }

    private struct Key: Codable {
        let id: String
        let name: String
        let created: String
        let enabled: Bool
        let generations: [Generation]
    }

    private struct Generation: Codable {
        let number: UInt32
        let created: String
        /// 32 bytes, in base64.
        let key: Data
    }

    static func read(_ path: String, _ fileSystem: any FileSystem) throws -> [MasterKeyStore.MasterKey] {
        guard try fileSystem.status(of: path) != nil else { return [] }
        func fail(_ reason: String) -> KeyProviderError { .unreadable(path: path, reason: reason) }
        let contents: Contents
        do {
            contents = try JSONDecoder().decode(
                Contents.self, from: Data(try fileSystem.contents(of: path)))
        } catch let error as DecodingError {
            throw fail(place(of: error))
        }
        guard contents.format == 1 else { throw fail("it has format \(contents.format), not 1") }
        guard Set(contents.keys.map(\.id)).count == contents.keys.count,
            Set(contents.keys.map(\.name)).count == contents.keys.count
        else { throw fail("two keys have one id or name") }
        return try contents.keys.map { key in
            let numbers = key.generations.map(\.number)
            guard !numbers.isEmpty, zip(numbers, numbers.dropFirst()).allSatisfy({ $0 < $1 }) else {
                throw fail("key \(key.name) has no generations in ascending order")
            }
            return MasterKeyStore.MasterKey(
                id: key.id, name: key.name, created: key.created, isEnabled: key.enabled,
                generations: try key.generations.map { generation in
                    guard let secret = SecretKey(generation.key) else {
                        throw fail("generation \(generation.number) of key \(key.name) is not of 32 bytes")
                    }
                    return .init(number: generation.number, created: generation.created, key: secret)
                })
        }
    }

    /// Where it is wrong, and not what stands there: that may be a key.
    private static func place(of error: DecodingError) -> String {
        let path: [any CodingKey]
        switch error {
        case .typeMismatch(_, let context), .valueNotFound(_, let context), .keyNotFound(_, let context),
            .dataCorrupted(let context):
            path = context.codingPath
        @unknown default: path = []
        }
        let names = path.map { $0.intValue.map { "[\($0)]" } ?? $0.stringValue }
        return names.isEmpty
            ? "it is no JSON of this form" : "\(names.joined(separator: ".")) is not what it should be"
    }

    static func bytes(_ keys: [MasterKeyStore.MasterKey]) throws -> [UInt8] {
        let contents = Contents(
            keys: keys.map { key in
                Key(
                    id: key.id, name: key.name, created: key.created, enabled: key.isEnabled,
                    generations: key.generations.map { generation in
                        Generation(
                            number: generation.number, created: generation.created,
                            key: generation.key.withUnsafeBytes { Data($0) })
                    })
            })
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return Array(try encoder.encode(contents))
    }
}
