import Foundation
import Model
import S3
import Volumes

/// A place at an S3 endpoint, as the command line and the settings name it:
///
///     s3://BUCKET/PREFIX?endpoint=https://backup.example:9000&region=eu-1&credentials=/etc/holdfast/backup.json
///
/// Secrets never stand in it: see ``S3Credentials``.
public struct S3Location: Sendable {
    /// How objects are locked where the bucket can lock them.
    package enum LockMode: String, Sendable {
        /// Nobody can shorten it, the account's owner neither.
        case compliance = "COMPLIANCE"
        /// Who may bypass governance can.
        case governance = "GOVERNANCE"
    }

    /// Days for which a new object is locked, where the bucket has object lock and no rule of its own.
    package static let defaultRetainDays = 30

    package let scheme: String
    package let host: String
    package let port: Int?
    public let bucket: String
    /// Without slashes at its ends; may be empty.
    public let prefix: String
    package let region: String
    /// A file of ``S3Credentials``; `nil` for the environment.
    package let credentialsPath: String?
    /// `nil`: ``defaultRetainDays`` unless the bucket has a rule. 0: no lock is set.
    package let retainDays: Int?
    package let lockMode: LockMode
    /// The bucket as it was then, as far as its versions are kept: later ones and delete markers are not looked at, and nothing
    /// is written.
    package let moment: Timestamp?
    /// Certificates to trust besides those of the system: a PEM file.
    package let authoritiesPath: String?

    public static func isLocation(_ text: String) -> Bool { text.lowercased().hasPrefix("s3://") }

    /// - Throws: ``S3LocationError``.
    public init(_ text: String) throws(S3LocationError) {
        guard Self.isLocation(text) else { throw S3LocationError("'\(text)' does not begin with s3://") }
        let halves = text.dropFirst(5).split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        let place = halves[0].split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        bucket = String(place[0])
        guard !bucket.isEmpty, !bucket.contains("@"), !bucket.contains(":") else {
            throw S3LocationError("'\(text)' names no bucket: s3://BUCKET/PREFIX?endpoint=https://HOST")
        }
        var prefix = place.count > 1 ? place[1][...] : ""
        while prefix.hasPrefix("/") { prefix = prefix.dropFirst() }
        while prefix.hasSuffix("/") { prefix = prefix.dropLast() }
        self.prefix = String(prefix)
        let items = try Self.items(halves.count > 1 ? halves[1] : "")
        region = items["region"] ?? "us-east-1"
        credentialsPath = items["credentials"]
        authoritiesPath = items["ca"]
        (scheme, host, port) = try Self.endpoint(
            items["endpoint"] ?? "https://s3.\(items["region"] ?? "us-east-1").amazonaws.com")
        if let days = items["retain-days"] {
            guard let count = Int(days), (0...36_500).contains(count) else {
                throw S3LocationError("retain-days takes 0 to 36500, not '\(days)'")
            }
            retainDays = count
        } else {
            retainDays = nil
        }
        switch items["retain-mode"] ?? "compliance" {
        case "compliance": lockMode = .compliance
        case "governance": lockMode = .governance
        case let other: throw S3LocationError("retain-mode is compliance or governance, not '\(other)'")
        }
        if let at = items["at"] {
            guard let seconds = HTTPDate.seconds(at) else {
                throw S3LocationError("at takes a time such as 2026-11-25T02:09:00Z, not '\(at)'")
            }
            moment = Timestamp(microseconds: seconds * 1_000_000)
        } else {
            moment = nil
        }
    }

    private static let names: Set<String> = [
        "endpoint", "region", "credentials", "retain-days", "retain-mode", "at", "ca",
    ]

    private static func items(_ query: Substring) throws(S3LocationError) -> [String: String] {
        var items: [String: String] = [:]
        for part in query.split(separator: "&") {
            let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard pair.count == 2, let value = PercentEncoding.decode(pair[1], plusIsSpace: false),
                names.contains(String(pair[0]))
            else {
                // A secret that somebody put there is not repeated in a message.
                throw S3LocationError(
                    "'\(pair[0])' is nothing that an s3:// place takes: \(names.sorted().joined(separator: ", "))"
                )
            }
            items[String(pair[0])] = value
        }
        return items
    }

    private static func endpoint(_ text: String) throws(S3LocationError) -> (String, String, Int?) {
        guard let url = URL(string: text), let scheme = url.scheme?.lowercased(),
            scheme == "http" || scheme == "https", let host = url.host, !host.isEmpty,
            url.path.isEmpty || url.path == "/", url.query == nil, url.user == nil
        else { throw S3LocationError("the endpoint is http://HOST:PORT or https://HOST:PORT, not '\(text)'") }
        return (scheme, host, url.port)
    }

    /// As in a `Host` header.
    package var authority: String {
        let name = host.contains(":") && !host.hasPrefix("[") ? "[\(host)]" : host
        guard let port, port != (scheme == "https" ? 443 : 80) else { return name }
        return "\(name):\(port)"
    }

    package var endpoint: String { "\(scheme)://\(authority)" }

    /// What messages and paths call it.
    public var directory: String { prefix.isEmpty ? "s3://\(bucket)" : "s3://\(bucket)/\(prefix)" }
}

/// A place at an S3 endpoint that cannot be understood.
public struct S3LocationError: Error, CustomStringConvertible, Sendable {
    public let description: String
    init(_ description: String) { self.description = description }
}
