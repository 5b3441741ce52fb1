import Foundation
import HoldfastServer
import Testing

/// The table that operators read says what the scheduler does.
@Suite struct JobTableTests {
    /// The rows of the first table of `Documentation/jobs.md`, cells without backquotes.
    private func rows() throws -> [[String]] {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../Documentation/jobs.md").standardized
        let lines = try String(contentsOf: path, encoding: .utf8).components(separatedBy: "\n")
        let table = lines.drop { !$0.hasPrefix("| job |") }.prefix { $0.hasPrefix("|") }
        return table.dropFirst(2).map { line in
            line.split(separator: "|").map {
                $0.replacingOccurrences(of: "`", with: "").trimmingCharacters(in: .whitespaces)
            }
        }
    }

    @Test func theDocumentHasTheTableOfTheCode() throws {
        let expected = JobKind.allCases.map { kind -> [String] in
            let rule = kind.rule
            let excluded = rule.excludes.map(\.rawValue).sorted { left, right in
                let order = JobKind.allCases.map(\.rawValue)
                return (order.firstIndex(of: left) ?? 0) < (order.firstIndex(of: right) ?? 0)
            }
            return [
                kind.rawValue, rule.needs?.rawValue ?? "–",
                excluded.isEmpty ? "–" : excluded.joined(separator: ", "),
                rule.yieldsToRepairs ? "yes" : "no", rule.isPausable ? "yes" : "no", "\(rule.priority)",
            ]
        }
        #expect(try rows() == expected)
    }

    @Test func theDocumentNamesTheJobsThatGoOnAllTheTime() throws {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../Documentation/jobs.md").standardized
        let text = try String(contentsOf: path, encoding: .utf8)
        let sentence = try #require(text.components(separatedBy: "go on all the time").first)
        let named = sentence.components(separatedBy: "\n\n").last ?? ""
        for kind in JobKind.allCases {
            #expect(named.contains("`\(kind.rawValue)`") == kind.rule.isContinuous, "\(kind.rawValue)")
        }
    }
}
