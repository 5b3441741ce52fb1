import Digests
import Foundation
import HTTPTypes
import Model

/// The checksum algorithms of S3.
///
/// Source: Amazon S3 User Guide, "Checking object integrity in Amazon S3".
extension EventChecksumAlgorithm {
    package static let known: [EventChecksumAlgorithm] = [.crc32, .crc32C, .crc64Nvme, .sha1, .sha256]

    /// `CRC32`, …; the empty text for none.
    package var wireName: String {
        switch self {
        case .crc32: "CRC32"
        case .crc32C: "CRC32C"
        case .crc64Nvme: "CRC64NVME"
        case .sha1: "SHA1"
        case .sha256: "SHA256"
        case .unspecified, .UNRECOGNIZED: ""
        }
    }

    package var header: HTTPField.Name {
        switch self {
        case .crc32: Self.crc32Header
        case .crc32C: Self.crc32cHeader
        case .crc64Nvme: Self.crc64Header
        case .sha1: Self.sha1Header
        case .sha256: Self.sha256Header
        case .unspecified, .UNRECOGNIZED: preconditionFailure("no header is for no algorithm")
        }
    }

    private static let crc32Header = HTTPField.Name.fixed("x-amz-checksum-crc32")
    private static let crc32cHeader = HTTPField.Name.fixed("x-amz-checksum-crc32c")
    private static let crc64Header = HTTPField.Name.fixed("x-amz-checksum-crc64nvme")
    private static let sha1Header = HTTPField.Name.fixed("x-amz-checksum-sha1")
    private static let sha256Header = HTTPField.Name.fixed("x-amz-checksum-sha256")

    package var byteCount: Int {
        switch self {
        case .crc32, .crc32C: 4
        case .crc64Nvme: 8
        case .sha1: 20
        case .sha256: 32
        case .unspecified, .UNRECOGNIZED: 0
        }
    }

    /// Whether the checksum of a whole follows from those of its parts.
    package var combines: Bool { self == .crc32 || self == .crc32C || self == .crc64Nvme }

    package init?(wireName: String) {
        guard let known = Self.known.first(where: { $0.wireName == wireName.uppercased() }) else {
            return nil
        }
        self = known
    }

    /// The checksum of bytes that the store has whole in memory.
    package func digest(_ bytes: [UInt8]) -> [UInt8] {
        var digest: any StreamingDigest
        switch self {
        case .crc32: digest = CRC32()
        case .crc32C: digest = CRC32C()
        case .crc64Nvme: digest = CRC64NVME()
        case .sha1: digest = SHA1()
        case .sha256: digest = SHA256()
        case .unspecified, .UNRECOGNIZED: preconditionFailure("a digest has an algorithm")
        }
        digest.update(bytes)
        return digest.finalize()
    }
}

/// The checksum that a request announces, in a header or as a trailer.
package struct AnnouncedChecksum: Sendable {
    package let algorithm: EventChecksumAlgorithm
    /// `nil` if it follows the body.
    package let value: [UInt8]?

    /// - Throws: `InvalidRequest` for more than one, a bad value, or an algorithm that S3 does not have.
    package init?(_ headers: HTTPFields) throws {
        guard headers.contains(where: { Self.isNamed($0.name.canonicalName) }) else { return nil }
        var found: (EventChecksumAlgorithm, [UInt8]?)?
        for algorithm in EventChecksumAlgorithm.known {
            guard let text = headers[algorithm.header] else { continue }
            guard found == nil else {
                throw S3Error(
                    .invalidRequest,
                    "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
                )
            }
            found = (algorithm, try Self.value(text, algorithm, name: algorithm.header.canonicalName))
        }
        if let trailer = headers[.amzTrailer] {
            let names = trailer.split(separator: ",").map { $0.trimmingBlanks().lowercased() }
            for name in names where name.hasPrefix("x-amz-checksum-") {
                guard
                    let algorithm = EventChecksumAlgorithm.known.first(where: {
                        $0.header.canonicalName == name
                    }), found == nil
                else {
                    throw S3Error(
                        .invalidRequest, "The value specified in the x-amz-trailer header is not supported")
                }
                found = (algorithm, nil)
            }
        }
        if let name = headers[.amzSDKChecksumAlgorithm] {
            guard let algorithm = EventChecksumAlgorithm(wireName: name) else {
                throw S3Error(
                    .invalidRequest,
                    "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]"
                )
            }
            guard let found else {
                throw S3Error(
                    .invalidRequest,
                    "x-amz-sdk-checksum-algorithm specified, but no corresponding x-amz-checksum-* or x-amz-trailer headers were found."
                )
            }
            guard found.0 == algorithm else {
                throw S3Error(
                    .invalidRequest,
                    "Value for x-amz-sdk-checksum-algorithm header is invalid: the request carries \(found.0.wireName)."
                )
            }
        }
        guard let found else { return nil }
        (algorithm, value) = found
    }

    /// Whether a header has to do with checksums: most requests carry none of them.
    private static func isNamed(_ header: String) -> Bool {
        header.hasPrefix("x-amz-")
            && (header.hasPrefix("x-amz-checksum-") || header == "x-amz-trailer"
                || header == "x-amz-sdk-checksum-algorithm")
    }

    static func value(_ text: String, _ algorithm: EventChecksumAlgorithm, name: String) throws -> [UInt8] {
        guard let data = Data(base64Encoded: text), data.count == algorithm.byteCount else {
            throw S3Error(.invalidRequest, "Value for \(name) header is invalid.")
        }
        return Array(data)
    }
}

extension EventChecksum {
    package init(_ algorithm: EventChecksumAlgorithm, _ value: [UInt8], composite: Bool = false) {
        self.init()
        self.algorithm = algorithm
        self.value = Data(value)
        self.composite = composite
    }

    /// As S3 writes it: base64, with the count of parts behind a composite one.
    package func text(partCount: Int) -> String {
        value.base64EncodedString() + (composite ? "-\(partCount)" : "")
    }

    var typeName: String { composite ? "COMPOSITE" : "FULL_OBJECT" }
}
