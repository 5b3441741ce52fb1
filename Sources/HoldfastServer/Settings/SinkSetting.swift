import Foundation
import Notifications
import ObjectStore

/// A sink that the settings file names: whom to tell, and of what.
public struct SinkSetting: Sendable, Equatable {
    static let name = "sinks"

    public let name: String
    public let url: String
    /// What deliveries are signed with; `nil` for unsigned ones.
    public let secret: String?
    public let deadlineSeconds: Int
    public let filter: NotificationFilter

    private static let members: Set = [
        "name", "webhook", "secret-file", "deadline-seconds", "events", "buckets", "prefix", "suffix",
    ]

    /// The member `sinks` of a settings file.
    /// - Throws: ``SettingError``, which names the member that makes no sense.
    static func sinks(_ path: String) throws -> [SinkSetting] {
        func bad(_ reason: String) -> SettingError {
            SettingError(setting: Self.name, source: path, reason: reason)
        }
        guard let member = try SettingsFile.member(Self.name, of: path) else { return [] }
        guard let list = member as? [[String: Any]] else { throw bad("is no list of objects") }
        let sinks = try list.map { try SinkSetting($0, file: path, bad) }
        if let twice = Dictionary(grouping: sinks, by: \.name).first(where: { $0.value.count > 1 }) {
            throw bad("has two sinks '\(twice.key)'")
        }
        return sinks
    }

    private init(_ sink: [String: Any], file: String, _ bad: (String) -> SettingError) throws {
        if let other = sink.keys.sorted().first(where: { !Self.members.contains($0) }) {
            throw bad(
                "has a member '\(other)': a sink has \(Self.members.sorted().joined(separator: ", "))")
        }
        guard let name = sink["name"] as? String, Self.isName(name) else {
            throw bad("takes sinks with a name of 1 to 64 letters, digits, '-' and '_'")
        }
        func text(_ member: String) throws -> String? {
            guard let value = sink[member] else { return nil }
            guard let text = value as? String else {
                throw bad("has a \(member) that is no string, of sink '\(name)'")
            }
            return text
        }
        func list(_ member: String) throws -> [String] {
            guard let value = sink[member] else { return [] }
            guard let list = value as? [String] else {
                throw bad("has \(member) that are no list of strings, of sink '\(name)'")
            }
            return list
        }
        guard let url = try text("webhook"), let parts = URLComponents(string: url),
            ["http", "https"].contains(parts.scheme?.lowercased()), parts.host?.isEmpty == false
        else { throw bad("takes a webhook, http://… or https://…, of sink '\(name)'") }
        let deadline = sink["deadline-seconds"] ?? 10
        guard let deadline = deadline as? Int, (1...600).contains(deadline) else {
            throw bad("has deadline-seconds that are not 1 to 600, of sink '\(name)'")
        }
        self.name = name
        self.url = url
        deadlineSeconds = deadline
        secret = try text("secret-file").map { try Self.secret($0, besides: file, sink: name, bad) }
        filter = NotificationFilter(
            events: try list("events"), buckets: Set(try list("buckets")), prefix: try text("prefix") ?? "",
            suffix: try text("suffix") ?? "")
        for event in filter.events where !NotificationFilter.isKnown(event) {
            throw bad(
                "has an event '\(event)' that there is not, of sink '\(name)': there are \(NotificationFilter.names.joined(separator: ", ")), and beginnings of them with '*'"
            )
        }
    }

    /// It names files, too, and is the last part of an ARN.
    private static func isName(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                (0x61...0x7A).contains($0) || (0x41...0x5A).contains($0) || (0x30...0x39).contains($0)
                    || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_")
            }
    }

    private static func secret(
        _ name: String, besides file: String, sink: String, _ bad: (String) -> SettingError
    ) throws -> String {
        let path = URL(fileURLWithPath: name, relativeTo: URL(fileURLWithPath: file)).standardizedFileURL.path
        let text: String
        do { text = try String(contentsOfFile: path, encoding: .utf8) } catch {
            throw bad("names a secret-file \(path) that cannot be read, of sink '\(sink)'")
        }
        let secret = text.trimmingCharacters(in: .whitespacesAndNewlines)
        guard !secret.isEmpty else {
            throw bad("names a secret-file \(path) that is empty, of sink '\(sink)'")
        }
        return secret
    }
}

extension Sink {
    /// - Throws: ``SinkError``, ``FileSystemError``.
    convenience init(_ setting: SinkSetting, _ store: ObjectStore, region: String) throws {
        let webhook = Webhook(
            name: setting.name, url: setting.url, secret: setting.secret,
            deadlineSeconds: setting.deadlineSeconds)
        try self.init(setting.name, webhook, setting.filter, store, region: region)
    }
}
