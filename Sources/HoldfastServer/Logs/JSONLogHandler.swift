import Foundation
import Logging
import Model

/// One JSON object a line on the standard error, for a collector of logs: time, level, message, and whatever goes with
/// it beside them.
public struct JSONLogHandler: LogHandler {
    public var logLevel = Logger.Level.notice
    public var metadata = Logger.Metadata()
    public var metadataProvider: Logger.MetadataProvider?

    private let label: String
    private let write: @Sendable (String) -> Void

    /// Members that the line has by itself.
    private static let own: Set<String> = ["time", "level", "logger", "message"]

    /// - Parameter write: takes a line with its end; lines of several threads must not mix.
    public init(label: String, write: @escaping @Sendable (String) -> Void = JSONLogHandler.standardError) {
        self.label = label
        self.write = write
    }

    /// One call for each line, so that lines do not mix.
    public static let standardError: @Sendable (String) -> Void = { line in
        var left = Array(line.utf8)[...]
        while !left.isEmpty {
            let count = left.withUnsafeBytes { Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            // A log that nobody takes is no reason to stop serving.
            guard count > 0 else { return }
            left = left.dropFirst(count)
        }
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        var members: [(name: String, value: String)] = [
            ("time", Self.quoted(Timestamp.now().description)), ("level", Self.quoted(event.level.rawValue)),
            ("logger", Self.quoted(label)), ("message", Self.quoted(event.message.description)),
        ]
        var all = metadata
        if let provided = metadataProvider?.get() { all.merge(provided) { _, new in new } }
        if let given = event.metadata { all.merge(given) { _, new in new } }
        for (name, value) in all.sorted(by: { $0.key < $1.key }) {
            members.append((Self.own.contains(name) ? "_" + name : name, Self.json(value)))
        }
        let text = members.map { "\(Self.quoted($0.name)):\($0.value)" }.joined(separator: ",")
        write("{\(text)}\n")
    }

    private static func json(_ value: Logger.Metadata.Value) -> String {
        switch value {
        case .string(let text): quoted(text)
        case .stringConvertible(let number as any BinaryInteger): "\(number)"
        case .stringConvertible(let number as Double) where number.isFinite: "\(number)"
        case .stringConvertible(let other): quoted(other.description)
        case .array(let values): "[\(values.map(json).joined(separator: ","))]"
        case .dictionary(let members):
            "{\(members.sorted { $0.key < $1.key }.map { "\(quoted($0.key)):\(json($0.value))" }.joined(separator: ","))}"
        }
    }

    /// RFC 8259, and no character that ends a line for some reader of lines.
    package static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\r": quoted += "\\r"
            case "\t": quoted += "\\t"
            case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}", "\u{2028}", "\u{2029}":
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
