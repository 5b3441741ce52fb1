import Foundation
import Model
import ObjectStore

/// Users and their policies, as operators see them.
extension CommandRunner {
    private struct UserLine: Encodable {
        let name: String
        let displayName: String
        let canonicalID: String
        let created: String
        let keys: [String]
        let policies: [String]
    }

    private struct NewUserLine: Encodable {
        let name: String
        let canonicalID: String
        let accessKey: String
        let secretKey: String
    }

    func createUser(
        _ name: String, _ displayName: String?, _ accessKey: String?, _ secretKey: String?,
        _ canonicalID: String?, json: Bool, _ output: any CommandOutput
    ) throws {
        let key = try keys.createUser(
            name, displayName: displayName, accessKey: accessKey, secretKey: secretKey,
            canonicalID: canonicalID)
        let id = try keys.user(name).canonicalID
        try output.line(
            json
                ? try CommandJSON.line(
                    NewUserLine(
                        name: name, canonicalID: id, accessKey: key.accessKey, secretKey: key.secretKey))
                : "canonical id: \(id)\naccess key: \(key.accessKey)\nsecret key: \(key.secretKey)")
    }

    func listUsers(json: Bool, _ output: any CommandOutput) throws {
        let held = Dictionary(grouping: keys.all, by: \.user)
        for user in keys.users {
            let line = UserLine(
                name: user.name, displayName: user.displayName, canonicalID: user.canonicalID,
                created: user.created, keys: (held[user.name] ?? []).map(\.accessKey),
                policies: user.policies.keys.sorted())
            let policies = line.policies.isEmpty ? "" : "  policies: \(line.policies.joined(separator: ", "))"
            try output.line(
                json
                    ? try CommandJSON.line(line)
                    : "\(line.name)  \(line.displayName)  \(line.canonicalID)  \(line.keys.count) keys\(policies)"
            )
        }
    }

    /// A user's buckets would be left to root alone: that takes a word more.
    func deleteUser(_ name: String, force: Bool, json: Bool, _ output: any CommandOutput) throws {
        let user = try keys.user(name)
        let owned = try store.buckets().filter { $0.owner == user.canonicalID }.map(\.name.rawValue)
        guard force || owned.isEmpty else { throw KeyError.ownsBuckets(user: name, buckets: owned) }
        try keys.deleteUser(name)
        try output.line(json ? try CommandJSON.line(["deleted": name]) : "user \(name) deleted")
    }

    func putPolicy(
        _ policy: String, of user: String, _ document: String, json: Bool, _ output: any CommandOutput
    ) throws {
        try keys.putPolicy(policy, document, of: user)
        try output.line(
            json
                ? try CommandJSON.line(["user": user, "policy": policy])
                : "policy \(policy) of user \(user) is in force")
    }

    func listPolicies(of user: String, json: Bool, _ output: any CommandOutput) throws {
        for policy in try keys.user(user).policies.keys.sorted() {
            try output.line(json ? try CommandJSON.line(["policy": policy]) : policy)
        }
    }

    func showPolicy(_ policy: String, of user: String, json: Bool, _ output: any CommandOutput) throws {
        guard let text = try keys.user(user).policies[policy] else {
            throw KeyError.noSuchPolicy(user: user, policy: policy)
        }
        try output.line(json ? try CommandJSON.line(["policy": policy, "document": text]) : text)
    }

    func deletePolicy(_ policy: String, of user: String, json: Bool, _ output: any CommandOutput) throws {
        try keys.deletePolicy(policy, of: user)
        try output.line(
            json
                ? try CommandJSON.line(["user": user, "deleted": policy])
                : "policy \(policy) of user \(user) deleted")
    }
}
