/// Markup. What stands in the source is markup; every value that is put into it is text, escaped and on one line, unless it
/// is markup itself. There is no way from a `String` to markup but through the escaping.
///
///     let row: HTML = "<td>\(key)</td>"
package struct HTML: Sendable, ExpressibleByStringInterpolation {
    package private(set) var text: String

    package init(stringLiteral value: StaticString) { text = value.description }

    package init(stringInterpolation: StringInterpolation) { text = stringInterpolation.text }

    package struct StringInterpolation: StringInterpolationProtocol {
        fileprivate var text = ""

        package init(literalCapacity: Int, interpolationCount: Int) {
            text.reserveCapacity(literalCapacity + 16 * interpolationCount)
        }

        package mutating func appendLiteral(_ literal: StaticString) { text += literal.description }
        package mutating func appendInterpolation(_ value: String) { text += HTML.escaped(value.printable) }
        package mutating func appendInterpolation(_ value: some BinaryInteger) { text += "\(value)" }
        package mutating func appendInterpolation(_ markup: HTML) { text += markup.text }
        package mutating func appendInterpolation(_ markup: [HTML]) {
            for piece in markup { text += piece.text }
        }
    }

    package static func += (left: inout HTML, right: HTML) { left.text += right.text }

    package static func escaped(_ text: String) -> String {
        guard text.utf8.contains(where: { "&<>\"'".utf8.contains($0) }) else { return text }
        var escaped = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped += "&amp;"
            case "<": escaped += "&lt;"
            case ">": escaped += "&gt;"
            case "\"": escaped += "&quot;"
            case "'": escaped += "&#39;"
            default: escaped.unicodeScalars.append(scalar)
            }
        }
        return escaped
    }
}
