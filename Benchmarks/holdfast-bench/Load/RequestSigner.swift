import Digests
import Foundation

/// Writes request heads that are signed as the SDKs sign them: Signature Version 4 in the Authorization header,
/// the signing key computed once, the body's SHA-256 under the signature.
///
/// One thread uses it.
struct RequestSigner {
    struct Credentials: Sendable {
        let accessKey: String
        let secretKey: String
        let region: String
    }

    enum Payload: Sendable {
        case unsigned
        /// The SHA-256 of the body, in hexadecimal: known beforehand, since every body of a phase is the same.
        case hash(String)

        static let empty = Payload.hash(SHA256.hash([UInt8]()).hexadecimal)

        var text: String {
            switch self {
            case .unsigned: "UNSIGNED-PAYLOAD"
            case .hash(let hash): hash
            }
        }
    }

    private static let signedHeaders = "host;x-amz-content-sha256;x-amz-date"

    private let credentials: Credentials
    private let host: String
    private var second = 0
    private var time = ""
    private var scope = ""
    private var key: [UInt8] = []

    init(_ credentials: Credentials, host: String) {
        self.credentials = credentials
        self.host = host
    }

    /// - Parameters:
    ///   - path: percent-encoded already.
    ///   - query: in the canonical form: encoded, sorted by name, `name=value`.
    mutating func head(
        _ method: String, path: String, query: String = "", bodyCount: Int, payload: Payload
    ) -> [UInt8] {
        refreshTime()
        let hash = payload.text
        let canonical =
            "\(method)\n\(path)\n\(query)\nhost:\(host)\nx-amz-content-sha256:\(hash)\nx-amz-date:\(time)\n\n"
            + "\(Self.signedHeaders)\n\(hash)"
        let text = "AWS4-HMAC-SHA256\n\(time)\n\(scope)\n\(SHA256.hash(Array(canonical.utf8)).hexadecimal)"
        let signature = HMACSHA256.authenticate(Array(text.utf8), key: key).hexadecimal
        let target = query.isEmpty ? path : "\(path)?\(query)"
        return Array(
            ("\(method) \(target) HTTP/1.1\r\nHost: \(host)\r\nx-amz-content-sha256: \(hash)\r\n"
                + "x-amz-date: \(time)\r\nAuthorization: AWS4-HMAC-SHA256 "
                + "Credential=\(credentials.accessKey)/\(scope), SignedHeaders=\(Self.signedHeaders), "
                + "Signature=\(signature)\r\nContent-Length: \(bodyCount)\r\n\r\n").utf8)
    }

    /// The time of a signature counts in seconds; the key is good for a day.
    private mutating func refreshTime() {
        var now = Glibc.time(nil)
        guard now != second else { return }
        second = now
        var parts = tm()
        gmtime_r(&now, &parts)
        let date = String(
            format: "%04d%02d%02d", Int(parts.tm_year) + 1900, Int(parts.tm_mon) + 1, Int(parts.tm_mday))
        time =
            date + String(format: "T%02d%02d%02dZ", Int(parts.tm_hour), Int(parts.tm_min), Int(parts.tm_sec))
        let scope = "\(date)/\(credentials.region)/s3/aws4_request"
        guard scope != self.scope else { return }
        self.scope = scope
        key = Array("AWS4\(credentials.secretKey)".utf8)
        for part in [date, credentials.region, "s3", "aws4_request"] {
            key = HMACSHA256.authenticate(Array(part.utf8), key: key)
        }
    }
}

extension [UInt8] {
    var hexadecimal: String {
        let digits = Array<UInt8>("0123456789abcdef".utf8)
        return String(unsafeUninitializedCapacity: count * 2) { text in
            for (index, byte) in enumerated() {
                text[2 * index] = digits[Int(byte >> 4)]
                text[2 * index + 1] = digits[Int(byte & 15)]
            }
            return count * 2
        }
    }
}
