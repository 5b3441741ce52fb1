import Foundation
import Volumes

/// Whom an endpoint is asked as: from a file that others may not read (``SecretFile``), or from the environment.
///
/// The file is JSON, `{"access-key": "…", "secret-key": "…", "session-token": "…"}`; the variables are
/// `HOLDFAST_S3_ACCESS_KEY` and `HOLDFAST_S3_SECRET_KEY`, else `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and
/// `AWS_SESSION_TOKEN`.
package struct S3Credentials: Sendable {
    package let accessKey: String
    let secretKey: String
    let sessionToken: String?

    package init(accessKey: String, secretKey: String, sessionToken: String? = nil) {
        self.accessKey = accessKey
        self.secretKey = secretKey
        self.sessionToken = sessionToken
    }

    private struct Document: Decodable {
        let accessKey: String
        let secretKey: String
        let sessionToken: String?

        enum CodingKeys: String, CodingKey {
            case accessKey = "access-key"
            case secretKey = "secret-key"
            case sessionToken = "session-token"
        }
    }

    /// - Throws: ``S3LocationError`` if there are none, or others could read them; ``FileSystemError``.
    package static func find(
        for location: S3Location, environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws -> S3Credentials {
        if let path = location.credentialsPath { return try read(path) }
        for (access, secret, token) in [
            ("HOLDFAST_S3_ACCESS_KEY", "HOLDFAST_S3_SECRET_KEY", "HOLDFAST_S3_SESSION_TOKEN"),
            ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
        ] {
            guard let accessKey = environment[access], let secretKey = environment[secret],
                !accessKey.isEmpty, !secretKey.isEmpty
            else { continue }
            return S3Credentials(
                accessKey: accessKey, secretKey: secretKey,
                sessionToken: environment[token].flatMap { $0.isEmpty ? nil : $0 })
        }
        throw S3LocationError(
            "there are no keys for \(location.endpoint): give credentials=FILE, or set HOLDFAST_S3_ACCESS_KEY and HOLDFAST_S3_SECRET_KEY where the command is carried out (by the server, if one has the store)"
        )
    }

    private static func read(_ link: String) throws -> S3Credentials {
        // The file that is looked at is the one that is read: a link may come to lead to another meanwhile.
        let path = URL(fileURLWithPath: link).resolvingSymlinksInPath().path
        guard let file = try SecretFile(at: path, isGiven: true), file.kind == .file else {
            throw S3LocationError("there is no file of credentials at \(path)")
        }
        if let refusal = file.refusal(at: path) { throw S3LocationError("\(refusal)") }
        let document: Document
        do {
            document = try JSONDecoder().decode(
                Document.self, from: Data(try RealFileSystem().contents(of: path)))
        } catch is DecodingError {
            // Not what the decoder says: it may repeat what it read.
            throw S3LocationError("\(path) is not {\"access-key\": …, \"secret-key\": …}")
        }
        return S3Credentials(
            accessKey: document.accessKey, secretKey: document.secretKey,
            sessionToken: document.sessionToken)
    }
}
