/// The access key that a request claims to be signed with: found as ``Authenticator`` finds it, or a limit of the key would not
/// be its holder's, and nothing of it checked. For who decides before a signature is worth its work.
package enum ClaimedAccessKey {
    /// - Parameter authorization: of several headers, all, with commas between them.
    /// - Returns: nothing for a header that claims none.
    package static func of(authorization: String) -> String {
        if authorization.hasPrefix(SignatureV4.algorithm) {
            let fields = SignatureClaim.fields(of: authorization)
            return of(credential: fields.first { $0.name.elementsEqual("Credential".utf8) }?.value ?? "")
        }
        guard authorization.hasPrefix("AWS ") else { return "" }
        let claim = authorization.dropFirst("AWS ".count).trimmingBlanks()
        let colon = claim.utf8.lastIndex(of: UInt8(ascii: ":")) ?? claim.startIndex
        return String(claim[..<colon])
    }

    /// - Parameter credential: `AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request`
    package static func of(credential: String) -> String {
        var end = credential.utf8.endIndex
        // An access key may itself have slashes.
        for _ in 0..<4 {
            guard let slash = credential.utf8[..<end].lastIndex(of: UInt8(ascii: "/")) else { break }
            end = slash
        }
        return String(Substring(credential.utf8[..<end]))
    }
}
