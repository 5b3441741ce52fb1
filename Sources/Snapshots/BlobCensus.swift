import Catalog
import Foundation
import Model
import Volumes

/// The blobs that snapshots need, each once, in the order of their ids, in a scratch file: a repository may have more of
/// them than fit into memory. The file has no name, so that none outlives its process. A catalog gives its blobs in that order, and is merged with what is there already.
package final class BlobCensus {
    /// A blob, as the log has it.
    package struct Row: Equatable {
        package let id: BlobID
        package let length: UInt64
        package let sha256: [UInt8]

        package init(id: BlobID, length: UInt64, sha256: [UInt8]) {
            (self.id, self.length, self.sha256) = (id, length, sha256)
        }
    }

    /// Id, length in big-endian bytes, SHA-256.
    package static let rowByteCount = 16 + 8 + 32
    /// So many are in memory for each file that is read or written.
    package static let pageCount = 4096

    private let scratch: String
    private let fileSystem = RealFileSystem()
    private var file: (any File)?
    package private(set) var count = 0

    /// - Parameter scratch: a directory of a real file system.
    package init(scratch: String) { self.scratch = scratch }

    /// Adds the blobs that a catalog's versions and parts need.
    /// - Parameter pace: told of each page, with no bytes; may keep it waiting, or end it by throwing.
    func add(_ catalog: SnapshotCatalog, pace: (Int) throws -> Void) throws {
        var page: ArraySlice<Row> = []
        var after: BlobID?
        var isAtEnd = false
        try merge {
            while page.isEmpty, !isAtEnd {
                try pace(0)
                let rows = try catalog.catalog.read { try $0.blobs(after: after, limit: Self.pageCount) }
                after = rows.last?.id
                isAtEnd = rows.count < Self.pageCount
                page =
                    rows.filter { $0.uses > 0 }.map {
                        Row(id: $0.id, length: $0.length, sha256: $0.sha256)
                    }[...]
            }
            return page.popFirst()
        }
    }

    /// - Parameter next: gives rows in the order of their ids, and `nil` at the end. Of a blob that is there already,
    ///   the new row is kept.
    package func merge(_ next: () throws -> Row?) throws {
        let target = try makeFile()
        let known = Reader(file, from: 0)
        var writer = Writer(target)
        var left = try known.next()
        var right = try next()
        while left != nil || right != nil {
            if let old = left, right.map({ old.id <= $0.id }) ?? true {
                if old.id != right?.id { try writer.append(old) }
                left = try known.next()
            } else if let new = right {
                try writer.append(new)
                right = try next()
            }
        }
        count = try writer.finish()
        file = target
    }

    /// It is gone with the last who has it open, also when this process is killed.
    private func makeFile() throws -> any File {
        let path = "\(scratch)/blobs-\(OperationID.random())"
        let file = try fileSystem.open(path, [.write, .createNew], permissions: 0o600)
        try fileSystem.remove(path)
        return file
    }

    /// Calls `body` with each, in order, from one on to the last and then from the first, and with how many came before it.
    package func forEach(from start: Int = 0, _ body: (Int, Row) throws -> Void) throws {
        var place = 0
        for part in [start..<count, 0..<start] {
            let reader = Reader(file, from: part.lowerBound)
            for _ in part {
                guard let row = try reader.next() else { break }
                try body(place, row)
                place += 1
            }
        }
    }

    /// How many have ids up to one.
    package func countThrough(_ id: BlobID) throws -> Int {
        var low = 0
        var high = count
        let reader = Reader(file, from: 0)
        while low < high {
            let middle = (low + high) / 2
            guard let row = try reader.row(middle) else { return low }
            if row.id <= id { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Reads on from the beginning, in order.
    func reader() -> Reader { Reader(file, from: 0) }

    // MARK: The file

    /// Rows of the file, in order. Another may take its place meanwhile.
    final class Reader {
        private let file: (any File)?
        private var offset: UInt64
        private var page: ArraySlice<Row> = []

        fileprivate init(_ file: (any File)?, from index: Int) {
            self.file = file
            offset = UInt64(index * rowByteCount)
        }

        func next() throws -> Row? {
            if page.isEmpty, let file {
                let bytes = try file.bytes(pageCount * rowByteCount, at: offset)
                offset += UInt64(bytes.count)
                page =
                    stride(from: 0, to: bytes.count, by: rowByteCount).compactMap {
                        BlobCensus.row(bytes, $0)
                    }[...]
            }
            return page.popFirst()
        }

        fileprivate func row(_ index: Int) throws -> Row? {
            guard let bytes = try file?.bytes(rowByteCount, at: UInt64(index * rowByteCount)) else {
                return nil
            }
            return BlobCensus.row(bytes, 0)
        }
    }

    private static func row(_ bytes: [UInt8], _ start: Int) -> Row? {
        guard start + rowByteCount <= bytes.count, let id = BlobID(bytes: bytes[start..<start + 16]) else {
            return nil
        }
        let length = bytes[(start + 16)..<(start + 24)].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return Row(id: id, length: length, sha256: Array(bytes[(start + 24)..<(start + rowByteCount)]))
    }

    private struct Writer {
        private let file: any File
        private var offset: UInt64 = 0
        private var bytes: [UInt8] = []
        private var count = 0

        init(_ file: any File) { self.file = file }

        mutating func append(_ row: Row) throws {
            precondition(row.sha256.count == 32, "a SHA-256 has 32 bytes")
            bytes += row.id.bytes
            for shift in stride(from: 56, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: row.length >> UInt64(shift)))
            }
            bytes += row.sha256
            count += 1
            if bytes.count >= pageCount * rowByteCount { try flush() }
        }

        private mutating func flush() throws {
            try file.write(bytes, at: offset)
            offset += UInt64(bytes.count)
            bytes.removeAll(keepingCapacity: true)
        }

        /// Not synced: a scratch file is read back by who wrote it.
        mutating func finish() throws -> Int {
            try flush()
            return count
        }
    }
}
