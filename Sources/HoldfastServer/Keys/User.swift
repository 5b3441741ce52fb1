import Encryption
import Foundation
import Model
import S3

/// Whoever may hold access keys and own buckets.
public struct User: Codable, Sendable, Hashable {
    public let name: String
    /// What objects and lists show.
    public var displayName: String
    /// When it was made: RFC 3339, UTC.
    public let created: String
    /// AWS policy documents, by name.
    public var policies: [String: String]

    /// What owns the user's buckets and objects: random, so that whoever gets the name of a user who is gone does not
    /// get the buckets as well. Users of the formats before the third have the one that follows from their name.
    public let canonicalID: String

    public init(
        name: String, displayName: String, created: String, policies: [String: String] = [:],
        canonicalID: String = User.randomID()
    ) {
        self.name = name
        self.displayName = displayName
        self.created = created
        self.policies = policies
        self.canonicalID = canonicalID
    }

    private enum CodingKeys: String, CodingKey { case name, displayName, created, policies, canonicalID }

    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        name = try fields.decode(String.self, forKey: .name)
        displayName = try fields.decode(String.self, forKey: .displayName)
        created = try fields.decode(String.self, forKey: .created)
        policies = try fields.decode([String: String].self, forKey: .policies)
        canonicalID =
            try fields.decodeIfPresent(String.self, forKey: .canonicalID) ?? AccessKey.canonicalID(of: name)
    }

    /// 32 random bytes in hexadecimal.
    public static func randomID() -> String { SecureRandom.bytes(32).hexadecimal }

    /// - Throws: ``KeyError/badID(_:)`` for anything but 64 hexadecimal digits in lower case.
    static func checkID(_ id: String) throws {
        let digits = "0123456789abcdef".utf8
        guard id.utf8.count == 64, id.utf8.allSatisfy(digits.contains) else { throw KeyError.badID(id) }
    }

    /// Bytes of a policy at most, as of a bucket's on Amazon S3.
    static let policyByteLimit = 20 * 1024

    /// The policies as they are evaluated; `nil` for a user without.
    var readPolicies: UserPolicies? {
        guard !policies.isEmpty else { return nil }
        return UserPolicies(
            stored: policies.sorted { $0.key < $1.key }.map { ($0.key, Array($0.value.utf8)) }, of: name)
    }

    static func check(_ policy: String, _ text: String, of user: String) throws {
        func bad(_ reason: String) -> KeyError { .badPolicy(user: user, policy: policy, reason: reason) }
        guard (1...128).contains(policy.utf8.count), policy.utf8.allSatisfy(isNameByte) else {
            throw bad("its name takes 1 to 128 letters, digits and +=,.@_-")
        }
        guard text.utf8.count <= policyByteLimit else {
            throw bad("it has \(text.utf8.count) bytes, more than \(policyByteLimit)")
        }
        do { _ = try UserPolicies([Array(text.utf8)]) } catch let error as S3Error {
            throw bad(error.message)
        }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: "+=,.@_-".utf8.contains(byte)
        }
    }

    /// - Throws: ``KeyError/badName(_:reason:)`` for what would be mistaken in a policy or a command.
    static func checkName(_ name: String) throws {
        guard (1...64).contains(name.utf8.count) else {
            throw KeyError.badName(name, reason: "must have 1 to 64 bytes")
        }
        let isFit = name.unicodeScalars.allSatisfy {
            $0.properties.isAlphabetic || ("0"..."9").contains($0) || "+=,.@_-".unicodeScalars.contains($0)
        }
        guard isFit else { throw KeyError.badName(name, reason: "takes letters, digits and +=,.@_-") }
    }
}

/// What is wrong with users or keys, or with a change to them.
public enum KeyError: Error, CustomStringConvertible {
    case unreadable(path: String, reason: String)
    /// They can be used, and not changed.
    case earlierFormat(path: String, format: Int)
    case noSuchKey(String)
    case keyExists(String)
    case incompleteKey
    case noSuchUser(String)
    case userExists(String)
    case badName(String, reason: String)
    case badID(String)
    case idTaken(String, user: String)
    case otherID(user: String, has: String, wanted: String)
    /// - Parameter buckets: what may be the user's.
    case idUnknown(user: String, buckets: OwnerlessBuckets)
    case noSuchPolicy(user: String, policy: String)
    case badPolicy(user: String, policy: String, reason: String)
    case ownsBuckets(user: String, buckets: [String])
    case rootIsNoUser
    case incompleteEnvironment
    case tooShort(setting: String, minimum: Int)

    public var description: String {
        switch self {
        case .unreadable(let path, let reason): "the keys in \(path) cannot be read: \(reason)"
        case .earlierFormat(let path, let format):
            "the keys in \(path) have format \(format), and this Holdfast writes format \(KeyFile.newestFormat): they can be used, and changed after 'holdfast upgrade', which keeps a copy of them"
        case .noSuchKey(let key): "there is no access key \(key); 'holdfast key list' shows those there are"
        case .keyExists(let key): "there is an access key \(key) already"
        case .incompleteKey: "an access key and its secret go together: only one of them is given"
        case .noSuchUser(let name): "there is no user '\(name)'; 'holdfast user list' shows those there are"
        case .userExists(let name): "there is a user '\(name)' already"
        case .badName(let name, let reason): "the user name '\(name.prefix(80))' \(reason)"
        case .badID(let id):
            "'\(id.prefix(80))' is no canonical id: it has 64 hexadecimal digits, in lower case"
        case .idTaken(let id, let user): "the canonical id \(id) is that of user '\(user)'"
        case .otherID(let user, let has, let wanted):
            "user '\(user)' of the settings file is there with another canonical id: \(has), not \(wanted)"
        case .idUnknown(let user, let buckets):
            "user '\(user)' of the settings file is not among the store's users, and would get a new canonical id, while \(buckets.summary). If state/keys.json was lost, put it back, or state the user's old id in the settings file (\"canonical-id\"); a user who is new is made with 'holdfast user create'"
        case .noSuchPolicy(let user, let policy): "user '\(user)' has no policy '\(policy)'"
        case .badPolicy(let user, let policy, let reason):
            "policy '\(policy.prefix(80))' of user '\(user)' cannot be kept: \(reason)"
        case .ownsBuckets(let user, let buckets):
            "user '\(user)' owns \(buckets.count) buckets (\(buckets.prefix(3).joined(separator: ", "))\(buckets.count > 3 ? ", …" : "")): with --force they stay, and only root has them"
        case .rootIsNoUser: "root is the administrator: it cannot be made, deleted or bound by policies"
        case .incompleteEnvironment:
            "HOLDFAST_ROOT_ACCESS_KEY and HOLDFAST_ROOT_SECRET_KEY go together: only one of them is set"
        case .tooShort(let setting, let minimum):
            "\(setting) is shorter than \(minimum) characters"
        }
    }
}
