import Foundation
import Testing

/// The messages of `event.proto` and their fields, read from that file: what a fixture has to set.
///
/// The generated code knows a message's fields only once they are set, and one that is not set is what is looked for.
struct EventSchema {
    struct Field: Equatable {
        let name: String
        let type: String
    }

    private(set) var messages: [String: [Field]] = [:]

    init() throws {
        let place = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Sources/Model/Events/event.proto")
        try self.init(String(contentsOf: place, encoding: .utf8))
    }

    init(_ text: String) throws {
        // What each brace that is open belongs to: a message, or `nil` for an enumeration. A oneof's fields are its
        // message's.
        var open: [String?] = []
        for line in text.split(separator: "\n") {
            let code = line.split(separator: "//", maxSplits: 1, omittingEmptySubsequences: false)[0]
                .trimmingCharacters(in: .whitespaces)
            if let found = code.wholeMatch(of: /(message|enum|oneof) (\w+) \{/) {
                switch found.1 {
                case "message":
                    open.append(String(found.2))
                    messages[String(found.2)] = []
                case "oneof": open.append(open.last ?? nil)
                default: open.append(nil)
                }
            } else if code == "}" {
                try #require(!open.isEmpty, "a brace closes what was opened")
                open.removeLast()
            } else if let message = open.last ?? nil {
                guard !code.isEmpty else { continue }
                let field = try #require(
                    code.wholeMatch(of: /(?:repeated |optional )?(map<\w+, \w+>|[\w.]+) (\w+) = \d+;/),
                    "'\(code)' is a field of \(message)")
                messages[message, default: []].append(Field(name: String(field.2), type: String(field.1)))
            }
        }
        try #require(open.isEmpty, "every brace is closed")
    }

    /// The fields of a message that its JSON form, with names as in the schema, does not have: those at their default.
    func unset(in object: [String: Any], _ message: String) throws -> [String] {
        let fields = try #require(messages[message], "\(message) is a message")
        return try fields.flatMap { field -> [String] in
            let name = "\(message).\(field.name)"
            guard let value = object[field.name] else { return [name] }
            guard messages[field.type] != nil else { return [] }
            let elements = value as? [[String: Any]] ?? (value as? [String: Any]).map { [$0] } ?? []
            guard !elements.isEmpty else { return [name] }
            return try elements.flatMap { try unset(in: $0, field.type) }
        }
    }
}
