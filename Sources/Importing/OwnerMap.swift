import Foundation
import Model

/// Whose an imported object becomes, by whose or where it is in the source.
///
/// A JSON object, `{"SOURCE": "USER", …}`, or lines of `SOURCE,USER`; blank lines and lines that begin with `#` are
/// passed over. SOURCE is
///
/// - a prefix that ends with `/`, `photos/`: what lies below it, by the longest prefix that fits;
/// - an owner's id or display name, as a bucket's listing tells it;
/// - `*`: everything else.
///
/// A prefix counts before an owner.
package struct OwnerMap: Sendable {
    /// User names by prefix, longest prefix first.
    private var prefixes: [(prefix: String, user: String)] = []
    private var owners: [String: String] = [:]
    private var others: String?

    /// Everything becomes one user's.
    init(all user: String) { others = user }

    /// - Throws: ``ImportRefusal/badOwners(line:reason:)``.
    package init(_ text: String) throws {
        if text.drop(while: \.isWhitespace).first == "{" {
            let named: [String: String]
            do { named = try JSONDecoder().decode([String: String].self, from: Data(text.utf8)) } catch {
                throw ImportRefusal.badOwners(
                    line: 1, reason: "it begins like JSON, and is no object of source and user names")
            }
            for (source, user) in named { try add(source, user, line: 1) }
        } else {
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            for (index, raw) in lines.enumerated() {
                let line = raw.trimmingCharacters(in: .whitespaces)
                if line.isEmpty || line.hasPrefix("#") { continue }
                // A source may have commas in it, a user's name may not.
                guard let comma = line.lastIndex(of: ",") else {
                    throw ImportRefusal.badOwners(line: index + 1, reason: "'\(line)' is not SOURCE,USER")
                }
                try add(
                    line[..<comma].trimmingCharacters(in: .whitespaces),
                    line[line.index(after: comma)...].trimmingCharacters(in: .whitespaces), line: index + 1)
            }
        }
        // Of those of one length, one fits at most: their order says nothing.
        prefixes.sort { $0.prefix.utf8.count > $1.prefix.utf8.count }
    }

    private mutating func add(_ source: String, _ user: String, line: Int) throws {
        guard !source.isEmpty, !user.isEmpty else {
            throw ImportRefusal.badOwners(line: line, reason: "a source or a user has no name")
        }
        let before: String?
        if source == "*" {
            before = others
            others = user
        } else if source.hasSuffix("/") {
            before = prefixes.first { $0.prefix.utf8.elementsEqual(source.utf8) }?.user
            if before == nil { prefixes.append((source, user)) }
        } else {
            before = owners.updateValue(user, forKey: source)
        }
        if let before, before != user {
            throw ImportRefusal.badOwners(
                line: line, reason: "'\(source)' is named twice, for \(before) and for \(user)")
        }
    }

    /// The users that it names.
    package var users: Set<String> {
        Set(prefixes.map(\.user)).union(owners.values).union(others.map { [$0] } ?? [])
    }

    /// - Parameters:
    ///   - name: of the object in the source, relative to what is imported.
    ///   - owner: its owner's id and display name there, where it has one.
    /// - Returns: a user's name; `nil` if none is named for it.
    package func user(for name: String, owner: (id: String?, name: String?)) -> String? {
        if let found = prefixes.first(where: { name.utf8.starts(with: $0.prefix.utf8) }) { return found.user }
        return owner.id.flatMap { owners[$0] } ?? owner.name.flatMap { owners[$0] } ?? others
    }

    /// What to call whoever is not mapped: the owner, or the topmost folder.
    package static func unmapped(_ name: String, owner: (id: String?, name: String?)) -> String {
        if let id = owner.id { return owner.name.map { "\($0) (\(id))" } ?? id }
        let top = name.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        return top.count > 1 ? "\(top[0])/" : "files that are in no folder"
    }
}
