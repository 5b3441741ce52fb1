import Digests
import EventLog
import Model
import TestSupport
import Volumes

/// What stands on the volumes. A disk that lies does not know the checksums, but a person who edits a file does: the
/// first byte of an input says whether they are made right before it is read, so that what they protect is reached.
enum StorageEntries {
    private static func isMended(_ input: [UInt8]) -> Bool { input.first.map { $0 & 1 == 1 } ?? false }

    // MARK: The log

    /// One frame. The second bit says whether it has to follow another.
    static func frame(_ input: [UInt8]) throws {
        var bytes = Array(input.dropFirst())
        if isMended(input) { mendFrame(&bytes, at: 0) }
        let follows = input.first.map { $0 & 2 == 2 } ?? false
        let previous = follows ? LogPosition.start : nil
        try bytes.withUnsafeBytes { bytes in
            let frame = try Frame.decode(bytes, after: previous)
            try require(frame.byteCount <= bytes.count, "a frame ends where its bytes do")
            let dropped = Frame.dropPayload(of: bytes, frame)
            try dropped.withUnsafeBytes { dropped in
                let again = try Frame.decode(dropped, after: previous)
                try require(
                    again.chain == frame.chain && again.isPayloadDropped && again.byteCount == dropped.count,
                    "the same event without its payload")
            }
            let event = try frame.event(bytes)
            try require(event.sequence == frame.sequence, "an event has its frame's number")
        }
    }

    private static func mendFrame(_ bytes: inout [UInt8], at start: Int) {
        guard bytes.count >= start + Frame.headerByteCount else { return }
        let bodyCount = Int(bytes.number(at: start + 32))
        let payloadCount = bytes[start + 6] & 1 == 1 ? 0 : Int(bytes.number(at: start + 36))
        let body = start + Frame.headerByteCount
        if bodyCount <= bytes.count - body {
            bytes.set(CRC32C.checksum(Array(bytes[body..<body + bodyCount])), at: start + 44)
            let payload = body + bodyCount
            if payloadCount > 0, payloadCount <= bytes.count - payload {
                bytes.set(CRC32C.checksum(Array(bytes[payload..<payload + payloadCount])), at: start + 40)
            }
        }
        bytes.set(CRC32C.checksum(Array(bytes[start..<start + 84])), at: start + 84)
    }

    private static let headCount = 76

    /// A segment: what its header says, then everything behind that page.
    static func segment(_ input: [UInt8]) throws {
        var bytes = Array(input.dropFirst().prefix(headCount))
        let rest = input.dropFirst(1 + headCount)
        if !rest.isEmpty {
            bytes += [UInt8](repeating: 0, count: Segment.headerByteCount - bytes.count) + rest
        }
        if isMended(input) { mendSegment(&bytes) }
        let disk = SimulatedFileSystem()
        let path = "/log/" + Segment.name(SequenceNumber(1))
        try disk.place(bytes, at: path)
        let segment = try SegmentFile.open(path, fileSystem: disk)
        guard segment.seal != nil else { return }
        for index in segment.offsets.indices {
            let range = segment.range(of: index)
            try require(range.upperBound <= UInt64(bytes.count), "a frame stands in its file")
            do { try frame([0] + bytes[Int(range.lowerBound)..<Int(range.upperBound)]) } catch is FrameFlaw {}
        }
    }

    private static func mendSegment(_ bytes: inout [UInt8]) {
        guard bytes.count >= headCount else { return }
        bytes.set(CRC32C.checksum(Array(bytes[0..<72])), at: 72)
        let footer = bytes.count - Segment.footerByteCount
        guard footer >= Segment.headerByteCount else { return }
        let table = Int(bytes.number(at: footer + 8))
        if table <= footer {
            bytes.set(CRC32C.checksum(Array(bytes[table..<footer])), at: footer + 32)
            // A file of a few frames, and of not more than the table has.
            for entry in stride(from: table, to: footer - 3, by: 4) {
                let start = Int(bytes.number(at: entry)) * 8
                if start >= Segment.headerByteCount, start + Frame.headerByteCount <= table {
                    mendFrame(&bytes, at: start)
                }
            }
        }
        bytes.set(CRC32C.checksum(Array(bytes[footer..<footer + 60])), at: footer + 60)
    }

    // MARK: Blobs

    private static let blobID = BlobID(high: 0x3F3F_3F3F_3F3F_3F3F, low: 0x3F3F_3F3F_3F3F_3F3F)

    /// A blob file: its footer, then what stands before that. The second bit says whether the length is known.
    static func blob(_ input: [UInt8]) throws {
        guard input.count > BlobFormat.footerByteCount else { return }
        let footer = Array(input[1...BlobFormat.footerByteCount])
        var bytes = Array(input[(BlobFormat.footerByteCount + 1)...])
        let page = FileSystemAlignment.bytes
        let size = (bytes.count + footer.count + page - 1) / page * page
        bytes += [UInt8](repeating: 0, count: size - footer.count - bytes.count) + footer
        if isMended(input) { mendBlob(&bytes) }
        let disk = SimulatedFileSystem()
        try disk.place(bytes, at: "/blob")
        let file = try disk.open("/blob", [], permissions: 0)
        defer { file.close() }
        let isKnown = input[0] & 2 == 2
        let info = try BlobFormat.readTrailer(file, id: blobID, length: isKnown ? 5 : nil)
        try require(info.id == blobID && info.length <= UInt64(bytes.count), "a blob is in its file")
        try require(
            info.blockChecksums.count == BlobFormat.blockCount(info.length), "a checksum for each block")
    }

    private static func mendBlob(_ bytes: inout [UInt8]) {
        let footer = bytes.count - BlobFormat.footerByteCount
        let table = Int(bytes.number(at: footer + 40))
        let descriptor = table + 4 * Int(bytes.number(at: footer + 48))
        let end = descriptor + Int(bytes.number(at: footer + 52))
        if table <= descriptor, end <= footer {
            bytes.set(CRC32C.checksum(Array(bytes[table..<descriptor])), at: footer + 64)
            bytes.set(CRC32C.checksum(Array(bytes[descriptor..<end])), at: footer + 68)
        }
        bytes.set(CRC32C.checksum(Array(bytes[footer..<footer + 124])), at: footer + 124)
    }
}

extension [UInt8] {
    fileprivate func number(at offset: Int) -> UInt32 {
        withUnsafeBytes { UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self)) }
    }

    fileprivate mutating func set(_ value: UInt32, at offset: Int) {
        for byte in 0..<4 { self[offset + byte] = UInt8(truncatingIfNeeded: value >> (8 * UInt32(byte))) }
    }
}
