import Foundation
import Integrity
import TestSupport
import Testing

/// `Documentation/fault-matrix.md` and the findings are one list.
@Suite struct FaultMatrixTests {
    private func page() throws -> String {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return try String(
            contentsOf: root.appendingPathComponent("Documentation/fault-matrix.md"), encoding: .utf8)
    }

    @Test func thePageHasEveryFindingAndNoOther() throws {
        var rows: [String: String] = [:]
        for line in try page().split(separator: "\n") where line.hasPrefix("| HF") {
            let cells = line.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            #expect(cells.count == 6 && cells.allSatisfy { !$0.isEmpty }, "\(line)")
            #expect(rows[cells[0]] == nil, "\(cells[0]) stands there twice")
            rows[cells[0]] = cells[1].replacingOccurrences(of: "`", with: "")
        }
        let findings = Dictionary(
            uniqueKeysWithValues: FindingCode.allCases.map { ($0.number, $0.rawValue) })
        #expect(rows == findings)
    }

    @Test func everyNumberIsGivenOnceAndNoneIsLeftOut() {
        let numbers = FindingCode.allCases.map(\.number).sorted()
        let expected = (1...FindingCode.allCases.count).map { String($0) }.map {
            "HF" + String(repeating: "0", count: 3 - $0.count) + $0
        }
        #expect(numbers == expected)
    }
}
