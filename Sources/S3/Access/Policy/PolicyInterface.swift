import Foundation
import Model

/// What a policy says of a request.
package enum Verdict: Sendable {
    case denied, allowed, silent
}

package enum PolicyPrincipal: Sendable {
    case anonymous
    case user(name: String, canonicalID: String)
}

/// The condition keys of a request, looked up when a condition asks.
package struct PolicyContext: Sendable {
    /// By lower-cased condition key; `nil` if the request has no such key.
    package let values: @Sendable (String) -> [String]?

    package init(values: @escaping @Sendable (String) -> [String]?) { self.values = values }
}

package struct PolicyRequest: Sendable {
    package var principal: PolicyPrincipal
    package var action: String
    package var resource: String
    package var context: PolicyContext

    package init(principal: PolicyPrincipal, action: String, resource: String, context: PolicyContext) {
        self.principal = principal
        self.action = action
        self.resource = resource
        self.context = context
    }
}

/// Stands in for the policy language: effects, principals, actions and resources with `*` at their end, and the
/// condition operator StringEquals.
package struct PolicyDocument: Sendable {
    package enum Kind: Sendable {
        case bucket(BucketName), user
    }

    private struct Statement: Sendable {
        let isAllow: Bool
        let principals: [String]?
        let actions: [String]
        let resources: [String]
        let equal: [String: [String]]
    }

    private let statements: [Statement]

    package init(_ bytes: [UInt8], kind: Kind) throws {
        let malformed = S3Error(S3ErrorCode("MalformedPolicy", 400), "Policies must be valid JSON")
        guard let root = try? JSONSerialization.jsonObject(with: Data(bytes)) as? [String: Any] else {
            throw malformed
        }
        func strings(_ value: Any?) -> [String] {
            (value as? String).map { [$0] } ?? value as? [String] ?? []
        }
        let list = (root["Statement"] as? [String: Any]).map { [$0] } ?? root["Statement"] as? [[String: Any]]
        guard let list, !list.isEmpty else { throw malformed }
        statements = try list.map { item in
            guard let effect = item["Effect"] as? String, ["Allow", "Deny"].contains(effect) else {
                throw malformed
            }
            let principal = item["Principal"]
            if case .user = kind, principal != nil { throw malformed }
            if case .bucket = kind, principal == nil { throw malformed }
            let conditions = (item["Condition"] as? [String: Any])?["StringEquals"] as? [String: Any] ?? [:]
            var equal: [String: [String]] = [:]
            for (key, value) in conditions { equal[key.lowercased()] = strings(value) }
            return Statement(
                isAllow: effect == "Allow",
                principals: principal.map { strings(($0 as? [String: Any])?["AWS"] ?? $0) },
                actions: strings(item["Action"]), resources: strings(item["Resource"]), equal: equal)
        }
    }

    package func verdict(on request: PolicyRequest) -> Verdict {
        func matches(_ pattern: String, _ text: String) -> Bool {
            pattern.hasSuffix("*") ? text.hasPrefix(pattern.dropLast()) : pattern == text
        }
        var verdict = Verdict.silent
        for statement in statements {
            let isOf = statement.principals?.contains { named in
                if named == "*" { return true }
                guard case .user(let name, let id) = request.principal else { return false }
                return named == id || named.hasSuffix(":user/" + name)
            }
            guard isOf ?? true, statement.actions.contains(where: { matches($0, request.action) }),
                statement.resources.contains(where: { matches($0, request.resource) }),
                statement.equal.allSatisfy({ key, values in
                    request.context.values(key)?.contains(where: values.contains) == true
                })
            else { continue }
            if !statement.isAllow { return .denied }
            verdict = .allowed
        }
        return verdict
    }

    package var isPublic: Bool {
        statements.contains { $0.isAllow && $0.principals?.contains("*") == true && $0.equal.isEmpty }
    }
}
