/// A digest computed over bytes that come in pieces; every way of cutting the bytes gives the same digest.
public protocol StreamingDigest: Sendable {
    mutating func update(_ bytes: UnsafeRawBufferPointer)
    /// The digest's bytes, most significant first: the form that S3's base64 headers carry. Called once; then
    /// the digest is spent.
    mutating func finalize() -> [UInt8]
}

extension StreamingDigest {
    public mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { update($0) } }
}

/// Whether two byte strings are equal, in a time that does not depend on where they differ.
public func constantTimeEqual(_ left: [UInt8], _ right: [UInt8]) -> Bool {
    guard left.count == right.count else { return false }
    var difference: UInt8 = 0
    for index in left.indices { difference |= left[index] ^ right[index] }
    return difference == 0
}
