import COpenSSL

/// AES-256 in Galois/Counter Mode (NIST SP 800-38D) under one key: nonces of 12 bytes, tags of 16.
///
/// A nonce must never be used twice with one key; who calls sees to it. One task at a time calls it.
public final class AESGCM {
    public static let tagByteCount = 16
    public static let nonceByteCount = 12

    private struct Algorithm: @unchecked Sendable {  // an EVP_CIPHER is immutable, and is never freed
        let pointer: OpaquePointer

        static let aes256GCM = Algorithm()

        init() {
            guard let pointer = EVP_CIPHER_fetch(nil, "AES-256-GCM", nil) else {
                preconditionFailure("OpenSSL's default provider has AES-256-GCM")
            }
            self.pointer = pointer
        }
    }

    private let context: OpaquePointer
    private let seals: Bool

    private init(_ key: SecretKey, seals: Bool) {
        guard let context = EVP_CIPHER_CTX_new() else { preconditionFailure("out of memory for a cipher") }
        self.context = context
        self.seals = seals
        let code = key.withUnsafeBytes { bytes in
            EVP_CipherInit_ex2(
                context, Algorithm.aes256GCM.pointer,
                bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), nil, seals ? 1 : 0, nil)
        }
        precondition(code == 1, "OpenSSL takes a key of 32 bytes")
    }

    /// The context's copy of the key is overwritten by OpenSSL.
    deinit { EVP_CIPHER_CTX_free(context) }

    public static func sealer(_ key: SecretKey) -> AESGCM { AESGCM(key, seals: true) }
    public static func opener(_ key: SecretKey) -> AESGCM { AESGCM(key, seals: false) }

    /// - Parameter output: takes the ciphertext and the tag: 16 bytes more than `plaintext` has.
    public func seal(
        _ plaintext: UnsafeRawBufferPointer, nonce: [UInt8], associated: [UInt8] = [],
        into output: UnsafeMutableRawBufferPointer
    ) {
        precondition(seals && output.count == plaintext.count + Self.tagByteCount)
        begin(nonce, associated)
        run(plaintext, into: output)
        var rest: Int32 = 0
        precondition(EVP_CipherFinal_ex(context, Self.bytes(output), &rest) == 1, "OpenSSL ends a seal")
        let tag = output.baseAddress.map { $0 + plaintext.count }
        precondition(
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_GET_TAG, Int32(Self.tagByteCount), tag) == 1,
            "OpenSSL gives the tag of what it sealed")
    }

    /// - Parameters:
    ///   - sealed: ciphertext and tag.
    ///   - output: takes 16 bytes less; may be where `sealed` is.
    /// - Returns: whether key, nonce, associated data and every byte are those it was sealed with. If not, nothing
    ///   in `output` may be used, and it is overwritten.
    public func open(
        _ sealed: UnsafeRawBufferPointer, nonce: [UInt8], associated: [UInt8] = [],
        into output: UnsafeMutableRawBufferPointer
    ) -> Bool {
        let count = sealed.count - Self.tagByteCount
        precondition(!seals && output.count == max(count, 0))
        guard count >= 0 else { return false }
        begin(nonce, associated)
        var tag = Array(sealed[count...])
        run(UnsafeRawBufferPointer(rebasing: sealed[..<count]), into: output)
        precondition(
            EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_AEAD_SET_TAG, Int32(Self.tagByteCount), &tag) == 1,
            "OpenSSL takes a tag of 16 bytes")
        var rest: Int32 = 0
        var none: UInt8 = 0
        guard EVP_CipherFinal_ex(context, &none, &rest) == 1 else {
            OPENSSL_cleanse(output.baseAddress, output.count)
            ERR_clear_error()
            return false
        }
        return true
    }

    private func begin(_ nonce: [UInt8], _ associated: [UInt8]) {
        precondition(nonce.count == Self.nonceByteCount)
        precondition(
            EVP_CipherInit_ex2(context, nil, nil, nonce, seals ? 1 : 0, nil) == 1,
            "OpenSSL takes a nonce of 12 bytes")
        guard !associated.isEmpty else { return }
        var done: Int32 = 0
        precondition(
            EVP_CipherUpdate(context, nil, &done, associated, Int32(associated.count)) == 1,
            "OpenSSL takes associated data")
    }

    private func run(_ input: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer) {
        guard input.count > 0 else { return }
        var done: Int32 = 0
        let code = EVP_CipherUpdate(
            context, Self.bytes(output), &done,
            input.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32(input.count))
        precondition(code == 1 && done == input.count, "GCM takes bytes one for one")
    }

    private static func bytes(_ memory: UnsafeMutableRawBufferPointer) -> UnsafeMutablePointer<UInt8>? {
        memory.baseAddress?.assumingMemoryBound(to: UInt8.self)
    }

    // MARK: Small things, whole

    public static func seal(
        _ plaintext: [UInt8], key: SecretKey, nonce: [UInt8], associated: [UInt8]
    ) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: plaintext.count + tagByteCount) { buffer, count in
            let room = UnsafeMutableRawBufferPointer(
                rebasing: UnsafeMutableRawBufferPointer(buffer)[..<(plaintext.count + tagByteCount)])
            plaintext.withUnsafeBytes {
                sealer(key).seal($0, nonce: nonce, associated: associated, into: room)
            }
            count = room.count
        }
    }

    /// - Returns: `nil` if it was not sealed so.
    public static func open(
        _ sealed: [UInt8], key: SecretKey, nonce: [UInt8], associated: [UInt8]
    ) -> [UInt8]? {
        guard sealed.count >= tagByteCount else { return nil }
        var plaintext = [UInt8](repeating: 0, count: sealed.count - tagByteCount)
        let isGood = plaintext.withUnsafeMutableBytes { output in
            sealed.withUnsafeBytes {
                opener(key).open($0, nonce: nonce, associated: associated, into: output)
            }
        }
        return isGood ? plaintext : nil
    }
}
