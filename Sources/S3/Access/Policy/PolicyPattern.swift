/// A text of a policy that others are compared with: it may have wildcards, `*` for any characters and `?` for one, and
/// policy variables, `${aws:username}` or `${aws:username, 'nobody'}`. What a variable stands for is never a wildcard;
/// `${*}`, `${?}` and `${$}` are those characters themselves.
///
/// Comparing takes at most pattern × text steps, whatever the wildcards: only the last `*` is ever tried again, since what
/// an earlier one could take instead, the last one can take as well.
///
/// Source: IAM User Guide, "IAM policy elements: Variables and tags".
struct PolicyPattern: Sendable {
    /// A byte, or one of the two wildcards.
    typealias Symbol = UInt16
    static let any: Symbol = 256
    static let one: Symbol = 257

    private enum Piece: Sendable {
        case symbols([Symbol])
        case variable(key: String, standard: String?)
    }

    private let pieces: [Piece]
    let text: String

    /// - Parameter original: what is shown in its place.
    /// - Throws: `MalformedPolicy` for a variable that does not end.
    init(_ text: String, hasWildcards: Bool, hasVariables: Bool, text original: String? = nil) throws {
        self.text = original ?? text
        var pieces: [Piece] = []
        var symbols: [Symbol] = []
        var rest = text.utf8[...]
        while let byte = rest.first {
            if hasVariables, byte == UInt8(ascii: "$"), rest.dropFirst().first == UInt8(ascii: "{") {
                let variable = try Self.takeVariable(&rest, of: text)
                if variable.standard == nil, ["*", "?", "$"].contains(variable.key) {
                    symbols.append(Symbol(variable.key.utf8.first ?? 0))
                    continue
                }
                pieces += [.symbols(symbols), .variable(key: variable.key, standard: variable.standard)]
                symbols = []
                continue
            }
            rest.removeFirst()
            switch byte {
            case UInt8(ascii: "*") where hasWildcards: symbols.append(Self.any)
            case UInt8(ascii: "?") where hasWildcards: symbols.append(Self.one)
            default: symbols.append(Symbol(byte))
            }
        }
        if pieces.isEmpty || !symbols.isEmpty { pieces.append(.symbols(symbols)) }
        self.pieces = pieces
    }

    /// `${key}` or `${key, 'default'}`, which `rest` begins with.
    private static func takeVariable(
        _ rest: inout Substring.UTF8View, of text: String
    ) throws -> (key: String, standard: String?) {
        let malformed = S3Error.malformedPolicy("Invalid policy variable", text)
        var inner = rest.dropFirst(2)
        let isEnd: (UInt8) -> Bool = { $0 == UInt8(ascii: "}") || $0 == UInt8(ascii: ",") }
        guard let end = inner.firstIndex(where: isEnd) else { throw malformed }
        let key = String(Substring(inner[..<end])).trimmingBlanks().lowercased()
        guard key == "$" || !key.isEmpty && !key.contains("$") && !key.contains("{") else { throw malformed }
        inner = inner[end...]
        guard inner.removeFirst() == UInt8(ascii: ",") else {
            rest = inner
            return (key, nil)
        }
        inner = inner.drop { $0 == 0x20 }
        guard inner.popFirst() == UInt8(ascii: "'"), let quote = inner.firstIndex(of: UInt8(ascii: "'"))
        else { throw malformed }
        let standard = String(Substring(inner[..<quote]))
        inner = inner[quote...].dropFirst().drop { $0 == 0x20 }
        guard inner.popFirst() == UInt8(ascii: "}") else { throw malformed }
        rest = inner
        return (key, standard)
    }

    /// Whether it always stands for the same one text.
    var isFixed: Bool {
        pieces.allSatisfy {
            guard case .symbols(let symbols) = $0 else { return false }
            return !symbols.contains { $0 > 255 }
        }
    }

    var hasVariables: Bool {
        pieces.contains { if case .variable = $0 { true } else { false } }
    }

    /// With its variables replaced; `nil` if the request has no value, or several, for one without a default.
    func symbols(_ context: PolicyContext) -> [Symbol]? {
        if pieces.count == 1, case .symbols(let symbols) = pieces[0] { return symbols }
        var all: [Symbol] = []
        for piece in pieces {
            switch piece {
            case .symbols(let symbols): all += symbols
            case .variable(let key, let standard):
                let values = context.values(key) ?? []
                guard let value = values.count == 1 ? values[0] : values.isEmpty ? standard : nil else {
                    return nil
                }
                all += value.utf8.map { Symbol($0) }
            }
        }
        return all
    }

    /// `nil` if a variable has no value.
    func matches(_ text: String, _ context: PolicyContext) -> Bool? {
        symbols(context).map { Self.matches($0[...], Array(text.utf8)[...]) }
    }

    static func matches(_ pattern: ArraySlice<Symbol>, _ text: ArraySlice<UInt8>) -> Bool {
        var pattern = pattern
        var text = text
        // Where the last `*` was, and what it left over.
        var retry: (pattern: ArraySlice<Symbol>, text: ArraySlice<UInt8>)?
        while true {
            if let symbol = pattern.first {
                if symbol == any {
                    pattern.removeFirst()
                    if pattern.isEmpty { return true }
                    retry = (pattern, text)
                    continue
                }
                if let byte = text.first, symbol == one || symbol == Symbol(byte) {
                    pattern.removeFirst()
                    text.removeFirst()
                    // A `?` stands for a character of several bytes, too.
                    if symbol == one { text = text.drop { $0 & 0xC0 == 0x80 } }
                    continue
                }
            } else if text.isEmpty {
                return true
            }
            guard let last = retry, !last.text.isEmpty else { return false }
            pattern = last.pattern
            text = last.text.dropFirst()
            retry = (pattern, text)
        }
    }
}
