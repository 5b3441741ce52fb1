import Foundation

/// Where a command's lines go: the terminal, or the socket of who asked.
public protocol CommandOutput: Sendable {
    /// - Throws: if nobody reads any more; the command then ends.
    func line(_ text: String) throws
    /// The part of the work that is done, 0 to 1.
    func progress(_ part: Double)
}

extension CommandOutput {
    /// One result: as a JSON object, or in words.
    func line(_ value: some Encodable, json: Bool, _ text: @autoclosure () throws -> String) throws {
        try line(json ? try CommandJSON.line(value) : try text())
    }
}

/// One JSON object on a line, its keys in order.
public enum CommandJSON {
    public static func line(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }
}
