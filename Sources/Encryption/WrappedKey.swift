/// A data key sealed with a generation of a master key: what stands in the log beside the object.
///
/// One byte 1, the generation (4 bytes, big-endian), a random nonce (12), the key (32) and the tag (16). Bound to
/// it, as associated data, are the id of the master key and the digest of the encryption context: a wrapped key
/// that is put beside another id or context does not open.
public enum WrappedKey {
    static let version: UInt8 = 1
    static let headerByteCount = 5
    public static let byteCount =
        headerByteCount + AESGCM.nonceByteCount + SecretKey.byteCount + AESGCM.tagByteCount

    public static func wrap(
        _ key: SecretKey, with master: SecretKey, generation: UInt32, keyID: String, context: String
    ) -> [UInt8] {
        let header = header(generation)
        let nonce = SecureRandom.bytes(AESGCM.nonceByteCount)
        let room = SecretKey.byteCount + AESGCM.tagByteCount
        let sealed = [UInt8](unsafeUninitializedCapacity: room) { buffer, count in
            key.withUnsafeBytes { bytes in
                AESGCM.sealer(master).seal(
                    bytes, nonce: nonce, associated: associated(header, keyID, context),
                    into: UnsafeMutableRawBufferPointer(
                        rebasing: UnsafeMutableRawBufferPointer(buffer)[..<room]))
            }
            count = room
        }
        return header + nonce + sealed
    }

    /// The generation of the master key that a wrapped key names.
    /// - Returns: `nil` for what is no wrapped key of this form.
    public static func generation(of wrapped: [UInt8]) -> UInt32? {
        guard wrapped.count == byteCount, wrapped[0] == version else { return nil }
        return wrapped[1..<headerByteCount].reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// - Returns: `nil` if it was not wrapped with this key, for this id and context.
    public static func unwrap(
        _ wrapped: [UInt8], with master: SecretKey, keyID: String, context: String
    ) -> SecretKey? {
        guard let generation = generation(of: wrapped) else { return nil }
        let nonce = Array(wrapped[headerByteCount..<headerByteCount + AESGCM.nonceByteCount])
        let sealed = Array(wrapped[(headerByteCount + AESGCM.nonceByteCount)...])
        guard
            var bytes = AESGCM.open(
                sealed, key: master, nonce: nonce,
                associated: associated(header(generation), keyID, context))
        else { return nil }
        defer { erase(&bytes) }
        return SecretKey(bytes)
    }

    private static func header(_ generation: UInt32) -> [UInt8] {
        [version] + (0..<4).map { UInt8(truncatingIfNeeded: generation >> (24 - 8 * UInt32($0))) }
    }

    private static func associated(_ header: [UInt8], _ keyID: String, _ context: String) -> [UInt8] {
        Array("holdfast wrapped key".utf8) + [0] + header + Array(keyID.utf8) + [0] + Array(context.utf8)
    }
}

/// What a customer's key is recognised by, and the data key that is made of it. The key itself is kept nowhere.
///
/// A salt of 16 bytes, and HMAC-SHA256 under the customer's key of "holdfast customer key check 1", a zero byte and
/// the salt.
public enum CustomerKeyCheck {
    public static let byteCount = 16 + 32

    public static func make(_ customerKey: SecretKey) -> [UInt8] {
        make(customerKey, salt: SecureRandom.bytes(16))
    }

    private static func make(_ customerKey: SecretKey, salt: [UInt8]) -> [UInt8] {
        salt + customerKey.authenticated("holdfast customer key check 1", salt)
    }

    /// - Returns: `nil` if it is another key.
    public static func dataKey(_ customerKey: SecretKey, check: [UInt8]) -> SecretKey? {
        guard check.count == byteCount else { return nil }
        let salt = Array(check[..<16])
        guard isEqual(make(customerKey, salt: salt), check) else { return nil }
        return customerKey.derived(for: "holdfast customer data key 1", salt: salt)
    }
}
