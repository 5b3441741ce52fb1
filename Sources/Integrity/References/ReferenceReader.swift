import Catalog
import Foundation
import Model

/// What is wrong with a file of references, by the line where it is.
public struct ReferenceFlaw: Error, CustomStringConvertible {
    public let line: Int
    public let reason: String

    public var description: String { "line \(line): \(reason)" }
}

/// Reads an application's records, row by row, from CSV or JSON lines.
///
/// CSV begins with a row of column names: `key`, and any of `bucket`, `version`, `size`, `hash`, `owner`; other columns
/// are passed over. JSON lines are one object a line with members of those names. Which of the two it is, the first
/// character tells: `{` begins JSON.
///
/// Source: RFC 4180 for CSV, with line ends of LF as well as CRLF.
public final class ReferenceReader {
    /// Bytes of one row at most.
    static let rowLimit = 64 * 1024
    private static let chunkCount = 1024 * 1024

    private enum Form {
        case csv(columns: [String])
        case jsonLines
    }

    private let read: (Int) throws -> [UInt8]
    private let defaultBucket: String
    private var form: Form?
    private var buffer: [UInt8] = []
    private var position = 0
    private var isAtEnd = false
    /// The line that is read next, counted from 1.
    private var line = 1

    /// - Parameters:
    ///   - defaultBucket: the bucket of rows that name none; empty if each must.
    ///   - read: gives at most so many bytes, none at the end.
    public init(defaultBucket: String, read: @escaping (Int) throws -> [UInt8]) {
        self.defaultBucket = defaultBucket
        self.read = read
    }

    /// - Returns: `nil` at the end.
    /// - Throws: ``ReferenceFlaw``.
    public func next() throws -> ReferenceRow? {
        if form == nil { try begin() }
        while true {
            let start = line
            switch form {
            case .csv(let columns):
                guard let fields = try record() else { return nil }
                if fields == [""] { continue }  // an empty line
                guard fields.count == columns.count else {
                    throw ReferenceFlaw(
                        line: start,
                        reason: "has \(fields.count) columns, where the first row names \(columns.count)")
                }
                let named = Dictionary(zip(columns, fields)) { first, _ in first }
                return try row(named.filter { !$0.value.isEmpty }, line: start)
            case .jsonLines:
                guard let text = try textLine() else { return nil }
                if text.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0D }) { continue }
                return try row(try Self.object(text, line: start), line: start)
            case nil: return nil
            }
        }
    }

    private func begin() throws {
        if try peek() == 0xEF { for _ in 0..<3 { _ = try byte() } }  // a byte order mark
        while let byte = try peek(), byte == 0x20 || byte == 0x0A || byte == 0x0D {
            position += 1
            if byte == 0x0A { line += 1 }
        }
        guard let first = try peek() else { return }
        guard first != UInt8(ascii: "{") else {
            form = .jsonLines
            return
        }
        let names = try record() ?? []
        let columns = names.map { $0.trimmingCharacters(in: .whitespaces).lowercased() }
        guard columns.contains("key") else {
            throw ReferenceFlaw(
                line: 1,
                reason:
                    "the first row names the columns, and 'key' is none of: \(names.joined(separator: ", "))")
        }
        form = .csv(columns: columns)
    }

    private func row(_ fields: [String: String], line: Int) throws -> ReferenceRow {
        func flaw(_ reason: String) -> ReferenceFlaw { ReferenceFlaw(line: line, reason: reason) }
        guard let key = fields["key"] else { throw flaw("has no key") }
        let bucket = fields["bucket"] ?? defaultBucket
        guard !bucket.isEmpty else { throw flaw("has no bucket, and --bucket names none") }
        var row = ReferenceRow(bucket: bucket, key: key, line: line)
        if let version = fields["version"] {
            guard let selector = VersionSelector(wire: version.lowercased()) else {
                throw flaw("'\(version)' is no version's id")
            }
            row.version = if case .id(let id) = selector { id.description } else { "null" }
        }
        if let size = fields["size"] {
            guard let number = UInt64(size) else { throw flaw("'\(size)' is no number of bytes") }
            row.size = number
        }
        row.hash = fields["hash"].map { $0.trimmingCharacters(in: ["\"", " "]).lowercased() }
        row.owner = fields["owner"]
        return row
    }

    private static func object(_ text: [UInt8], line: Int) throws -> [String: String] {
        let members: [String: Any]
        do {
            members = try JSONSerialization.jsonObject(with: Data(text)) as? [String: Any] ?? [:]
        } catch {
            throw ReferenceFlaw(line: line, reason: "is no JSON object")
        }
        var fields: [String: String] = [:]
        for (name, value) in members {
            switch value {
            case let text as String: fields[name] = text
            case let number as NSNumber: fields[name] = number.stringValue
            default: break
            }
        }
        return fields
    }

    // MARK: Bytes

    private func peek() throws -> UInt8? {
        if position == buffer.count, !isAtEnd {
            buffer = try read(Self.chunkCount)
            position = 0
            isAtEnd = buffer.isEmpty
        }
        return position < buffer.count ? buffer[position] : nil
    }

    private func byte() throws -> UInt8? {
        guard let byte = try peek() else { return nil }
        position += 1
        return byte
    }

    /// Up to the end of the line, which is not part of it.
    private func textLine() throws -> [UInt8]? {
        guard try peek() != nil else { return nil }
        var bytes: [UInt8] = []
        let start = line
        while let byte = try byte() {
            if byte == 0x0A { break }
            bytes.append(byte)
            guard bytes.count <= Self.rowLimit else { throw Self.tooLong(start) }
        }
        line += 1
        return bytes
    }

    /// A row of CSV; a field in quotes may hold commas, line ends and doubled quotes.
    private func record() throws -> [String]? {
        guard try peek() != nil else { return nil }
        let start = line
        var fields: [String] = []
        var field: [UInt8] = []
        var isQuoted = false
        var count = 0
        func end() throws {
            guard let text = String(validating: field, as: UTF8.self) else {
                throw ReferenceFlaw(line: start, reason: "is not UTF-8")
            }
            fields.append(text)
            field.removeAll(keepingCapacity: true)
        }
        while let byte = try byte() {
            count += 1
            guard count <= Self.rowLimit else { throw Self.tooLong(start) }
            if byte == 0x0A { line += 1 }
            switch byte {
            case UInt8(ascii: "\"") where isQuoted:
                if try peek() == UInt8(ascii: "\"") {
                    position += 1
                    field.append(byte)
                } else {
                    isQuoted = false
                }
            case UInt8(ascii: "\"") where field.isEmpty: isQuoted = true
            case UInt8(ascii: ",") where !isQuoted: try end()
            case 0x0A where !isQuoted:
                if field.last == 0x0D { field.removeLast() }
                try end()
                return fields
            default: field.append(byte)
            }
        }
        guard !isQuoted else { throw ReferenceFlaw(line: start, reason: "begins a quote that does not end") }
        line += 1
        try end()
        return fields
    }

    private static func tooLong(_ line: Int) -> ReferenceFlaw {
        ReferenceFlaw(line: line, reason: "is longer than \(rowLimit) bytes")
    }
}
