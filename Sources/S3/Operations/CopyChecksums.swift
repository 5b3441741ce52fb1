import Digests
import HTTPTypes
import Model
import ObjectStore

extension EventChecksumAlgorithm {
    /// - Throws: `InvalidRequest` for what is no algorithm of S3's.
    static func asked(_ name: String) throws -> EventChecksumAlgorithm {
        guard let algorithm = EventChecksumAlgorithm(wireName: name) else {
            throw S3Error(
                .invalidRequest,
                "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]"
            )
        }
        return algorithm
    }

    /// A digest of bytes that come in pieces.
    var streaming: any StreamingDigest {
        switch self {
        case .crc32: CRC32()
        case .crc32C: CRC32C()
        case .crc64Nvme: CRC64NVME()
        case .sha1: SHA1()
        case .sha256: SHA256()
        case .unspecified, .UNRECOGNIZED: preconditionFailure("a digest has an algorithm")
        }
    }
}

extension S3Service {
    /// The checksums of a copy: the source's, or the one asked for, for which the source is read if it has not
    /// that one of its whole.
    func checksums(ofCopyOf source: ObjectVersion, _ call: S3Call) async throws -> [EventChecksum] {
        guard let name = call.headers[.amzChecksumAlgorithm] else { return source.record.checksums }
        let algorithm = try EventChecksumAlgorithm.asked(name)
        if let known = source.record.checksums.first(where: { $0.algorithm == algorithm && !$0.composite }) {
            return [known]
        }
        var digest = algorithm.streaming
        let reader = store.reader(
            of: source, range: 0..<source.size, dataKey: try dataKey(of: source, call, isCopySource: true))
        while reader.remaining > 0 { digest.update(try await Self.piece(of: reader)) }
        return [EventChecksum(algorithm, digest.finalize())]
    }
}
