import Digests
import Encryption
import Model

/// How the bytes of an upload are to be enciphered.
public struct UploadEncryption: Sendable {
    /// What the log says of it: everything but the key.
    public let record: EventEncryption
    let dataKey: SecretKey

    /// - Parameter dataKey: the key that `record` has wrapped, or that it recognises a customer's key by.
    public init(record: EventEncryption, dataKey: SecretKey) {
        self.record = record
        self.dataKey = dataKey
    }

    /// An MD5 of the bytes says something of them, which is why Amazon S3 shows it with its own keys alone. The others'
    /// ETags look the same and are random.
    func etag(_ content: ContentDigests) -> String {
        record.kind == .s3 ? content.md5.hexadecimal : UniqueID<Never>.random().description
    }
}

/// The bytes of an enciphered upload between the client and the store: digested as they came, then sealed chunk by
/// chunk. At most one chunk is held back, for only the end tells whether it is the last.
///
/// One task at a time calls it.
final class UploadCipher {
    private let sealer: PieceSealer
    private var md5 = MD5()
    private var sha256 = SHA256()
    private var client: (any StreamingDigest)?
    private let wantsSHA256: Bool
    private var chunk: [UInt8] = []
    private(set) var length: UInt64 = 0

    init(_ encryption: UploadEncryption, expectedLength: UInt64?, checksum: EventChecksumAlgorithm?) {
        sealer = PieceSealer(dataKey: encryption.dataKey)
        client = ClientChecksum.make(checksum)
        wantsSHA256 = checksum == .sha256
        let expected = expectedLength ?? UInt64(SealedPiece.chunkByteCount)
        chunk.reserveCapacity(Int(min(expected, UInt64(SealedPiece.chunkByteCount))))
    }

    deinit { erase(&chunk) }

    var salt: [UInt8] { sealer.salt }

    /// Takes bytes; gives each chunk that is full, and not the last, to `store`, sealed.
    func write(_ bytes: any ByteChunk, _ store: ([UInt8]) async throws -> Void) async throws {
        bytes.withUnsafeBytes { digest($0) }
        length += UInt64(bytes.count)
        var offset = 0
        while offset < bytes.count {
            if chunk.count == SealedPiece.chunkByteCount {
                let sealed = chunk.withUnsafeBytes { sealer.seal($0, isLast: false) }
                chunk.removeAll(keepingCapacity: true)
                try await store(sealed)
            }
            let count = min(bytes.count - offset, SealedPiece.chunkByteCount - chunk.count)
            let start = offset
            bytes.withUnsafeBytes {
                chunk.append(contentsOf: UnsafeRawBufferPointer(rebasing: $0[start..<start + count]))
            }
            offset += count
        }
    }

    /// The last chunk, sealed; `nil` if there were no bytes.
    func sealLast() -> [UInt8]? {
        guard !chunk.isEmpty else { return nil }
        let sealed = chunk.withUnsafeBytes { sealer.seal($0, isLast: true) }
        erase(&chunk)
        return sealed
    }

    /// The digests of the bytes as they came. Called once.
    func finalize() -> ContentDigests {
        let hash = sha256.finalize()
        return ContentDigests(
            length: length, md5: md5.finalize(), sha256: hash,
            checksum: wantsSHA256 ? hash : client?.finalize())
    }

    private func digest(_ bytes: UnsafeRawBufferPointer) {
        md5.update(bytes)
        sha256.update(bytes)
        client?.update(bytes)
    }
}
