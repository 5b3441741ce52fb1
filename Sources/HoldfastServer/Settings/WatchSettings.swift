import Foundation

/// How a server is watched: its log and its traces.
public struct WatchSettings: Sendable {
    /// `text` for people at a terminal, `json` for a collector of logs.
    public enum LogFormat: String, Sendable, CaseIterable { case text, json }

    /// Which requests leave a line in the log: none, those that fail by the server's own fault or for want of rights
    /// and the like, or all.
    public enum RequestLog: String, Sendable, CaseIterable { case off, errors, all }

    public var logFormat = LogFormat.text
    public var requestLog = RequestLog.off
    /// Where spans go; `nil` for no tracing.
    public var traceEndpoint: TraceEndpoint?
    /// Of requests that come without a trace of their own, the part that is traced.
    public var traceRatio = 0.01

    mutating func set(_ setting: SettingName, _ value: String) throws(SettingRefusal) {
        func among<Choice: CaseIterable & RawRepresentable>(_: Choice.Type) throws(SettingRefusal) -> Choice
        where Choice.RawValue == String {
            guard let choice = Choice(rawValue: value) else {
                let known = Choice.allCases.map(\.rawValue).joined(separator: ", ")
                throw SettingRefusal("is '\(value)': it must be one of \(known)")
            }
            return choice
        }
        switch setting {
        case .logFormat: logFormat = try among(LogFormat.self)
        case .requestLog: requestLog = try among(RequestLog.self)
        case .traceEndpoint:
            guard !value.isEmpty else {
                traceEndpoint = nil
                return
            }
            guard let endpoint = TraceEndpoint(value) else {
                throw SettingRefusal(
                    "is '\(value)': it must be the address of an OTLP receiver, such as http://127.0.0.1:4318, without user or password"
                )
            }
            traceEndpoint = endpoint
        case .traceRatio:
            guard let ratio = Double(value), (0...1).contains(ratio) else {
                throw SettingRefusal("is '\(value)': it must be a number from 0 to 1, such as 0.01")
            }
            traceRatio = ratio
        default: preconditionFailure("\(setting.rawValue) is about something else")
        }
    }
}

/// Where an OTLP receiver is.
///
/// Source: OpenTelemetry specification, "OTLP exporter configuration": without a path of its own the signal's is taken.
public struct TraceEndpoint: Sendable, Equatable, CustomStringConvertible {
    public let host: String
    public let port: Int
    public let isSecure: Bool
    public let path: String

    public init?(_ text: String) {
        guard let parts = URLComponents(string: text), let scheme = parts.scheme?.lowercased(),
            ["http", "https"].contains(scheme), let host = parts.host, !host.isEmpty, parts.user == nil,
            parts.password == nil, parts.query == nil, parts.fragment == nil
        else { return nil }
        self.host = host.hasPrefix("[") ? String(host.dropFirst().dropLast()) : host
        isSecure = scheme == "https"
        guard (1...65_535).contains(parts.port ?? 1) else { return nil }
        port = parts.port ?? (isSecure ? 443 : 80)
        path =
            parts.percentEncodedPath.isEmpty || parts.percentEncodedPath == "/"
            ? "/v1/traces" : parts.percentEncodedPath
    }

    public var description: String {
        "\(isSecure ? "https" : "http")://\(host.contains(":") ? "[\(host)]" : host):\(port)\(path)"
    }
}
