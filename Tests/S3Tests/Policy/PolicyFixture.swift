import Model
import S3
import Testing

/// Policies and requests in as few words as a table has room for.
enum PolicyFixture {
    static let bucketName = "examplebucket"
    static let alice = PolicyPrincipal.user(name: "alice", canonicalID: String(repeating: "a1", count: 32))
    static let bob = PolicyPrincipal.user(name: "bob", canonicalID: String(repeating: "b2", count: 32))
    static let root = PolicyPrincipal.user(name: "root", canonicalID: String(repeating: "0", count: 64))

    static func kind() throws -> PolicyDocument.Kind { .bucket(try BucketName(bucketName)) }

    static func bucketPolicy(_ text: String) throws -> PolicyDocument {
        try PolicyDocument(Array(text.utf8), kind: kind())
    }

    static func userPolicy(_ text: String) throws -> PolicyDocument {
        try PolicyDocument(Array(text.utf8), kind: .user)
    }

    /// A statement's elements, with those that a row does not name.
    static func policy(_ elements: String, version: String = "2012-10-17") -> String {
        var all = elements.isEmpty ? [] : [elements]
        func standard(_ names: [String], _ element: String) {
            if !names.contains(where: { elements.contains("\"\($0)\"") }) { all.append(element) }
        }
        standard(["Effect"], #""Effect":"Allow""#)
        standard(["Principal", "NotPrincipal"], #""Principal":"*""#)
        standard(["Action", "NotAction"], #""Action":"s3:*""#)
        standard(
            ["Resource", "NotResource"],
            #""Resource":["arn:aws:s3:::examplebucket","arn:aws:s3:::examplebucket/*"]"#)
        return #"{"Version":"\#(version)","Statement":[{\#(all.joined(separator: ","))}]}"#
    }

    static func request(
        _ principal: PolicyPrincipal = alice, _ action: String = "s3:GetObject",
        _ resource: String = "examplebucket/photos/cat.jpg", _ context: [String: [String]] = [:]
    ) -> PolicyRequest {
        PolicyRequest(
            principal: principal, action: action, resource: "arn:aws:s3:::" + resource,
            context: PolicyContext { context[$0] })
    }

    static func malformation(_ text: String, kind: PolicyDocument.Kind) -> S3Error? {
        do {
            _ = try PolicyDocument(Array(text.utf8), kind: kind)
            return nil
        } catch { return error as? S3Error ?? S3Error(.internalError, "\(error)") }
    }
}
