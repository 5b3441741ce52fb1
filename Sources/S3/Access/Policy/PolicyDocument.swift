import Model

extension S3ErrorCode {
    static let malformedPolicy = S3ErrorCode("MalformedPolicy", 400)
}

extension S3Error {
    /// - Parameter detail: the element or the value that is wrong.
    static func malformedPolicy(_ message: String, _ detail: String) -> S3Error {
        let excerpt = detail.unicodeScalars.count > 200 ? String(detail.prefix(200)) + "…" : detail
        return S3Error(.malformedPolicy, "\(message): \(excerpt)", details: [("Detail", excerpt)])
    }
}

/// A policy in the language of AWS: statements that allow or deny actions on resources, to principals, under conditions.
///
/// It is checked when it is stored, as Amazon S3 does: a policy that was accepted means what it says, and one with a
/// misspelt element, which would otherwise be ignored, is refused.
///
/// Source: IAM User Guide, "IAM JSON policy element reference" and "Policy evaluation logic"; Amazon S3 User Guide,
/// "Policies and permissions in Amazon S3".
package struct PolicyDocument: Sendable {
    package enum Kind: Sendable {
        /// Needs principals, and resources of that bucket only.
        case bucket(BucketName)
        /// What a user may do: without principals.
        case user
    }

    let statements: [PolicyStatement]

    /// - Parameter isStored: was accepted before; an action that there is not, which was, never applies.
    /// - Throws: ``S3Error`` with `MalformedPolicy`, and what is wrong in its message.
    package init(_ bytes: [UInt8], kind: Kind, isStored: Bool = false) throws {
        let root: JSONValue
        do { root = try JSONValue(parsing: bytes) } catch {
            throw S3Error.malformedPolicy(
                "Policies must be valid JSON and the first byte must be '{'", "\(error)")
        }
        guard case .object(let elements) = root else {
            throw S3Error.malformedPolicy(
                "Policies must be valid JSON and the first byte must be '{'", "the policy is no object")
        }
        var hasVariables = false
        var statements: [JSONValue] = []
        for (name, value) in elements {
            switch (name, value) {
            case ("Version", .string("2012-10-17")): hasVariables = true
            case ("Version", .string("2008-10-17")): break
            case ("Version", _):
                throw S3Error.malformedPolicy("The policy must contain a valid version string", "Version")
            case ("Id", .string): break
            case ("Statement", .object): statements = [value]
            case ("Statement", .array(let list)): statements = list
            case ("Id", _), ("Statement", _):
                throw S3Error.malformedPolicy("Syntax errors in policy", name)
            default: throw S3Error.malformedPolicy("Unknown field", name)
            }
        }
        guard !statements.isEmpty else {
            throw S3Error.malformedPolicy("Missing required field", "Statement")
        }
        self.statements = try statements.map {
            try PolicyStatement($0, kind: kind, hasVariables: hasVariables, isStored: isStored)
        }
        var sids: Set<String> = []
        for sid in self.statements.compactMap(\.sid) where !sids.insert(sid).inserted {
            throw S3Error.malformedPolicy("Statement IDs (SID) in a single policy must be unique", sid)
        }
    }

    /// What the policy says of a request; an explicit deny wins.
    package func verdict(on request: PolicyRequest) -> Verdict {
        let action = Array(request.action.lowercased().utf8)
        var verdict = Verdict.silent
        for statement in statements where statement.isAllow ? verdict == .silent : true {
            guard statement.applies(to: request, action: action) else { continue }
            if !statement.isAllow { return .denied }
            verdict = .allowed
        }
        return verdict
    }

    /// Whether it lets in whoever asks, as Amazon S3 sees it. What it denies is not looked at.
    ///
    /// Source: Amazon S3 User Guide, "Blocking public access to your Amazon S3 storage", "The meaning of public".
    package var isPublic: Bool { statements.contains(where: \.isPublic) }
}
