import Digests
import Model
import ObjectStore

/// The checksum of an object made of parts.
///
/// Source: Amazon S3 User Guide, "Full object and composite checksums for multipart uploads".
enum ObjectChecksum {
    /// - Returns: `nil` if the parts' checksums are not of one algorithm, or cannot make one of the whole.
    static func combine(_ parts: [UploadedPart], _ upload: EventUploadCreated) -> EventChecksum? {
        guard let algorithm = parts.first?.piece.checksum.algorithm, algorithm != .unspecified,
            parts.allSatisfy({ $0.piece.checksum.algorithm == algorithm })
        else { return nil }
        if upload.checksumComposite {
            let all = parts.flatMap { Array($0.piece.checksum.value) }
            return EventChecksum(algorithm, algorithm.digest(all), composite: true)
        }
        guard algorithm.combines else { return nil }
        let runs = parts.map { (value: number($0.piece.checksum.value), length: $0.piece.contentLength) }
        let whole = runs.dropFirst().reduce(runs[0].value) { crc, run in
            switch algorithm {
            case .crc32:
                UInt64(
                    CRC32.combine(
                        UInt32(truncatingIfNeeded: crc), UInt32(truncatingIfNeeded: run.value),
                        lengthOfB: run.length))
            case .crc32C:
                UInt64(
                    CRC32C.combine(
                        UInt32(truncatingIfNeeded: crc), UInt32(truncatingIfNeeded: run.value),
                        lengthOfB: run.length))
            default: CRC64NVME.combine(crc, run.value, lengthOfB: run.length)
            }
        }
        let bytes = (0..<algorithm.byteCount).map {
            UInt8(truncatingIfNeeded: whole >> UInt64(8 * (algorithm.byteCount - 1 - $0)))
        }
        return EventChecksum(algorithm, bytes)
    }

    private static func number(_ bytes: some Sequence<UInt8>) -> UInt64 {
        bytes.reduce(0) { $0 << 8 | UInt64($1) }
    }
}
