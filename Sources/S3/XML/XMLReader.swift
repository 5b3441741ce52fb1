/// Why a document is refused.
enum XMLFlaw: Error {
    case notUTF8
    case unexpected(offset: Int)
    case tooDeep
    case tooManyElements
    case otherRoot
}

/// Reads the XML of S3's requests: elements, text, CDATA, comments, the five entities and character references.
///
/// What S3's documents never have is refused rather than read: document types, where entities are declared,
/// processing instructions, and encodings other than UTF-8, in which both could hide. Attributes are checked and
/// dropped. It is strict where XML is, with one exception: a reference may name a control character, as
/// ``XMLWriter`` writes it, so that a key that was listed can be named again.
///
/// Source: W3C, "Extensible Markup Language (XML) 1.0 (Fifth Edition)"; the numbers in brackets are its rules.
struct XMLReader {
    private static let depthLimit = 16
    /// Ten thousand parts with number, ETag and one checksum are 40,000.
    private static let elementLimit = 100_000

    private let bytes: [UInt8]
    private var position = 0
    private var elementCount = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    static func isBlank(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D
    }

    // MARK: Document

    /// [1] The one element, with comments and blanks around it.
    mutating func document() throws(XMLFlaw) -> XMLElement {
        guard let text = String(validating: bytes, as: UTF8.self), Self.isText(text) else { throw .notUTF8 }
        _ = take("\u{FEFF}")
        try declaration()
        try miscellany()
        let root = try element(depth: 1)
        try miscellany()
        guard position == bytes.count else { throw unexpected }
        return root
    }

    /// [2] No control characters but tab and line ends; no noncharacters of the first plane.
    private static func isText(_ text: String) -> Bool {
        text.unicodeScalars.allSatisfy {
            $0.value >= 0x20
                ? $0.value != 0xFFFE && $0.value != 0xFFFF : $0.value <= 0xFF && isBlank(UInt8($0.value))
        }
    }

    /// [23] `<?xml version="1.0" encoding="UTF-8" standalone="yes"?>`, or nothing.
    private mutating func declaration() throws(XMLFlaw) {
        guard take("<?xml") else { return }
        var fields: [(name: String, value: String)] = []
        while !take("?>") {
            guard blanks() else { throw unexpected }
            if take("?>") { break }
            fields.append(try attribute())
        }
        let isKnown = fields.allSatisfy { name, value in
            switch name {
            case "version": value.hasPrefix("1.")
            case "encoding": ["UTF-8", "US-ASCII"].contains(value.uppercased())
            case "standalone": value == "yes" || value == "no"
            default: false
            }
        }
        guard isKnown, fields.first?.name == "version" else { throw unexpected }
    }

    /// [27]
    private mutating func miscellany() throws(XMLFlaw) {
        repeat { _ = blanks() } while try comment()
    }

    /// [15]
    private mutating func comment() throws(XMLFlaw) -> Bool {
        guard take("<!--") else { return false }
        try skip(past: "--")
        guard take(">") else { throw unexpected }
        return true
    }

    // MARK: Elements

    /// [39]
    private mutating func element(depth: Int) throws(XMLFlaw) -> XMLElement {
        guard depth <= Self.depthLimit else { throw .tooDeep }
        elementCount += 1
        guard elementCount <= Self.elementLimit else { throw .tooManyElements }
        guard take("<") else { throw unexpected }
        let qualified = try name()
        var element = XMLElement(name: qualified.split(separator: ":").last.map(String.init) ?? qualified)
        guard try attributes() else { return element }
        try content(of: &element, depth: depth)
        guard try name() == qualified else { throw unexpected }
        _ = blanks()
        guard take(">") else { throw unexpected }
        return element
    }

    /// [40], [44] Attributes and the end of the tag.
    /// - Returns: whether content follows.
    private mutating func attributes() throws(XMLFlaw) -> Bool {
        var names: Set<String> = []
        while true {
            let isApart = blanks()
            if take("/>") { return false }
            if take(">") { return true }
            guard isApart else { throw unexpected }
            guard names.insert(try attribute().name).inserted else { throw unexpected }
        }
    }

    /// [41]
    private mutating func attribute() throws(XMLFlaw) -> (name: String, value: String) {
        let name = try name()
        _ = blanks()
        guard take("=") else { throw unexpected }
        _ = blanks()
        guard let quote = peek, quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") else {
            throw unexpected
        }
        position += 1
        var value: [UInt8] = []
        while let byte = peek, byte != quote {
            guard byte != UInt8(ascii: "<") else { throw unexpected }
            if byte == UInt8(ascii: "&") { try reference(into: &value) } else { value.append(try next()) }
        }
        guard peek == quote else { throw unexpected }
        position += 1
        return (name, String(decoding: value, as: UTF8.self))
    }

    /// [43] Up to and with the `</` of the element's end.
    private mutating func content(of element: inout XMLElement, depth: Int) throws(XMLFlaw) {
        var text: [UInt8] = []
        while true {
            if take("</") { break }
            if take("<![CDATA[") {
                let start = position
                try skip(past: "]]>")
                text += Self.withPlainLineEnds(bytes[start..<position - 3])
            } else if try comment() {
                continue
            } else if peek == UInt8(ascii: "<") {
                element.children.append(try self.element(depth: depth + 1))
            } else if peek == UInt8(ascii: "&") {
                try reference(into: &text)
            } else {
                text += try characters()
            }
        }
        element.text = String(decoding: text, as: UTF8.self)
    }

    /// [14] Text up to markup; `]]>` is not allowed in it.
    private mutating func characters() throws(XMLFlaw) -> [UInt8] {
        let start = position
        while let byte = peek, byte != UInt8(ascii: "<"), byte != UInt8(ascii: "&") {
            guard byte != UInt8(ascii: "]") || !take("]]>") else { throw unexpected }
            position += 1
        }
        guard position < bytes.count else { throw unexpected }
        return Self.withPlainLineEnds(bytes[start..<position])
    }

    /// Section 2.11: a line ends with a line feed, however it was sent.
    private static func withPlainLineEnds(_ text: ArraySlice<UInt8>) -> [UInt8] {
        guard text.contains(0x0D) else { return Array(text) }
        var plain: [UInt8] = []
        for (index, byte) in zip(text.indices, text) {
            if byte == 0x0D {
                plain.append(0x0A)
            } else if byte != 0x0A || index == text.startIndex || text[index - 1] != 0x0D {
                plain.append(byte)
            }
        }
        return plain
    }

    /// [66], [68] `&amp;`, `&#65;`, `&#x41;`
    private mutating func reference(into text: inout [UInt8]) throws(XMLFlaw) {
        let start = position + 1
        try skip(past: ";")
        let name = bytes[start..<position - 1]
        let entities = ["lt": "<", "gt": ">", "amp": "&", "quot": "\"", "apos": "'"]
        if let character = entities[String(decoding: name, as: UTF8.self)] {
            text += character.utf8
            return
        }
        guard name.first == UInt8(ascii: "#") else { throw .unexpected(offset: start) }
        let isHexadecimal = name.dropFirst().first == UInt8(ascii: "x")
        let digits = String(decoding: name.dropFirst(isHexadecimal ? 2 : 1), as: UTF8.self)
        guard digits.utf8.first != UInt8(ascii: "+"), digits.utf8.count <= 8,
            let scalar = UInt32(digits, radix: isHexadecimal ? 16 : 10).flatMap(UnicodeScalar.init),
            scalar.value != 0xFFFE, scalar.value != 0xFFFF
        else { throw .unexpected(offset: start) }
        text += String(scalar).utf8
    }

    // MARK: Bytes

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }
    private var unexpected: XMLFlaw { .unexpected(offset: position) }

    private mutating func next() throws(XMLFlaw) -> UInt8 {
        guard let byte = peek else { throw unexpected }
        position += 1
        return byte
    }

    private mutating func take(_ text: StaticString) -> Bool {
        text.withUTF8Buffer {
            guard bytes[position...].starts(with: $0) else { return false }
            position += $0.count
            return true
        }
    }

    /// - Returns: whether there were any.
    private mutating func blanks() -> Bool {
        let start = position
        while let byte = peek, Self.isBlank(byte) { position += 1 }
        return position > start
    }

    private mutating func skip(past text: StaticString) throws(XMLFlaw) {
        while !take(text) { _ = try next() }
    }

    /// [5] A name; of characters beyond ASCII all are taken, as nearly all may stand in one.
    private mutating func name() throws(XMLFlaw) -> String {
        let start = position
        while let byte = peek, Self.isOfName(byte, isFirst: position == start) { position += 1 }
        guard position > start else { throw unexpected }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private static func isOfName(_ byte: UInt8, isFirst: Bool) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "_"), UInt8(ascii: ":"), 0x80...:
            true
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."): !isFirst
        default: false
        }
    }
}
