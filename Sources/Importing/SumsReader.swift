import Foundation

/// A digest that a file must have.
public struct ExpectedSum: Sendable, Equatable {
    /// Relative to the folder that is imported.
    public let name: String
    /// 32 digits of an MD5 or 64 of a SHA-256, lower case.
    public let digest: String
    /// Where it stands, counted from 1.
    public let line: Int

    package init(name: String, digest: String, line: Int) {
        self.name = name
        self.digest = digest
        self.line = line
    }
}

/// Reads what `md5sum` and `sha256sum` write, with `--tag` or without.
///
/// Source: GNU coreutils manual, "md5sum invocation": a line is the digest, a blank, a blank or `*`, and the name; where
/// the name has a backslash, a newline or a carriage return these are escaped, and the line begins with a backslash.
public struct SumsReader {
    private let lines: LineReader
    private var number = 0

    /// - Parameter read: gives up to so many bytes; none at the end.
    public init(_ read: @escaping (Int) throws -> [UInt8]) { lines = LineReader(read) }

    /// - Throws: ``ImportRefusal/badSums(line:reason:)``; what `read` throws.
    public mutating func next() throws -> ExpectedSum? {
        while let bytes = try lines.next(number + 1) {
            number += 1
            guard var text = String(validating: bytes, as: UTF8.self) else {
                throw ImportRefusal.badSums(line: number, reason: "it is not UTF-8")
            }
            if text.hasSuffix("\r") { text.removeLast() }
            if text.isEmpty || text.hasPrefix("#") { continue }
            guard let sum = Self.sum(text, line: number) else {
                throw ImportRefusal.badSums(
                    line: number, reason: "it is neither 'DIGEST  NAME' nor 'SHA256 (NAME) = DIGEST'")
            }
            return sum
        }
        return nil
    }

    static func sum(_ text: String, line: Int) -> ExpectedSum? {
        let isEscaped = text.hasPrefix("\\")
        let body = isEscaped ? text.dropFirst() : text[...]
        let digest: Substring
        var name: String
        if let kind = ["SHA256 (", "MD5 ("].first(where: { body.hasPrefix($0) }),
            let end = body.range(of: ") = ", options: .backwards)
        {
            name = String(body[body.index(body.startIndex, offsetBy: kind.count)..<end.lowerBound])
            digest = body[end.upperBound...]
        } else {
            guard let blank = body.firstIndex(of: " ") else { return nil }
            digest = body[..<blank]
            let rest = body[body.index(after: blank)...]
            guard rest.hasPrefix(" ") || rest.hasPrefix("*") else { return nil }
            name = String(rest.dropFirst())
        }
        let lower = digest.lowercased()
        guard lower.utf8.count == 32 || lower.utf8.count == 64, lower.allSatisfy(\.isHexDigit) else {
            return nil
        }
        if isEscaped { name = unescaped(name) }
        while name.hasPrefix("./") { name = String(name.dropFirst(2)) }
        return name.isEmpty ? nil : ExpectedSum(name: name, digest: lower, line: line)
    }

    private static func unescaped(_ text: String) -> String {
        var result = ""
        var isAfterBackslash = false
        for character in text {
            if isAfterBackslash {
                switch character {
                case "n": result += "\n"
                case "r": result += "\r"
                default: result.append(character)
                }
                isAfterBackslash = false
            } else if character == "\\" {
                isAfterBackslash = true
            } else {
                result.append(character)
            }
        }
        return result
    }
}

/// Cuts what is read into lines, a piece of it in memory at a time.
private final class LineReader {
    private static let step = 64 * 1024
    /// Longer than the longest path, escaped, with a digest.
    private static let lineByteCount = 16 * 1024

    private let read: (Int) throws -> [UInt8]
    private var buffer: [UInt8] = []
    private var start = 0
    private var isAtEnd = false

    init(_ read: @escaping (Int) throws -> [UInt8]) { self.read = read }

    /// Without its newline; `nil` at the end.
    /// - Parameter number: of the line, for what is wrong with it.
    func next(_ number: Int) throws -> ArraySlice<UInt8>? {
        while true {
            if let end = buffer[start...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { start = end + 1 }
                return buffer[start..<end]
            }
            if isAtEnd {
                guard start < buffer.count else { return nil }
                defer { start = buffer.count }
                return buffer[start...]
            }
            guard buffer.count - start <= Self.lineByteCount else {
                throw ImportRefusal.badSums(
                    line: number, reason: "a line is longer than \(Self.lineByteCount) bytes")
            }
            buffer.removeSubrange(..<start)
            start = 0
            let more = try read(Self.step)
            isAtEnd = more.isEmpty
            buffer += more
        }
    }
}
