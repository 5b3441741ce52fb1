import Digests
import Foundation
import Model
import SwiftProtobuf

/// What follows a blob's bytes in its file, as the writer knows it.
public struct BlobTrailer: Sendable {
    public let length: UInt64
    /// The CRC32C of each block of ``Limits/blockSize`` bytes, the last one shorter.
    public let blockChecksums: [UInt32]
    public let sha256: [UInt8]
    /// Whose bytes these are; the volume's index is filled in by each volume.
    public let descriptor: EventBlobDescriptor

    public init(length: UInt64, blockChecksums: [UInt32], sha256: [UInt8], descriptor: EventBlobDescriptor) {
        precondition(
            blockChecksums.count == BlobFormat.blockCount(length), "every block of a blob has a checksum")
        self.length = length
        self.blockChecksums = blockChecksums
        self.sha256 = sha256
        self.descriptor = descriptor
    }
}

/// What a replica says of itself, once its trailer is found whole.
public struct BlobInfo: Sendable {
    public let id: BlobID
    public let length: UInt64
    public let sha256: [UInt8]
    public let descriptor: EventBlobDescriptor
    public let blockChecksums: [UInt32]

    package init(
        id: BlobID, length: UInt64, sha256: [UInt8], descriptor: EventBlobDescriptor, blockChecksums: [UInt32]
    ) {
        self.id = id
        self.length = length
        self.sha256 = sha256
        self.descriptor = descriptor
        self.blockChecksums = blockChecksums
    }
}

/// The blob file: data · padding to 4 · block table · descriptor · padding · footer.
/// `Documentation/formats.md` has every byte.
package enum BlobFormat {
    package static let footerByteCount = 128
    static let version: UInt32 = 1
    static let magic: [UInt8] = Array("HFBLOB\0".utf8) + [1]

    package static func blockCount(_ length: UInt64) -> Int {
        Int((length + UInt64(Limits.blockSize) - 1) / UInt64(Limits.blockSize))
    }

    static func tableOffset(_ length: UInt64) -> UInt64 { (length + 3) & ~3 }

    static func fileSize(length: UInt64, descriptorByteCount: Int) -> UInt64 {
        let used =
            tableOffset(length) + UInt64(4 * blockCount(length) + descriptorByteCount + footerByteCount)
        let page = UInt64(FileSystemAlignment.bytes)
        return (used + page - 1) / page * page
    }

    /// Everything after the data, to the end of the file.
    static func encode(_ trailer: BlobTrailer, id: BlobID, volume: Int) throws -> [UInt8] {
        var descriptor = trailer.descriptor
        descriptor.volume = UInt32(volume)
        var options = BinaryEncodingOptions()
        options.useDeterministicOrdering = true
        let encoded: [UInt8] = try descriptor.serializedBytes(options: options)
        let size = fileSize(length: trailer.length, descriptorByteCount: encoded.count)
        let tableOffset = tableOffset(trailer.length)
        var bytes = [UInt8](repeating: 0, count: Int(tableOffset - trailer.length))
        bytes.reserveCapacity(Int(size - trailer.length))
        let table = trailer.blockChecksums.flatMap { littleEndian($0) }
        bytes += table
        bytes += encoded
        bytes += [UInt8](repeating: 0, count: Int(size - trailer.length) - bytes.count - footerByteCount)
        var footer = magic
        footer += littleEndian(version)
        footer += littleEndian(UInt32(Limits.blockSize))
        footer += id.bytes
        footer += littleEndian(trailer.length)
        footer += littleEndian(tableOffset)
        footer += littleEndian(UInt32(trailer.blockChecksums.count))
        footer += littleEndian(UInt32(encoded.count))
        footer += littleEndian(tableOffset + UInt64(table.count))
        footer += littleEndian(CRC32C.checksum(table))
        footer += littleEndian(CRC32C.checksum(encoded))
        footer += trailer.sha256
        footer += littleEndian(size)
        footer += [UInt8](repeating: 0, count: footerByteCount - 4 - footer.count)
        footer += littleEndian(CRC32C.checksum(footer))
        return bytes + footer
    }

    struct Footer {
        let id: BlobID
        let length: UInt64
        let tableOffset: UInt64
        let tableCount: Int
        let descriptorByteCount: Int
        let descriptorOffset: UInt64
        let tableChecksum: UInt32
        let descriptorChecksum: UInt32
        let sha256: [UInt8]
        let fileSize: UInt64

        /// - Throws: ``BlobFlaw/badFooter(_:)``.
        init(_ bytes: UnsafeRawBufferPointer) throws(BlobFlaw) {
            precondition(bytes.count == footerByteCount, "a footer has \(footerByteCount) bytes")
            guard bytes.prefix(8).elementsEqual(magic) else {
                throw .badFooter("it does not begin with HFBLOB")
            }
            let checksum = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[0..<124]))
            guard checksum == load(bytes, 124) as UInt32 else { throw .badFooter("its checksum is wrong") }
            let version: UInt32 = load(bytes, 8)
            guard version == BlobFormat.version else {
                throw .badFooter("format \(version); this Holdfast knows format \(BlobFormat.version)")
            }
            guard load(bytes, 12) as UInt32 == UInt32(Limits.blockSize),
                let id = BlobID(bytes: bytes[16..<32])
            else { throw .badFooter("blocks of \(load(bytes, 12) as UInt32) bytes") }
            self.id = id
            length = load(bytes, 32)
            tableOffset = load(bytes, 40)
            tableCount = Int(load(bytes, 48) as UInt32)
            descriptorByteCount = Int(load(bytes, 52) as UInt32)
            descriptorOffset = load(bytes, 56)
            tableChecksum = load(bytes, 64)
            descriptorChecksum = load(bytes, 68)
            sha256 = Array(bytes[72..<104])
            fileSize = load(bytes, 104)
            // More than a file holds, and little enough that no sum below passes what an integer holds.
            guard length < 1 << 60 else { throw .badFooter("a length of \(length) bytes") }
            guard tableOffset == BlobFormat.tableOffset(length), tableCount == blockCount(length),
                descriptorOffset == tableOffset + UInt64(4 * tableCount),
                fileSize == BlobFormat.fileSize(length: length, descriptorByteCount: descriptorByteCount)
            else { throw .badFooter("its offsets contradict each other") }
        }
    }

    /// Reads and checks a replica's trailer.
    /// - Parameters:
    ///   - id: the blob that it must be of; `nil` takes any.
    ///   - length: what the log says, if the caller knows: tells a truncated file from a damaged one.
    package static func readTrailer(_ file: any File, id: BlobID?, length: UInt64?) throws(BlobFlaw)
        -> BlobInfo
    {
        let size = try unreadable { () throws(FileSystemError) in try file.size() }
        let footer = try findFooter(file, size: size, length: length)
        if let id, footer.id != id {
            throw .wrongIdentity(expected: "blob \(id)", found: "blob \(footer.id)")
        }
        if size > footer.fileSize { throw .extended(expected: footer.fileSize, found: size) }
        guard size == footer.fileSize else { throw .truncated(expected: footer.fileSize, found: size) }
        let wanted = 4 * footer.tableCount + footer.descriptorByteCount
        let bytes = try read(file, wanted, at: footer.tableOffset)
        guard bytes.count == wanted else { throw .truncated(expected: footer.fileSize, found: size) }
        return try bytes.withUnsafeBytes { bytes in
            Result { () throws(BlobFlaw) in try decode(bytes, footer) }
        }.get()
    }

    private static func decode(_ bytes: UnsafeRawBufferPointer, _ footer: Footer) throws(BlobFlaw) -> BlobInfo
    {
        let table = UnsafeRawBufferPointer(rebasing: bytes[0..<4 * footer.tableCount])
        guard CRC32C.checksum(table) == footer.tableChecksum else { throw .badTable }
        let encoded = UnsafeRawBufferPointer(rebasing: bytes[(4 * footer.tableCount)...])
        guard CRC32C.checksum(encoded) == footer.descriptorChecksum else {
            throw .badDescriptor("its checksum is wrong")
        }
        let descriptor: EventBlobDescriptor
        do { descriptor = try EventBlobDescriptor(serializedBytes: Array(encoded)) } catch {
            throw .badDescriptor("\(error)")
        }
        guard descriptor.blobID == Data(footer.id.bytes), descriptor.length == footer.length,
            descriptor.sha256 == Data(footer.sha256)
        else { throw .badDescriptor("it contradicts the footer") }
        let checksums = (0..<footer.tableCount).map { load(table, 4 * $0) as UInt32 }
        return BlobInfo(
            id: footer.id, length: footer.length, sha256: footer.sha256, descriptor: descriptor,
            blockChecksums: checksums)
    }

    /// The footer stands at the end; where it does not, it is looked for where a file that something was
    /// appended to has it.
    private static func findFooter(
        _ file: any File, size: UInt64, length: UInt64?
    ) throws(BlobFlaw) -> Footer {
        let page = UInt64(FileSystemAlignment.bytes)
        let smallest = fileSize(length: length ?? 0, descriptorByteCount: 0)
        guard size >= UInt64(footerByteCount) else { throw .truncated(expected: smallest, found: size) }
        do { return try readFooter(file, endingAt: size) } catch {
            // One that is whole, and shorter, is another blob's: its footer says whose.
            guard size >= smallest else { throw .truncated(expected: smallest, found: size) }
            guard length != nil else { throw error }
            for end in stride(from: smallest, through: min(size, smallest + 16 * page), by: Int(page)) {
                if let footer = try? readFooter(file, endingAt: end), footer.fileSize == end { return footer }
            }
            // A whole file ends with a page: this one was cut within its last one.
            guard size % page == 0 else {
                throw .truncated(expected: (size + page - 1) / page * page, found: size)
            }
            throw error
        }
    }

    private static func readFooter(_ file: any File, endingAt end: UInt64) throws(BlobFlaw) -> Footer {
        let bytes = try read(file, footerByteCount, at: end - UInt64(footerByteCount))
        guard bytes.count == footerByteCount else {
            throw .truncated(expected: end, found: end - UInt64(footerByteCount))
        }
        return try bytes.withUnsafeBytes { bytes in Result { () throws(BlobFlaw) in try Footer(bytes) } }
            .get()
    }

    private static func read(_ file: any File, _ count: Int, at offset: UInt64) throws(BlobFlaw) -> [UInt8] {
        try unreadable { () throws(FileSystemError) in try file.bytes(count, at: offset) }
    }

    static func unreadable<Value>(
        _ body: () throws(FileSystemError) -> Value
    ) throws(BlobFlaw) -> Value {
        do { return try body() } catch { throw .unreadable(error) }
    }
}

func littleEndian(_ value: some FixedWidthInteger) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
}

private func load<Value: FixedWidthInteger>(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> Value {
    Value(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: Value.self))
}
