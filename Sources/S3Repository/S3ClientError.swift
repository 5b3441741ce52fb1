import Foundation
import Volumes

/// Why an endpoint did not do what it was asked.
package struct S3ClientError: Error, CustomStringConvertible, Sendable {
    package let method: String
    /// `s3://BUCKET/KEY at ENDPOINT`
    package let place: String
    /// `nil` if no answer came.
    package let status: Int?
    /// S3's code, "SlowDown"; empty if the answer had none.
    package let code: String
    package let message: String
    /// How often it was tried; 0 if it was not, which `message` gives the reason for.
    package let attempts: Int
    /// What the endpoint asked to wait for, in seconds.
    var retryAfter: Double?
    /// Whether no answer came in time.
    var isTimeout = false

    package var description: String { "\(method) \(place): \(reason)" }

    private var reason: String {
        guard attempts > 0 else { return message }
        let answer = status.map { "\($0) \(code)".trimmingCharacters(in: .whitespaces) } ?? "no answer"
        let tried = attempts > 1 ? ", tried \(attempts) times" : ""
        return "\(answer)\(message.isEmpty ? "" : ": \(message)")\(tried)"
    }

    /// Whether the same request may do better later.
    var isTransient: Bool {
        guard let status else { return true }
        if status == 501 || status == 505 { return false }
        return status >= 500 || status == 429 || code == "RequestTimeout" || code == "SlowDown"
    }

    /// Whether an endpoint refused to tell of versions because it keeps none.
    package var isOfNoVersions: Bool { status == 501 || status == 405 || code == "NotImplemented" }

    /// As the layers above a file system know it.
    var asFileSystemError: FileSystemError {
        let number: Int32 =
            switch status {
            case nil: isTimeout ? ETIMEDOUT : EIO
            case 403: EACCES
            case 404 where code != "NoSuchBucket": ENOENT
            default: EIO
            }
        return FileSystemError(operation: method, path: place, code: number, detail: reason)
    }
}
