import Digests
import Foundation
import S3
import Volumes

/// What whoever asks for metrics has to show, where the settings name a file with it: `Authorization: Bearer TOKEN`.
///
/// Source: RFC 6750, "The OAuth 2.0 Authorization Framework: Bearer Token Usage", 2.1, which Prometheus speaks.
package struct MetricsToken: Sendable {
    private static let limit = 4096
    /// Nobody guesses one of so many.
    private static let least = 16

    private let digest: [UInt8]

    /// - Returns: `nil` if the settings name none.
    /// - Throws: ``SettingError`` if the file cannot be read, others may read it, or it has no token.
    package init?(_ settings: ServerSettings) throws {
        guard let path = settings.metricsTokenPath else { return nil }
        func refused(_ reason: String) -> SettingError {
            SettingError(setting: SettingName.metricsToken.rawValue, source: path, reason: reason)
        }
        let bytes: [UInt8]
        do { bytes = try SecretFile.contents(of: path, limit: Self.limit) } catch {
            throw refused("cannot be used: \(error)")
        }
        let token = String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        guard (Self.least...Self.limit).contains(token.utf8.count),
            token.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else {
            throw refused(
                "has to hold one token: \(Self.least) to \(Self.limit) visible characters of ASCII and no blanks"
            )
        }
        digest = SHA256.hash(Array(token.utf8))
    }

    /// Compared in a time that tells nothing.
    /// - Parameter authorization: the header's value.
    package func admits(authorization: String?) -> Bool {
        let parts = (authorization ?? "").split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else { return false }
        return constantTimeEqual(
            SHA256.hash(Array(parts[1].trimmingCharacters(in: .whitespaces).utf8)), digest)
    }
}
