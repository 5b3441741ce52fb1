import Digests
import Foundation
import Model
import Volumes

/// A segment file: a header of one page, frames, and, once sealed, a table of their offsets and a footer.
/// `Documentation/formats.md` has every byte.
package enum Segment {
    package static let headerByteCount = 4096
    package static let footerByteCount = 64
    package static let version: UInt32 = 1
    static let magic: [UInt8] = Array("HFSEG\0\0".utf8) + [1]
    static let sealMagic: [UInt8] = Array("HFSEGEND".utf8)
    /// A segment being made ready: no part of the log until it is renamed.
    static let nextName = "next"

    package static func name(_ first: SequenceNumber) -> String {
        let digits = String(first.rawValue)
        return String(repeating: "0", count: 20 - digits.count) + digits + ".log"
    }

    package static func first(of name: String) -> SequenceNumber? {
        guard name.utf8.count == 24, name.hasSuffix(".log"), let number = UInt64(name.prefix(20)), number > 0
        else { return nil }
        return SequenceNumber(number)
    }

    /// The format that a segment says it has, whether or not it is known.
    /// - Throws: ``SegmentFlaw`` if it is no segment.
    package static func format(_ header: [UInt8]) throws(SegmentFlaw) -> Int {
        do throws(SegmentFlaw) {
            _ = try Header(header)
            return Int(version)
        } catch {
            guard case .unknownFormat(let format) = error else { throw error }
            return Int(format)
        }
    }

    package struct Header: Equatable {
        package let storeID: StoreID
        package let first: SequenceNumber
        /// The chain hash of the event before the first.
        package let chain: ChainHash

        package func encoded() -> [UInt8] {
            var bytes = [UInt8](repeating: 0, count: Segment.headerByteCount)
            bytes.replaceSubrange(0..<8, with: Segment.magic)
            bytes.store(Segment.version, at: 8)
            bytes.replaceSubrange(16..<32, with: storeID.bytes)
            bytes.store(first.rawValue, at: 32)
            bytes.replaceSubrange(40..<72, with: chain.bytes)
            bytes.store(CRC32C.checksum(bytes.bytes(0..<72)), at: 72)
            return bytes
        }

        package init(storeID: StoreID, first: SequenceNumber, chain: ChainHash) {
            self.storeID = storeID
            self.first = first
            self.chain = chain
        }

        package init(_ bytes: [UInt8]) throws(SegmentFlaw) {
            guard bytes.count >= 76, bytes.starts(with: Segment.magic) else {
                throw .badHeader("it does not begin with HFSEG")
            }
            let (version, checksum): (UInt32, UInt32) = bytes.withUnsafeBytes { (load($0, 8), load($0, 72)) }
            guard checksum == CRC32C.checksum(bytes.bytes(0..<72)) else {
                throw .badHeader("its checksum is wrong")
            }
            guard version == Segment.version else {
                throw .unknownFormat(version)
            }
            guard let storeID = StoreID(bytes: bytes[16..<32]) else { throw .badHeader("it names no store") }
            self.storeID = storeID
            first = SequenceNumber(bytes.withUnsafeBytes { load($0, 32) })
            chain = ChainHash(bytes.bytes(40..<72))
        }
    }

    /// What ends a sealed segment.
    package struct Seal: Equatable {
        package let first: SequenceNumber
        package let count: Int
        /// Where the frames end and the table begins.
        package let tableOffset: UInt64
        let tableChecksum: UInt32

        /// Of the seal of so many events.
        static func byteCount(of events: Int) -> Int { events * 4 + footerByteCount }

        /// The table and the footer.
        package static func encode(first: SequenceNumber, offsets: [UInt32], end: UInt64) -> [UInt8] {
            var bytes = [UInt8](repeating: 0, count: offsets.count * 4)
            for (index, offset) in offsets.enumerated() { bytes.store(offset, at: index * 4) }
            let checksum = CRC32C.checksum(bytes)
            var footer = [UInt8](repeating: 0, count: footerByteCount)
            footer.replaceSubrange(0..<8, with: sealMagic)
            footer.store(end, at: 8)
            footer.store(first.rawValue, at: 16)
            footer.store(UInt64(offsets.count), at: 24)
            footer.store(checksum, at: 32)
            footer.store(CRC32C.checksum(footer.bytes(0..<60)), at: 60)
            return bytes + footer
        }

        package init(_ bytes: [UInt8], fileSize: UInt64) throws(SegmentFlaw) {
            guard bytes.count == footerByteCount, bytes.starts(with: sealMagic) else { throw .notSealed }
            let checksum: UInt32 = bytes.withUnsafeBytes { load($0, 60) }
            guard checksum == CRC32C.checksum(bytes.bytes(0..<60)) else {
                throw .badFooter("its checksum is wrong")
            }
            tableOffset = bytes.withUnsafeBytes { load($0, 8) }
            first = SequenceNumber(bytes.withUnsafeBytes { load($0, 16) })
            let entries: UInt64 = bytes.withUnsafeBytes { load($0, 24) }
            tableChecksum = bytes.withUnsafeBytes { load($0, 32) }
            // Compared one by one first, so that no sum passes what an integer holds.
            guard entries <= fileSize / 4, tableOffset <= fileSize,
                tableOffset + entries * 4 + UInt64(footerByteCount) == fileSize
            else {
                throw .badFooter("the file has \(fileSize) bytes, which is not where the footer ends")
            }
            count = Int(entries)
        }
    }
}

/// What is wrong with a segment as a whole.
package enum SegmentFlaw: Error, Hashable, Sendable, CustomStringConvertible {
    case missing
    case badHeader(String)
    case unknownFormat(UInt32)
    case notSealed
    case badFooter(String)
    case badTable
    case unreadable(FileSystemError)

    package var description: String {
        switch self {
        case .missing: "the segment is missing"
        case .badHeader(let reason): "the segment's header is damaged: \(reason)"
        case .unknownFormat(let format):
            "the segment has format \(format); this Holdfast knows format \(Segment.version)"
        case .notSealed: "the segment does not end with a footer"
        case .badFooter(let reason): "the segment's footer is damaged: \(reason)"
        case .badTable: "the segment's table does not match its checksum"
        case .unreadable(let error): "\(error)"
        }
    }
}

/// An open segment file of one mirror.
package final class SegmentFile: Sendable {
    let file: any File
    package let header: Segment.Header
    /// `nil` for the active segment.
    package let seal: Segment.Seal?
    /// Where each frame begins, in units of eight bytes, for a sealed segment.
    package let offsets: [UInt32]

    init(file: any File, header: Segment.Header, seal: Segment.Seal?, offsets: [UInt32]) {
        self.file = file
        self.header = header
        self.seal = seal
        self.offsets = offsets
    }

    /// Opens a sealed segment, or an active one, and checks header, footer and table.
    package static func open(
        _ path: String, fileSystem: any FileSystem, options: OpenOptions = []
    ) throws(SegmentFlaw) -> SegmentFile {
        let file: any File
        do { file = try fileSystem.open(path, options, permissions: 0) } catch {
            throw error.code == ENOENT ? .missing : .unreadable(error)
        }
        let (head, size) = try readable { () throws(FileSystemError) in
            (try file.bytes(Segment.headerByteCount, at: 0), try file.size())
        }
        let header = try Segment.Header(head)
        guard size >= UInt64(Segment.headerByteCount + Segment.footerByteCount) else {
            return SegmentFile(file: file, header: header, seal: nil, offsets: [])
        }
        let foot = try readable { () throws(FileSystemError) in
            try file.bytes(Segment.footerByteCount, at: size - UInt64(Segment.footerByteCount))
        }
        let seal: Segment.Seal
        do { seal = try Segment.Seal(foot, fileSize: size) } catch {
            if case .notSealed = error {
                return SegmentFile(file: file, header: header, seal: nil, offsets: [])
            }
            throw error
        }
        let table = try readable { () throws(FileSystemError) in
            try file.bytes(seal.count * 4, at: seal.tableOffset)
        }
        guard table.count == seal.count * 4, CRC32C.checksum(table) == seal.tableChecksum else {
            throw .badTable
        }
        let offsets = table.withUnsafeBytes { bytes in (0..<seal.count).map { load(bytes, $0 * 4) as UInt32 }
        }
        guard rises(offsets, to: seal.tableOffset) else { throw .badTable }
        return SegmentFile(file: file, header: header, seal: seal, offsets: offsets)
    }

    /// Whether each frame ends behind its beginning, and the last one where the table begins.
    private static func rises(_ offsets: [UInt32], to end: UInt64) -> Bool {
        guard let last = offsets.last else { return true }
        return UInt64(last) * 8 <= end && zip(offsets, offsets.dropFirst()).allSatisfy { $0 < $1 }
    }

    private static func readable<Value>(
        _ body: () throws(FileSystemError) -> Value
    ) throws(SegmentFlaw) -> Value {
        do { return try body() } catch { throw .unreadable(error) }
    }

    /// The bytes of a sealed segment that frame `index` takes.
    package func range(of index: Int) -> Range<UInt64> {
        guard let seal else { preconditionFailure("an active segment has no table") }
        let start = UInt64(offsets[index]) * 8
        let end = index + 1 < offsets.count ? UInt64(offsets[index + 1]) * 8 : seal.tableOffset
        return start..<end
    }
}
