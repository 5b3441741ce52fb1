import Foundation
import ObjectStore

/// A user whom the settings file wants to be there. One who exists already stays as he is, whatever has become
/// of him since.
public struct UserSetting: Sendable, Equatable {
    static let name = "users"

    public let name: String
    public let displayName: String?
    public let accessKey: String
    public let secretKey: String
    /// Policy documents by name.
    public let policies: [String: String]
    /// What the user's buckets belong to; `nil` for a random one.
    public let canonicalID: String?

    /// What would keep the user from being made.
    /// - Throws: ``KeyError``.
    func check() throws {
        try User.checkName(name)
        guard name != AccessKey.rootUser else { throw KeyError.rootIsNoUser }
        if let canonicalID { try User.checkID(canonicalID) }
        try KeyStore.checkLengths(
            accessKey, secretKey,
            names: ("the access-key of user '\(name)'", "the secret-key of user '\(name)'"))
        for (policy, text) in policies.sorted(by: { $0.key < $1.key }) {
            try User.check(policy, text, of: name)
        }
    }

    /// Makes those who do not exist.
    ///
    /// A user who is made gets a new canonical id unless the file states it. Where buckets have owners whom nobody knows,
    /// the user may be one of them, whose keys were lost: under a new id the buckets would be gone for the user, so nobody
    /// is made then.
    /// - Throws: ``KeyError``, and what keeps the buckets from being read.
    static func create(_ users: [UserSetting], _ keys: KeyStore, in store: ObjectStore) throws {
        let known = Dictionary(keys.users.map { ($0.name, $0.canonicalID) }) { first, _ in first }
        // Those whose ids are stated come first: the buckets that are theirs have their owners then.
        for user in users.sorted(by: { $0.canonicalID != nil && $1.canonicalID == nil }) {
            if let id = known[user.name] {
                guard user.canonicalID ?? id == id else {
                    throw KeyError.otherID(user: user.name, has: id, wanted: user.canonicalID ?? "")
                }
                continue
            }
            if user.canonicalID == nil {
                let buckets = try OwnerlessBuckets(store, keys)
                guard buckets.byOwner.isEmpty else {
                    throw KeyError.idUnknown(user: user.name, buckets: buckets)
                }
            }
            _ = try keys.createUser(
                user.name, displayName: user.displayName, accessKey: user.accessKey,
                secretKey: user.secretKey, policies: user.policies, canonicalID: user.canonicalID)
        }
    }

    /// The member `users` of a settings file.
    /// - Throws: ``SettingError``, which names the member that makes no sense.
    static func users(_ path: String) throws -> [UserSetting] {
        func bad(_ reason: String) -> SettingError {
            SettingError(setting: Self.name, source: path, reason: reason)
        }
        guard let member = try SettingsFile.member(Self.name, of: path) else { return [] }
        guard let list = member as? [[String: Any]] else { throw bad("is no list of objects") }
        return try SettingError.map(list) { user in
            let known = [
                "access-key", "canonical-id", "display-name", "name", "policies", "secret-key",
            ]
            if let other = user.keys.sorted().first(where: { !known.contains($0) }) {
                let hint = NearestName.hint(other, among: known)
                throw bad("has a user with a member '\(other)', which \(hint)")
            }
            guard let name = user["name"] as? String, let accessKey = user["access-key"] as? String,
                let secretKey = user["secret-key"] as? String
            else { throw bad("takes users with name, access-key and secret-key, all strings") }
            guard user["display-name"] == nil || user["display-name"] is String else {
                throw bad("has a display-name that is no string, of user '\(name)'")
            }
            guard user["canonical-id"] == nil || user["canonical-id"] is String else {
                throw bad("has a canonical-id that is no string, of user '\(name)'")
            }
            let policies = user["policies"] ?? [String: Any]()
            guard let policies = policies as? [String: Any] else {
                throw bad("has policies that are no object, of user '\(name)'")
            }
            return UserSetting(
                name: name, displayName: user["display-name"] as? String, accessKey: accessKey,
                secretKey: secretKey, policies: try policies.mapValues { try text($0, bad) },
                canonicalID: user["canonical-id"] as? String)
        }
    }

    /// A policy may stand there as it is, or as a string.
    private static func text(_ policy: Any, _ bad: (String) -> SettingError) throws -> String {
        if let text = policy as? String { return text }
        guard policy is [String: Any] else {
            throw bad("has a policy that is neither an object nor a string")
        }
        let options: JSONSerialization.WritingOptions = [.sortedKeys, .withoutEscapingSlashes]
        return String(
            decoding: try JSONSerialization.data(withJSONObject: policy, options: options), as: UTF8.self)
    }
}
