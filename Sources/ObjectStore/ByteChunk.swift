/// A run of bytes that somebody else's memory holds: what a transport hands to the store without a copy.
public protocol ByteChunk: Sendable {
    var count: Int { get }
    func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result
}

extension [UInt8]: ByteChunk {}
extension ArraySlice<UInt8>: ByteChunk {}
