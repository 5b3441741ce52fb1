/// What a policy says of a request. `silent` allows nothing by itself; `denied` wins over whatever else allows.
package enum Verdict: Sendable { case denied, allowed, silent }

/// Who asks.
package enum PolicyPrincipal: Sendable {
    case anonymous
    case user(name: String, canonicalID: String)
}

/// The condition keys of a request, looked up when a condition asks.
package struct PolicyContext: Sendable {
    /// By lower-cased condition key, such as `aws:sourceip`; `nil` if the request has no such key.
    package let values: @Sendable (String) -> [String]?

    package init(values: @escaping @Sendable (String) -> [String]?) { self.values = values }
}

/// One thing that somebody wants to do to one resource.
package struct PolicyRequest: Sendable {
    package var principal: PolicyPrincipal
    /// `s3:GetObject`
    package var action: String
    /// `arn:aws:s3:::bucket/key` or `arn:aws:s3:::bucket`
    package var resource: String
    package var context: PolicyContext

    package init(
        principal: PolicyPrincipal, action: String, resource: String, context: PolicyContext
    ) {
        self.principal = principal
        self.action = action
        self.resource = resource
        self.context = context
    }
}
