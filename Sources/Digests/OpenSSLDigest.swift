import COpenSSL

/// An algorithm of OpenSSL's, fetched once: a fetch for each digest costs three times as much as hashing 64
/// bytes.
struct FetchedAlgorithm: @unchecked Sendable {  // an EVP_MD is immutable once fetched, and is never freed
    let pointer: OpaquePointer
    let byteCount: Int

    init(_ name: String) {
        guard let pointer = EVP_MD_fetch(nil, name, nil) else {
            preconditionFailure("OpenSSL's default provider has \(name)")
        }
        self.pointer = pointer
        byteCount = Int(EVP_MD_get_size(pointer))
    }

    static let md5 = FetchedAlgorithm("MD5")
    static let sha1 = FetchedAlgorithm("SHA1")
    static let sha256 = FetchedAlgorithm("SHA256")

    func hash(_ pieces: [UnsafeRawBufferPointer]) -> [UInt8] {
        let context = OpenSSLContext(self)
        for piece in pieces { context.update(piece) }
        return context.finalize()
    }

    func hash(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        let context = OpenSSLContext(self)
        context.update(bytes)
        return context.finalize()
    }
}

/// One digest under way.
final class OpenSSLContext {
    private let context: OpaquePointer
    private let algorithm: FetchedAlgorithm
    private var isSpent = false

    init(_ algorithm: FetchedAlgorithm) {
        guard let context = EVP_MD_CTX_new() else { preconditionFailure("out of memory for a digest") }
        guard EVP_DigestInit_ex2(context, algorithm.pointer, nil) == 1 else {
            preconditionFailure("OpenSSL begins a digest it has fetched")
        }
        self.context = context
        self.algorithm = algorithm
    }

    deinit { EVP_MD_CTX_free(context) }

    func update(_ bytes: UnsafeRawBufferPointer) {
        precondition(!isSpent, "a digest that is finalized takes no more bytes")
        guard bytes.count > 0 else { return }
        guard EVP_DigestUpdate(context, bytes.baseAddress, bytes.count) == 1 else {
            preconditionFailure("OpenSSL continues a digest it has begun")
        }
    }

    func finalize() -> [UInt8] {
        precondition(!isSpent, "a digest is finalized once")
        isSpent = true
        return [UInt8](unsafeUninitializedCapacity: algorithm.byteCount) { buffer, count in
            guard EVP_DigestFinal_ex(context, buffer.baseAddress, nil) == 1 else {
                preconditionFailure("OpenSSL finishes a digest it has begun")
            }
            count = algorithm.byteCount
        }
    }
}

/// MD5 (RFC 1321): the ETag of an object put in one request, and `Content-MD5`. It guards nothing.
public struct MD5: StreamingDigest, @unchecked Sendable {
    // Unchecked: The context has one owner at a time, as the protocol says.
    private let context = OpenSSLContext(.md5)
    public init() {}
    public mutating func update(_ bytes: UnsafeRawBufferPointer) { context.update(bytes) }
    public mutating func finalize() -> [UInt8] { context.finalize() }
    public static func hash(_ bytes: UnsafeRawBufferPointer) -> [UInt8] { FetchedAlgorithm.md5.hash(bytes) }
    public static func hash(_ bytes: [UInt8]) -> [UInt8] { bytes.withUnsafeBytes { hash($0) } }
}

/// SHA-1 (FIPS 180-4): `x-amz-checksum-sha1`.
public struct SHA1: StreamingDigest, @unchecked Sendable {  // as MD5
    private let context = OpenSSLContext(.sha1)
    public init() {}
    public mutating func update(_ bytes: UnsafeRawBufferPointer) { context.update(bytes) }
    public mutating func finalize() -> [UInt8] { context.finalize() }
    public static func hash(_ bytes: UnsafeRawBufferPointer) -> [UInt8] { FetchedAlgorithm.sha1.hash(bytes) }
    public static func hash(_ bytes: [UInt8]) -> [UInt8] { bytes.withUnsafeBytes { hash($0) } }
}

/// SHA-256 (FIPS 180-4): what a blob is known by, the chain of the log, and `x-amz-checksum-sha256`.
public struct SHA256: StreamingDigest, @unchecked Sendable {  // as MD5
    private let context = OpenSSLContext(.sha256)
    public init() {}
    public mutating func update(_ bytes: UnsafeRawBufferPointer) { context.update(bytes) }
    public mutating func finalize() -> [UInt8] { context.finalize() }
    public static func hash(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        FetchedAlgorithm.sha256.hash(bytes)
    }
    public static func hash(_ bytes: [UInt8]) -> [UInt8] { bytes.withUnsafeBytes { hash($0) } }
    /// The digest of the pieces one after the other.
    public static func hash(of pieces: UnsafeRawBufferPointer...) -> [UInt8] {
        FetchedAlgorithm.sha256.hash(pieces)
    }
}

/// HMAC with SHA-256 (RFC 2104): Signature V4.
public enum HMACSHA256 {
    public static func authenticate(_ message: [UInt8], key: [UInt8]) -> [UInt8] {
        var block = key.count > 64 ? SHA256.hash(key) : key
        block += [UInt8](repeating: 0, count: 64 - block.count)
        let inner = block.map { $0 ^ 0x36 }
        let outer = block.map { $0 ^ 0x5C }
        return inner.withUnsafeBytes { inner in
            message.withUnsafeBytes { message in
                let digest = SHA256.hash(of: inner, message)
                return outer.withUnsafeBytes { outer in
                    digest.withUnsafeBytes { SHA256.hash(of: outer, $0) }
                }
            }
        }
    }
}
