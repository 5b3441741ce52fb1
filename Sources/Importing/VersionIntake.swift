import Digests
import Foundation
import Model
import ObjectStore
import S3

/// Takes the bytes of a version into the store, whole or part by part, and knows what they came to before anything is
/// published. One task at a time calls it; it ends with ``publish(_:)`` or ``discard()``.
final class VersionIntake {
    private let version: ArrivingVersion
    private let isMultipart: Bool
    private let algorithm: EventChecksumAlgorithm
    private let isComposite: Bool
    private let store: ObjectStore
    private var uploads: [Upload] = []
    private var parts: [ContentDigests] = []

    /// - Parameters:
    ///   - algorithm: of the checksum that the object has, and each of its parts.
    ///   - isComposite: whether that of a whole is made of those of its parts.
    init(
        _ version: ArrivingVersion, isMultipart: Bool, algorithm: EventChecksumAlgorithm = .crc64Nvme,
        isComposite: Bool = false, in store: ObjectStore
    ) {
        self.version = version
        self.isMultipart = isMultipart
        self.algorithm = algorithm
        self.isComposite = isComposite
        self.store = store
    }

    /// Takes the next part, or the whole.
    /// - Parameters:
    ///   - step: bytes that are asked for at once.
    ///   - read: gives bytes of the part from an offset on; none where it ends.
    func take(
        length: UInt64, step: Int, _ pace: BytePace, _ read: (UInt64, Int) async throws -> [UInt8]
    ) async throws {
        let upload = store.beginPiece(
            of: version, part: isMultipart ? uploads.count + 1 : 0, length: length, checksum: algorithm)
        uploads.append(upload)
        var offset: UInt64 = 0
        while offset < length {
            let bytes = try await read(offset, Int(min(UInt64(step), length - offset)))
            guard !bytes.isEmpty else {
                throw ImportTrouble.changed("it ended after \(offset) of \(length) bytes")
            }
            try await upload.write(bytes)
            offset += UInt64(bytes.count)
            try await pace.spent(bytes.count)
        }
        parts.append(try await upload.finish())
    }

    /// Of the bytes as they came, however they are stored: the MD5, or that of the parts' and their count.
    var etag: String {
        guard isMultipart else { return parts[0].md5.hexadecimal }
        return "\(MD5.hash(parts.flatMap(\.md5)).hexadecimal)-\(parts.count)"
    }

    /// As its last part, or whole, came.
    var last: ContentDigests { parts[parts.count - 1] }

    private func checksum(of digests: ContentDigests) -> EventChecksum {
        EventChecksum(algorithm, digests.checksum ?? [])
    }

    /// The checksum of the whole; `nil` if it does not follow from those of the parts.
    var checksum: EventChecksum? {
        guard isMultipart else { return checksum(of: last) }
        return ObjectChecksum.combine(
            parts.map { (checksum(of: $0), $0.length) }, isComposite: isComposite)
    }

    /// As S3 writes it.
    var checksumText: String? { checksum?.text(partCount: parts.count) }

    func publish(_ conditions: WriteConditions) async throws -> ObjectVersion {
        try await store.publish(
            version, of: uploads, isMultipart: isMultipart,
            partChecksums: isMultipart ? parts.map { checksum(of: $0) } : [],
            checksums: checksum.map { [$0] } ?? [], conditions: conditions
        ).value
    }

    /// Gives up what was not published.
    func discard() async { for upload in uploads { await upload.discard() } }
}

/// How what is too large to be put whole is cut into parts.
package enum PartCutting {
    private static let partByteCount: UInt64 = 512 * 1024 * 1024

    /// The lengths of the parts that something of this size is cut into; `nil` if it is put whole.
    package static func lengths(_ size: UInt64) -> [UInt64]? {
        guard size > Limits.uploadByteCount else { return nil }
        let most = UInt64(Limits.partCount)
        let length = max(partByteCount, (size + most - 1) / most)
        return stride(from: 0, to: size, by: UInt64.Stride(length)).map { min(length, size - $0) }
    }
}
