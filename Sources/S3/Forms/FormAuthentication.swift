import Digests
import Model

extension Authenticator {
    /// Who signed a form's policy, and what it says; nobody, and nothing, for a form without one.
    ///
    /// Source: Amazon S3 API Reference, "Authenticating requests: browser-based uploads using POST".
    /// - Throws: `InvalidArgument` for a field that is missing, `AuthorizationQueryParametersError`,
    ///   `InvalidAccessKeyId`, `SignatureDoesNotMatch`, `InvalidPolicyDocument`.
    package func authenticate(form fields: FormFields) throws -> (Identity, PostPolicy?) {
        let isV4 = ["x-amz-signature", "x-amz-algorithm", "x-amz-credential"].contains { fields[$0] != nil }
        let isV2 = fields["awsaccesskeyid"] != nil || fields["signature"] != nil
        guard isV4 || isV2 || fields["policy"] != nil else { return (.anonymous, nil) }
        guard fields["x-amz-security-token"] == nil else { throw Self.noTokens }
        let identity = isV4 ? try senderV4(fields) : try senderV2(fields)
        return (identity, try PostPolicy(base64: try Self.field("policy", fields)))
    }

    private static func field(_ name: String, _ fields: FormFields) throws -> String {
        guard let value = fields[name.lowercased()] else {
            throw S3Error.invalidArgument(
                "Bucket POST must contain a field named '\(name)'.  If it is specified, please check the order of the fields.",
                name: name, value: "")
        }
        return value
    }

    private func senderV4(_ fields: FormFields) throws -> Identity {
        let policy = try Self.field("policy", fields)
        let algorithm = try Self.field("x-amz-algorithm", fields)
        guard algorithm == SignatureV4.algorithm else {
            throw S3Error.invalidArgument(
                "X-Amz-Algorithm only supports \"\(SignatureV4.algorithm)\"", name: "x-amz-algorithm",
                value: algorithm)
        }
        let time = try Self.field("x-amz-date", fields)
        guard time.utf8.count == 16, HTTPDate.compactSeconds(time) != nil else {
            throw S3Error.invalidArgument(
                "X-Amz-Date must be in the ISO8601 Long Format \"yyyyMMdd'T'HHmmss'Z'\"", name: "x-amz-date",
                value: time)
        }
        // A policy signs no headers, and says itself until when it is good.
        let claim = try SignatureClaim(
            credential: try Self.field("x-amz-credential", fields), signedHeaders: "host",
            signature: try Self.field("x-amz-signature", fields), time: time, expires: 0,
            code: .authorizationQueryParametersError)
        try checkScope(claim)
        let identity = try holder(of: claim.accessKey)
        let text = Array(policy.utf8)
        try Self.check(
            claim.signature, HMACSHA256.authenticate(text, key: keys.key(for: identity, claim)).hexadecimal,
            accessKey: claim.accessKey, text: text)
        return identity
    }

    private func senderV2(_ fields: FormFields) throws -> Identity {
        let accessKey = try Self.field("AWSAccessKeyId", fields)
        let signature = try Self.field("signature", fields)
        let text = Array(try Self.field("policy", fields).utf8)
        guard allowsSignatureV2 else { throw SignatureV2.refusal }
        let identity = try holder(of: accessKey)
        try Self.check(
            signature, SignatureV2.signature(text, secretKey: identity.secretKey), accessKey: accessKey,
            text: text)
        return identity
    }
}
