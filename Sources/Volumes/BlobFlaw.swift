import Model

/// What is wrong with a replica of a blob.
public enum BlobFlaw: Error, Sendable, Equatable {
    case missing
    /// The file ends before its trailer could.
    case truncated(expected: UInt64, found: UInt64)
    /// Bytes follow the trailer.
    case extended(expected: UInt64, found: UInt64)
    case badFooter(String)
    case badTable
    case badDescriptor(String)
    /// A whole replica, of another blob or another store.
    case wrongIdentity(expected: String, found: String)
    /// A whole replica of the right blob that was written to another volume.
    case otherVolume(expected: Int, found: Int)
    /// A whole replica of the right id that is not what the log says it is.
    case wrongContent(String)
    case corruptBlock(index: Int, expected: UInt32, found: UInt32)
    /// Every block is as the table says, and the whole is not as the trailer says.
    case wrongSHA256
    case unreadable(FileSystemError)
}

extension BlobFlaw: CustomStringConvertible {
    public var description: String {
        switch self {
        case .missing: "the file is missing"
        case .truncated(let expected, let found):
            "the file has \(found) bytes, where at least \(expected) are needed"
        case .extended(let expected, let found):
            "the file has \(found) bytes, where its trailer ends at \(expected)"
        case .badFooter(let reason): "the footer is damaged: \(reason)"
        case .badTable: "the block table does not match its checksum"
        case .badDescriptor(let reason): "the descriptor is damaged: \(reason)"
        case .wrongIdentity(let expected, let found): "the file is a replica of \(found), not of \(expected)"
        case .otherVolume(let expected, let found):
            "the replica was written to volume \(found), not to volume \(expected)"
        case .wrongContent(let reason): "the replica is not what the log says: \(reason)"
        case .corruptBlock(let index, let expected, let found):
            "block \(index) has CRC32C \(hexadecimal(found)), where the table says \(hexadecimal(expected))"
        case .wrongSHA256: "the SHA-256 of the bytes is not the trailer's"
        case .unreadable(let error): "\(error)"
        }
    }

    private func hexadecimal(_ value: UInt32) -> String {
        withUnsafeBytes(of: value.bigEndian) { Array($0) }.hexadecimal
    }
}
