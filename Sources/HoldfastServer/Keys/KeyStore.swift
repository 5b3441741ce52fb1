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
    /// The name of the user who holds it.
    public let user: String
    public let created: String
    /// The key that the server made for itself when it was first started without one.
    public let isRoot: Bool

    static let rootUser = "root"

    /// The canonical id that follows from a name: root's, and that of users made before the third format.
    static func canonicalID(of user: String) -> String {
        SHA256.hash(Array("holdfast user \(user)".utf8)).hexadecimal
    }
}

/// The users and access keys of a store, kept in one file that only its owner may read.
///
/// The file is `state/keys.json`, described in Documentation/formats.md. It is replaced whole: written beside,
/// synced, renamed, its directory synced.
public final class KeyStore: IdentitySource {
    /// What requests look up.
    private struct Known: Sendable {
        var identities: [String: Identity] = [:]
        /// By canonical id.
        var names: [String: String] = [:]
    }

    private let path: String
    private let fileSystem: any FileSystem
    private let file: Mutex<KeyFile>
    /// The key that the environment gives; it is never written down.
    private let environmentKey: AccessKey?
    private let known: ReadMostly<Known>

    /// - Throws: ``KeyError``, ``FileSystemError``.
    public init(
        stateDirectory: String, environment: [String: String] = [:],
        fileSystem: any FileSystem = RealFileSystem()
    ) throws {
        path = stateDirectory + "/keys.json"
        self.fileSystem = fileSystem
        let environmentKey = try Self.rootKey(environment)
        let file = try KeyFile.read(path, fileSystem)
        self.environmentKey = environmentKey
        self.file = Mutex(file)
        known = ReadMostly(Self.known(file, environmentKey))
    }

    /// Reads each user's policies once, for all of the user's keys.
    private static func known(_ file: KeyFile, _ environmentKey: AccessKey?) -> Known {
        var known = Known()
        var users: [String: (id: String, displayName: String, policies: UserPolicies?)] = [:]
        known.names[AccessKey.canonicalID(of: AccessKey.rootUser)] = AccessKey.rootUser
        for user in file.users {
            users[user.name] = (user.canonicalID, user.displayName, user.readPolicies)
            known.names[user.canonicalID] = user.displayName
        }
        // A key of the environment counts before one in the file.
        for key in file.keys + (environmentKey.map { [$0] } ?? []) {
            let isRoot = key.user == AccessKey.rootUser
            let user = isRoot ? nil : users[key.user]
            known.identities[key.accessKey] = Identity(
                accessKey: key.accessKey, secretKey: key.secretKey,
                userID: user?.id ?? AccessKey.canonicalID(of: key.user),
                displayName: user?.displayName ?? key.user,
                userName: key.user, isRoot: isRoot, policies: user?.policies)
        }
        return known
    }

    private static func rootKey(_ environment: [String: String]) throws -> AccessKey? {
        let accessKey = environment["HOLDFAST_ROOT_ACCESS_KEY"] ?? ""
        let secretKey = environment["HOLDFAST_ROOT_SECRET_KEY"] ?? ""
        if accessKey.isEmpty, secretKey.isEmpty { return nil }
        guard !accessKey.isEmpty, !secretKey.isEmpty else { throw KeyError.incompleteEnvironment }
        try checkLengths(
            accessKey, secretKey, names: ("HOLDFAST_ROOT_ACCESS_KEY", "HOLDFAST_ROOT_SECRET_KEY"))
        return AccessKey(
            accessKey: accessKey, secretKey: secretKey, user: AccessKey.rootUser, created: "", isRoot: true)
    }

    static func checkLengths(
        _ accessKey: String, _ secretKey: String, names: (access: String, secret: String)
    ) throws {
        guard accessKey.utf8.count >= 3 else { throw KeyError.tooShort(setting: names.access, minimum: 3) }
        guard secretKey.utf8.count >= 8 else { throw KeyError.tooShort(setting: names.secret, minimum: 8) }
    }

    // MARK: Looking up

    public func identity(accessKey: String) -> Identity? {
        known.read { $0.identities[accessKey] }
    }

    public func displayName(userID: String) -> String? {
        known.read { $0.names[userID] }
    }

    public var all: [AccessKey] { (environmentKey.map { [$0] } ?? []) + file.withLock { $0.keys } }

    /// Everybody but root.
    public var users: [User] { file.withLock { $0.users } }

    /// - Throws: ``KeyError/noSuchUser(_:)``.
    public func user(_ name: String) throws -> User {
        guard let user = file.withLock({ $0[name] }) else { throw KeyError.noSuchUser(name) }
        return user
    }

    /// What owns the objects of a user, or root's; `nil` if nobody has the name.
    public func canonicalID(named name: String) -> String? {
        if name == AccessKey.rootUser { return AccessKey.canonicalID(of: name) }
        return file.withLock { $0[name]?.canonicalID }
    }

    // MARK: Keys

    /// Makes the root key of a store that has none.
    /// - Returns: the key, if it was made now.
    public func makeRootKeyIfNeeded() throws -> AccessKey? {
        guard environmentKey == nil, !file.withLock({ $0.keys.contains(where: \.isRoot) }) else { return nil }
        let key = Self.newKey(of: AccessKey.rootUser, isRoot: true)
        try change { $0.keys.append(key) }
        return key
    }

    /// Makes a key, and the user if there is none of that name.
    public func create(user: String) throws -> AccessKey {
        let key = Self.newKey(of: user)
        try change { file in
            if user != AccessKey.rootUser, file[user] == nil {
                try User.checkName(user)
                file.users.append(User(name: user, displayName: user, created: key.created))
            }
            file.keys.append(key)
        }
        return key
    }

    /// - Throws: ``KeyError/noSuchKey(_:)``.
    public func delete(_ accessKey: String) throws {
        try change { file in
            guard file.keys.contains(where: { $0.accessKey == accessKey }) else {
                throw KeyError.noSuchKey(accessKey)
            }
            file.keys.removeAll { $0.accessKey == accessKey }
        }
    }

    // MARK: Users

    /// Makes a user with one key: the one given, or a random one.
    /// - Parameter canonicalID: of a user whom the store has known before: what is that id's is the user's again. A
    ///   random one otherwise.
    /// - Throws: ``KeyError``.
    public func createUser(
        _ name: String, displayName: String? = nil, accessKey: String? = nil, secretKey: String? = nil,
        policies: [String: String] = [:], canonicalID: String? = nil
    ) throws -> AccessKey {
        try User.checkName(name)
        if let canonicalID { try User.checkID(canonicalID) }
        guard name != AccessKey.rootUser else { throw KeyError.rootIsNoUser }
        guard (accessKey == nil) == (secretKey == nil) else { throw KeyError.incompleteKey }
        for (policy, text) in policies { try User.check(policy, text, of: name) }
        var key = Self.newKey(of: name)
        if let accessKey, let secretKey {
            try Self.checkLengths(accessKey, secretKey, names: ("the access key", "the secret key"))
            key = AccessKey(
                accessKey: accessKey, secretKey: secretKey, user: name, created: key.created, isRoot: false)
        }
        let made = key
        let environmentKey = environmentKey
        try change { file in
            guard file[name] == nil else { throw KeyError.userExists(name) }
            let taken = file.keys.map(\.accessKey) + [environmentKey?.accessKey ?? ""]
            guard !taken.contains(made.accessKey) else { throw KeyError.keyExists(made.accessKey) }
            if let canonicalID, let holder = file.holder(of: canonicalID) {
                throw KeyError.idTaken(canonicalID, user: holder)
            }
            file.users.append(
                User(
                    name: name, displayName: displayName ?? name, created: made.created, policies: policies,
                    canonicalID: canonicalID ?? User.randomID()))
            file.keys.append(made)
        }
        return made
    }

    /// Removes a user and the user's keys.
    /// - Throws: ``KeyError/noSuchUser(_:)``.
    public func deleteUser(_ name: String) throws {
        guard name != AccessKey.rootUser else { throw KeyError.rootIsNoUser }
        try change { file in
            guard file[name] != nil else { throw KeyError.noSuchUser(name) }
            file.users.removeAll { $0.name == name }
            file.keys.removeAll { $0.user == name }
        }
    }

    public func putPolicy(_ policy: String, _ text: String, of name: String) throws {
        try User.check(policy, text, of: name)
        try changeUser(name) { $0.policies[policy] = text }
    }

    /// - Throws: ``KeyError/noSuchPolicy(user:policy:)``.
    public func deletePolicy(_ policy: String, of name: String) throws {
        try changeUser(name) { user in
            guard user.policies.removeValue(forKey: policy) != nil else {
                throw KeyError.noSuchPolicy(user: name, policy: policy)
            }
        }
    }

    private func changeUser(_ name: String, _ body: (inout User) throws -> Void) throws {
        guard name != AccessKey.rootUser else { throw KeyError.rootIsNoUser }
        try change { file in
            guard let index = file.users.firstIndex(where: { $0.name == name }) else {
                throw KeyError.noSuchUser(name)
            }
            try body(&file.users[index])
        }
    }

    // MARK: Keeping

    /// Nothing counts before it is kept.
    private func change(_ body: (inout KeyFile) throws -> Void) throws {
        try file.withLock { file in
            guard file.format == KeyFile.newestFormat else {
                throw KeyError.earlierFormat(path: path, format: file.format)
            }
            var changed = file
            try body(&changed)
            let next = Self.known(changed, environmentKey)
            try changed.write(path, fileSystem)
            file = changed
            known.change { $0 = next }
        }
    }

    private static func newKey(of user: String, isRoot: Bool = false) -> AccessKey {
        AccessKey(
            accessKey: "HF" + random("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", count: 18),
            secretKey: random("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", count: 40),
            user: user, created: Timestamp.now().description, isRoot: isRoot)
    }

    private static func random(_ alphabet: String, count: Int) -> String {
        let letters = Array(alphabet)
        return String((0..<count).map { _ in letters[Int.random(in: 0..<letters.count)] })
    }
}
