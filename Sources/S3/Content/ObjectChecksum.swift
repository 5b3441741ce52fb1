import Digests
import Model
import ObjectStore

/// The checksum of an object made of parts.
///
/// Source: Amazon S3 User Guide, "Full object and composite checksums for multipart uploads".
package enum ObjectChecksum {
    /// - Returns: `nil` if the parts' checksums are not of one algorithm, or cannot make one of the whole.
    static func combine(_ parts: [UploadedPart], _ upload: EventUploadCreated) -> EventChecksum? {
        combine(
            parts.map { ($0.piece.checksum, $0.piece.contentLength) }, isComposite: upload.checksumComposite)
    }

    /// - Parameter parts: the checksum and the length of each part, in order.
    /// - Returns: as ``combine(_:_:)``.
    package static func combine(
        _ parts: [(checksum: EventChecksum, length: UInt64)], isComposite: Bool
    ) -> EventChecksum? {
        guard let algorithm = parts.first?.checksum.algorithm, algorithm != .unspecified,
            parts.allSatisfy({ $0.checksum.algorithm == algorithm })
        else { return nil }
        if isComposite {
            let all = parts.flatMap { Array($0.checksum.value) }
            return EventChecksum(algorithm, algorithm.digest(all), composite: true)
        }
        guard algorithm.combines else { return nil }
        let runs = parts.map { (value: number($0.checksum.value), length: $0.length) }
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
