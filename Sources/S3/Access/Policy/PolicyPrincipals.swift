/// Whom a statement is about.
///
/// Source: IAM User Guide, "AWS JSON policy elements: Principal" and "… NotPrincipal".
struct PolicyPrincipals: Sendable {
    private enum Name: Sendable, Hashable {
        case everyone
        /// The user of a store that every other belongs to.
        case root
        case user(name: String)
        case canonicalID(String)
        /// Exists at AWS and not here: a role, a service, a federated user.
        case nobody
    }

    private let names: Set<Name>
    private let isNegated: Bool

    /// - Throws: `MalformedPolicy`.
    init(_ value: JSONValue, isNegated: Bool) throws {
        self.isNegated = isNegated
        switch value {
        case .string("*"): names = [.everyone]
        case .object(let kinds) where !kinds.isEmpty:
            var names: Set<Name> = []
            for (kind, value) in kinds {
                for text in try value.texts(of: "Principal") { names.insert(try Self.name(text, kind)) }
            }
            self.names = names
        default: throw S3Error.malformedPolicy("Invalid principal in policy", "Principal")
        }
    }

    private static func name(_ text: String, _ kind: String) throws -> Name {
        switch kind {
        case "AWS":
            if text == "*" { return .everyone }
            if isAccount(text[...]) { return .root }
            if isCanonicalID(text) { return .canonicalID(text.lowercased()) }
            if let name = name(arn: text) { return name }
        case "CanonicalUser" where isCanonicalID(text): return .canonicalID(text.lowercased())
        case "Service", "Federated": return text == "*" ? .everyone : .nobody
        default: break
        }
        throw S3Error.malformedPolicy("Invalid principal in policy", "\"\(kind)\" : \"\(text)\"")
    }

    /// `arn:aws:iam::123456789012:user/name`; the store is one account, whatever its number.
    private static func name(arn: String) -> Name? {
        let parts = arn.split(separator: ":", maxSplits: 5, omittingEmptySubsequences: false)
        guard parts.count == 6, parts[0] == "arn", parts[1] == "aws", parts[3].isEmpty,
            parts[4].isEmpty || isAccount(parts[4]), !arn.contains("*"), !arn.contains("?")
        else { return nil }
        let path = parts[5].split(separator: "/", omittingEmptySubsequences: false)
        guard path.allSatisfy({ !$0.isEmpty }) else { return nil }
        switch (parts[2], path.first, path.count) {
        case ("iam", "root", 1): return .root
        case ("iam", "user", 2...): return .user(name: String(parts[5].dropFirst("user/".count)))
        case ("iam", "role", 2...), ("sts", "assumed-role", 2...), ("sts", "federated-user", 2...):
            return .nobody
        default: return nil
        }
    }

    private static func isAccount(_ text: Substring) -> Bool {
        text.utf8.count == 12 && text.utf8.allSatisfy { (0x30...0x39).contains($0) }
    }

    private static func isCanonicalID(_ text: String) -> Bool {
        text.utf8.count == 64 && text.utf8.allSatisfy { Hexadecimal.value($0) != nil }
    }

    func include(_ principal: PolicyPrincipal) -> Bool {
        if names.contains(.everyone) { return !isNegated }
        guard case .user(let name, let id) = principal else { return isNegated }
        let isNamed =
            names.contains(.user(name: name)) || names.contains(.canonicalID(id.lowercased()))
            || name == "root" && names.contains(.root)
        return isNamed != isNegated
    }

    /// Whether those are in it whom nobody named.
    var isEveryone: Bool { isNegated ? !names.contains(.everyone) : names.contains(.everyone) }
}
