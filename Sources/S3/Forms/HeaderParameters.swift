/// A header's value with parameters: `form-data; name="file"; filename="a.txt"`.
///
/// Source: RFC 9110, section 5.6.6; RFC 7578, section 4.2; the HTML standard, "multipart form data", for how browsers
/// write names.
package struct HeaderParameters {
    /// What stands before the parameters, in lower case.
    package let value: String
    private let parameters: [(name: String, value: String)]

    package init(_ text: String) {
        var pieces = Self.pieces(Array(text.utf8)).map { String(decoding: $0, as: UTF8.self) }
        value = pieces.removeFirst().trimmingBlanks().lowercased()
        parameters = pieces.compactMap { piece in
            guard let equals = piece.firstIndex(of: "=") else { return nil }
            let name = piece[..<equals].trimmingBlanks().lowercased()
            return (name, Self.unquoted(piece[piece.index(after: equals)...].trimmingBlanks()))
        }
    }

    package subscript(_ name: String) -> String? { parameters.first { $0.name == name }?.value }

    /// Parts between semicolons that stand in no quotes; always one at least.
    private static func pieces(_ text: [UInt8]) -> [[UInt8]] {
        var pieces: [[UInt8]] = [[]]
        var isQuoted = false
        var isEscaped = false
        for byte in text {
            if byte == UInt8(ascii: ";"), !isQuoted {
                pieces.append([])
                continue
            }
            if byte == UInt8(ascii: "\""), !isEscaped { isQuoted.toggle() }
            isEscaped = isQuoted && byte == UInt8(ascii: "\\") && !isEscaped
            pieces[pieces.count - 1].append(byte)
        }
        return pieces
    }

    /// Only a quote and a backslash are escaped: a browser may send a path of Windows as it is.
    private static func unquoted(_ text: String) -> String {
        let bytes = Array(text.utf8)
        guard bytes.count >= 2, bytes.first == UInt8(ascii: "\""), bytes.last == UInt8(ascii: "\"") else {
            return text
        }
        var plain: [UInt8] = []
        var index = 1
        while index < bytes.count - 1 {
            let next = bytes[index + 1]
            let isEscape =
                bytes[index] == UInt8(ascii: "\\") && index + 1 < bytes.count - 1
                && (next == UInt8(ascii: "\"") || next == UInt8(ascii: "\\"))
            if isEscape { index += 1 }
            plain.append(bytes[index])
            index += 1
        }
        return String(decoding: plain, as: UTF8.self)
    }
}
