/// A value of a JSON document that a client sent. Members keep their order, numbers their digits.
package enum JSONValue: Sendable {
    case object([(name: String, value: JSONValue)])
    case array([JSONValue])
    case string(String)
    /// As it is written.
    case number(String)
    case boolean(Bool)
    case null

    /// - Throws: ``JSONFlaw``
    package init(parsing bytes: [UInt8]) throws(JSONFlaw) {
        var reader = try JSONReader(bytes)
        self = try reader.document()
    }
}

/// Why a document is refused.
package enum JSONFlaw: Error, CustomStringConvertible {
    case notUTF8
    case unexpected(offset: Int)
    case tooDeep(offset: Int)
    case duplicate(String)

    package var description: String {
        switch self {
        case .notUTF8: "it is not UTF-8"
        case .unexpected(let offset): "it is not JSON at byte \(offset)"
        case .tooDeep(let offset): "it is nested too deep at byte \(offset)"
        case .duplicate(let name): "the element \(name) is there twice"
        }
    }
}

/// Reads JSON as RFC 8259 has it and nothing beyond: no comments, no commas at the end, no lone surrogates. A member that
/// is there twice is refused, for two readers of a policy could each take another one.
///
/// It reads recursively, to a depth that no policy needs.
private struct JSONReader {
    private static let depthLimit = 16

    private let bytes: [UInt8]
    private var position = 0

    init(_ bytes: [UInt8]) throws(JSONFlaw) {
        guard String(validating: bytes, as: UTF8.self) != nil else { throw .notUTF8 }
        self.bytes = bytes
    }

    private var unexpected: JSONFlaw { .unexpected(offset: position) }
    private var next: UInt8? { position < bytes.count ? bytes[position] : nil }

    mutating func document() throws(JSONFlaw) -> JSONValue {
        skipBlanks()
        let value = try value(depth: 1)
        skipBlanks()
        guard position == bytes.count else { throw unexpected }
        return value
    }

    private mutating func skipBlanks() {
        while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { position += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ text: StaticString) throws(JSONFlaw) {
        for offset in 0..<text.utf8CodeUnitCount {
            guard take(text.utf8Start[offset]) else { throw unexpected }
        }
    }

    private mutating func value(depth: Int) throws(JSONFlaw) -> JSONValue {
        guard depth <= Self.depthLimit else { throw .tooDeep(offset: position) }
        switch next {
        case UInt8(ascii: "{"): return .object(try members(depth: depth))
        case UInt8(ascii: "["): return .array(try elements(depth: depth))
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"):
            try expect("true")
            return .boolean(true)
        case UInt8(ascii: "f"):
            try expect("false")
            return .boolean(false)
        case UInt8(ascii: "n"):
            try expect("null")
            return .null
        default: return .number(try number())
        }
    }

    private mutating func members(depth: Int) throws(JSONFlaw) -> [(name: String, value: JSONValue)] {
        position += 1
        var members: [(name: String, value: JSONValue)] = []
        var names: Set<[UInt8]> = []
        skipBlanks()
        if take(UInt8(ascii: "}")) { return members }
        while true {
            skipBlanks()
            let name = try string()
            // By bytes: Swift compares strings by what they look like.
            guard names.insert(Array(name.utf8)).inserted else { throw .duplicate(name) }
            skipBlanks()
            guard take(UInt8(ascii: ":")) else { throw unexpected }
            skipBlanks()
            members.append((name, try value(depth: depth + 1)))
            skipBlanks()
            if take(UInt8(ascii: "}")) { return members }
            guard take(UInt8(ascii: ",")) else { throw unexpected }
        }
    }

    private mutating func elements(depth: Int) throws(JSONFlaw) -> [JSONValue] {
        position += 1
        var elements: [JSONValue] = []
        skipBlanks()
        if take(UInt8(ascii: "]")) { return elements }
        while true {
            skipBlanks()
            elements.append(try value(depth: depth + 1))
            skipBlanks()
            if take(UInt8(ascii: "]")) { return elements }
            guard take(UInt8(ascii: ",")) else { throw unexpected }
        }
    }

    private mutating func string() throws(JSONFlaw) -> String {
        guard take(UInt8(ascii: "\"")) else { throw unexpected }
        var text: [UInt8] = []
        while let byte = next {
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"):
                position += 1
                text += try escape().utf8
            case ..<0x20: throw unexpected
            default:
                text.append(byte)
                position += 1
            }
        }
        throw unexpected
    }

    /// What stands behind a backslash.
    private mutating func escape() throws(JSONFlaw) -> String {
        guard let byte = next else { throw unexpected }
        position += 1
        switch byte {
        case UInt8(ascii: "\""): return "\""
        case UInt8(ascii: "\\"): return "\\"
        case UInt8(ascii: "/"): return "/"
        case UInt8(ascii: "b"): return "\u{08}"
        case UInt8(ascii: "f"): return "\u{0C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return String(try scalar())
        default: throw unexpected
        }
    }

    /// `XXXX`, or two of them that are a pair of surrogates.
    private mutating func scalar() throws(JSONFlaw) -> Character {
        let first = try codeUnit()
        guard (0xD800..<0xDC00).contains(first) else {
            guard let scalar = Unicode.Scalar(first) else { throw unexpected }
            return Character(scalar)
        }
        guard take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else { throw unexpected }
        let second = try codeUnit()
        guard (0xDC00..<0xE000).contains(second),
            let scalar = Unicode.Scalar(0x10000 + (first - 0xD800) << 10 + (second - 0xDC00))
        else { throw unexpected }
        return Character(scalar)
    }

    private mutating func codeUnit() throws(JSONFlaw) -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard let byte = next, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw unexpected
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }

    private mutating func number() throws(JSONFlaw) -> String {
        let start = position
        _ = take(UInt8(ascii: "-"))
        if !take(UInt8(ascii: "0")) { try digits() }
        if take(UInt8(ascii: ".")) { try digits() }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            try digits()
        }
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    private mutating func digits() throws(JSONFlaw) {
        let start = position
        while let byte = next, (0x30...0x39).contains(byte) { position += 1 }
        guard position > start else { throw unexpected }
    }
}
