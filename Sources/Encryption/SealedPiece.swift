/// The form in which a piece of an object is stored when it is enciphered (Documentation/formats.md, "Encrypted
/// objects"): its bytes in chunks of 64 KiB, the last one shorter, each sealed by itself, so that a range opens only
/// the chunks that it touches.
///
/// Each piece has a key of its own, made of the object's data key and a salt, so that a chunk's number can be its
/// nonce: a chunk of another piece, object or place does not open. The nonce also says which chunk is the last:
/// a piece cut short between two chunks does not open either. This is the STREAM construction (Hoang, Reyhanitabar,
/// Rogaway, Vizár: "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", 2015).
public enum SealedPiece {
    public static let chunkByteCount = 65_536
    public static let sealedChunkByteCount = chunkByteCount + AESGCM.tagByteCount
    public static let saltByteCount = 16

    /// What `length` bytes come to when they are sealed. No bytes have no chunk.
    public static func sealedLength(of length: UInt64) -> UInt64 {
        let chunk = UInt64(chunkByteCount)
        let count = length / chunk + (length % chunk == 0 ? 0 : 1)
        return length + count * UInt64(AESGCM.tagByteCount)
    }

    /// The reverse of ``sealedLength(of:)``; what no length comes to is rounded down.
    public static func openedLength(of length: UInt64) -> UInt64 {
        let chunk = UInt64(sealedChunkByteCount)
        let rest = length % chunk
        let tag = UInt64(AESGCM.tagByteCount)
        return length / chunk * UInt64(chunkByteCount) + (rest > tag ? rest - tag : 0)
    }

    static func key(_ dataKey: SecretKey, salt: [UInt8]) -> SecretKey {
        dataKey.derived(for: "holdfast piece key 1", salt: salt)
    }

    /// Seven zero bytes, the chunk's number in big-endian order, and 1 for the last chunk or 0.
    static func nonce(_ index: Int, isLast: Bool) -> [UInt8] {
        let number = UInt32(index)
        return [
            0, 0, 0, 0, 0, 0, 0, UInt8(truncatingIfNeeded: number >> 24),
            UInt8(truncatingIfNeeded: number >> 16), UInt8(truncatingIfNeeded: number >> 8),
            UInt8(truncatingIfNeeded: number), isLast ? 1 : 0,
        ]
    }
}

/// Seals the chunks of one piece, in order.
public final class PieceSealer {
    public let salt: [UInt8]
    private let cipher: AESGCM
    private var index = 0

    public init(dataKey: SecretKey, salt: [UInt8] = SecureRandom.bytes(SealedPiece.saltByteCount)) {
        self.salt = salt
        cipher = .sealer(SealedPiece.key(dataKey, salt: salt))
    }

    /// - Parameter chunk: 64 KiB, or less for the last one; never empty.
    public func seal(_ chunk: UnsafeRawBufferPointer, isLast: Bool) -> [UInt8] {
        precondition(chunk.count > 0 && chunk.count <= SealedPiece.chunkByteCount)
        precondition(isLast || chunk.count == SealedPiece.chunkByteCount, "only the last chunk is shorter")
        let nonce = SealedPiece.nonce(index, isLast: isLast)
        index += 1
        let count = chunk.count + AESGCM.tagByteCount
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            cipher.seal(
                chunk, nonce: nonce,
                into: UnsafeMutableRawBufferPointer(
                    rebasing: UnsafeMutableRawBufferPointer(buffer)[..<count]))
            initialized = count
        }
    }
}

/// Opens chunks of one piece, in any order.
public final class PieceOpener {
    private let cipher: AESGCM

    public init(dataKey: SecretKey, salt: [UInt8]) {
        cipher = .opener(SealedPiece.key(dataKey, salt: salt))
    }

    /// Opens a chunk in place: its bytes then stand before the 16 of its tag.
    /// - Returns: whether it is that chunk, whole and unchanged.
    public func open(_ chunk: UnsafeMutableRawBufferPointer, index: Int, isLast: Bool) -> Bool {
        guard chunk.count > AESGCM.tagByteCount else { return false }
        return cipher.open(
            UnsafeRawBufferPointer(chunk), nonce: SealedPiece.nonce(index, isLast: isLast),
            into: UnsafeMutableRawBufferPointer(rebasing: chunk[..<(chunk.count - AESGCM.tagByteCount)]))
    }
}
