import COpenSSL

/// A key of AES-256: 32 bytes that nothing prints, and that are overwritten when they are released.
public final class SecretKey: @unchecked Sendable {  // its memory is written by init alone
    public static let byteCount = 32

    private let memory: UnsafeMutableRawBufferPointer

    /// - Parameter fill: writes all 32 bytes.
    private init(filledBy fill: (UnsafeMutableRawBufferPointer) -> Void) {
        memory = .allocate(byteCount: Self.byteCount, alignment: 16)
        fill(memory)
    }

    /// - Returns: `nil` for anything but 32 bytes.
    public convenience init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        self.init { $0.copyBytes(from: bytes) }
    }

    deinit {
        OPENSSL_cleanse(memory.baseAddress, memory.count)
        memory.deallocate()
    }

    public static func random() -> SecretKey {
        SecretKey { memory in SecureRandom.fill(memory) }
    }

    public func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows
        -> Result
    {
        try body(UnsafeRawBufferPointer(memory))
    }

    /// The key for one purpose: HMAC-SHA256 with this key of the purpose's name, a zero byte and the salt.
    public func derived(for purpose: StaticString, salt: [UInt8]) -> SecretKey {
        SecretKey { memory in self.authenticate(purpose, salt, into: memory) }
    }

    /// HMAC-SHA256 (RFC 2104) with this key of the purpose's name, a zero byte and the bytes.
    func authenticated(_ purpose: StaticString, _ bytes: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: Self.byteCount) { buffer, count in
            authenticate(purpose, bytes, into: UnsafeMutableRawBufferPointer(buffer))
            count = Self.byteCount
        }
    }

    private func authenticate(
        _ purpose: StaticString, _ bytes: [UInt8], into output: UnsafeMutableRawBufferPointer
    ) {
        let message = purpose.withUTF8Buffer { Array($0) } + [0] + bytes
        var length: UInt32 = 0
        let result = HMAC(
            EVP_sha256(), memory.baseAddress, Int32(memory.count), message, message.count,
            output.baseAddress?.assumingMemoryBound(to: UInt8.self), &length)
        precondition(result != nil && length == 32, "OpenSSL computes an HMAC")
    }

    /// Whether the keys are the same, in a time that does not depend on where they differ.
    public func isEqual(to other: SecretKey) -> Bool {
        CRYPTO_memcmp(memory.baseAddress, other.memory.baseAddress, memory.count) == 0
    }
}

extension SecretKey: CustomStringConvertible, CustomDebugStringConvertible {
    public var description: String { "a secret key" }
    public var debugDescription: String { description }
}

/// Bytes that nobody can foretell: nonces, salts, keys.
public enum SecureRandom {
    public static func bytes(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            fill(UnsafeMutableRawBufferPointer(rebasing: UnsafeMutableRawBufferPointer(buffer)[0..<count]))
            initialized = count
        }
    }

    static func fill(_ memory: UnsafeMutableRawBufferPointer) {
        let code = RAND_bytes(
            memory.baseAddress?.assumingMemoryBound(to: UInt8.self), Int32(memory.count))
        precondition(code == 1, "OpenSSL's generator is seeded by the system")
    }
}
