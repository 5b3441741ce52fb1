import Model

/// A statement of a policy.
struct PolicyStatement: Sendable {
    /// A list of an element, or of its "Not" form.
    private struct Choice: Sendable {
        let patterns: [PolicyPattern]
        let isNegated: Bool
    }

    let sid: String?
    let isAllow: Bool
    /// `nil` in a policy of a user: it is about whoever has it.
    private let principals: PolicyPrincipals?
    private let actions: Choice
    private let resources: Choice
    private let conditions: [PolicyCondition]

    /// - Throws: `MalformedPolicy`.
    init(_ value: JSONValue, kind: PolicyDocument.Kind, hasVariables: Bool, isStored: Bool) throws {
        guard case .object(let elements) = value else {
            throw S3Error.malformedPolicy("Syntax errors in policy", "Statement")
        }
        var sid: String?
        var isAllow: Bool?
        var principals: PolicyPrincipals?
        var actions: Choice?
        var resources: Choice?
        var conditions: [PolicyCondition] = []
        func once<Value>(_ present: Value?, _ name: String) throws {
            guard present == nil else {
                throw S3Error.malformedPolicy("An element and its Not form exclude each other", name)
            }
        }
        for (name, value) in elements {
            switch name {
            case "Sid":
                guard case .string(let text) = value else {
                    throw S3Error.malformedPolicy("Syntax errors in policy", name)
                }
                sid = text.isEmpty ? nil : text
            case "Effect":
                guard case .string(let text) = value, text == "Allow" || text == "Deny" else {
                    throw S3Error.malformedPolicy("Invalid effect", "Effect must be Allow or Deny")
                }
                isAllow = text == "Allow"
            case "Principal", "NotPrincipal":
                guard case .bucket = kind else {
                    throw S3Error.malformedPolicy("A policy of a user has no principal", name)
                }
                try once(principals, name)
                principals = try PolicyPrincipals(value, isNegated: name == "NotPrincipal")
            case "Action", "NotAction":
                try once(actions, name)
                actions = Choice(
                    patterns: try value.texts(of: name).map { try Self.action($0, kind) },
                    isNegated: name == "NotAction")
            case "Resource", "NotResource":
                try once(resources, name)
                resources = Choice(
                    patterns: try value.texts(of: name).map {
                        try Self.resource($0, kind, hasVariables: hasVariables)
                    },
                    isNegated: name == "NotResource")
            case "Condition":
                conditions = try PolicyCondition.all(value, kind: kind, hasVariables: hasVariables)
            default: throw S3Error.malformedPolicy("Unknown field", name)
            }
        }
        func required<Value>(_ value: Value?, _ name: String) throws -> Value {
            guard let value else { throw S3Error.malformedPolicy("Missing required field", name) }
            return value
        }
        self.sid = sid
        self.isAllow = try required(isAllow, "Effect")
        if case .bucket = kind { _ = try required(principals, "Principal") }
        self.principals = principals
        self.actions = try required(actions, "Action")
        self.resources = try required(resources, "Resource")
        self.conditions = conditions
        if !isStored { try checkActions(kind) }
    }

    // MARK: Reading

    private static func action(_ text: String, _ kind: PolicyDocument.Kind) throws -> PolicyPattern {
        let lower = text.lowercased()
        let isGood =
            switch kind {
            case .bucket: lower == "*" || lower.hasPrefix("s3:") && lower.utf8.count > 3
            case .user:
                lower == "*"
                    || lower.split(separator: ":", omittingEmptySubsequences: false).count == 2
                        && lower.first != ":" && lower.last != ":"
            }
        guard isGood, lower.utf8.allSatisfy(isActionByte) else {
            throw S3Error.malformedPolicy("Policy has invalid action", text)
        }
        return try PolicyPattern(lower, hasWildcards: true, hasVariables: false, text: text)
    }

    /// That each action is one of Amazon S3's, and, in a policy of a bucket, can be done to one of the resources.
    private func checkActions(_ kind: PolicyDocument.Kind) throws {
        for action in actions.patterns {
            let subjects = PolicyActions.subjects(of: action)
            guard !subjects.isEmpty else {
                throw S3Error.malformedPolicy("Policy has invalid action", action.text)
            }
            guard case .bucket(let bucket) = kind, !actions.isNegated, !resources.isNegated else { continue }
            let isApplicable = resources.patterns.contains { resource in
                let rest = resource.text.utf8.dropFirst((Self.resourcePrefix + bucket.rawValue).utf8.count)
                return subjects.contains(.object) && !rest.isEmpty
                    || subjects.contains(.bucket) && rest.allSatisfy { $0 == UInt8(ascii: "*") }
            }
            guard isApplicable else {
                throw S3Error.malformedPolicy(
                    "Action does not apply to any resource(s) in statement", action.text)
            }
        }
    }

    private static func isActionByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: ":"), UInt8(ascii: "*"), UInt8(ascii: "?"), UInt8(ascii: "-"):
            true
        default: false
        }
    }

    private static let resourcePrefix = "arn:aws:s3:::"

    private static func resource(
        _ text: String, _ kind: PolicyDocument.Kind, hasVariables: Bool
    ) throws -> PolicyPattern {
        let invalid = S3Error.malformedPolicy("Policy has invalid resource", text)
        switch kind {
        case .user: guard text == "*" || text.hasPrefix("arn:") else { throw invalid }
        case .bucket(let bucket):
            guard text.utf8.starts(with: (resourcePrefix + bucket.rawValue).utf8) else { throw invalid }
            // Behind the name: nothing, a key, or a wildcard, which here can only stand for a key.
            let rest = text.utf8.dropFirst(resourcePrefix.utf8.count + bucket.rawValue.utf8.count)
            guard rest.isEmpty || rest.first == UInt8(ascii: "/") || rest.first == UInt8(ascii: "*") else {
                throw invalid
            }
        }
        return try PolicyPattern(text, hasWildcards: true, hasVariables: hasVariables)
    }

    // MARK: Evaluation

    /// - Parameter action: of the request, in lower case.
    func applies(to request: PolicyRequest, action: [UInt8]) -> Bool {
        guard principals?.include(request.principal) ?? true else { return false }
        let isAction = actions.patterns.contains {
            PolicyPattern.matches(($0.symbols(request.context) ?? [])[...], action[...])
        }
        guard isAction != actions.isNegated, concerns(request) else { return false }
        return conditions.allSatisfy { $0.holds(request.context, unresolved: !isAllow) }
    }

    /// Whether the resource is one of its own. A variable without a value names no resource; in `NotResource` the doubt
    /// is on the side that allows less.
    private func concerns(_ request: PolicyRequest) -> Bool {
        var isUnresolved = false
        for pattern in resources.patterns {
            guard let matches = pattern.matches(request.resource, request.context) else {
                isUnresolved = true
                continue
            }
            if matches { return !resources.isNegated }
        }
        return resources.isNegated && !(isUnresolved && isAllow)
    }

    var isPublic: Bool {
        isAllow && (principals?.isEveryone ?? false) && !conditions.contains(where: \.limitsWhoMayAsk)
    }
}

extension JSONValue {
    /// A string, or a list of strings that is not empty.
    func texts(of name: String) throws -> [String] {
        let list: [JSONValue] = if case .array(let list) = self { list } else { [self] }
        let texts = list.compactMap { if case .string(let text) = $0, !text.isEmpty { text } else { nil } }
        guard !texts.isEmpty, texts.count == list.count else {
            throw S3Error.malformedPolicy("Syntax errors in policy", name)
        }
        return texts
    }
}
