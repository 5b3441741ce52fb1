import Foundation
import Notifications
import ObjectStore

/// A sink that the settings file names: whom to tell, and of what.
public struct SinkSetting: Sendable, Equatable {
    static let name = "sinks"

    public let name: String
    package let destination: SinkDestination
    public let deadlineSeconds: Int
    public let filter: NotificationFilter

    private static let members = [
        "name", "secret-file", "secret-environment", "deadline-seconds", "events", "buckets", "prefix",
        "suffix",
    ]

    /// The member `sinks` of a settings file.
    /// - Throws: ``SettingError``, which names the member that makes no sense.
    static func sinks(_ path: String, environment: [String: String]) throws -> [SinkSetting] {
        func bad(_ reason: String) -> SettingError {
            SettingError(setting: Self.name, source: path, reason: reason)
        }
        guard let member = try SettingsFile.member(Self.name, of: path) else { return [] }
        guard let list = member as? [[String: Any]] else { throw bad("is no list of objects") }
        let sinks = try SettingError.map(list) {
            try SinkSetting(SinkMembers($0, file: path, environment: environment))
        }
        if let twice = Dictionary(grouping: sinks, by: \.name).first(where: { $0.value.count > 1 }) {
            throw bad("has two sinks '\(twice.key)'")
        }
        return sinks
    }

    private init(_ sink: SinkMembers) throws {
        name = sink.name
        destination = try SinkDestination(sink, common: Self.members)
        deadlineSeconds = try sink.number("deadline-seconds", 1...600, default: 10)
        filter = NotificationFilter(
            events: try sink.list("events"), buckets: Set(try sink.list("buckets")),
            prefix: try sink.text("prefix") ?? "", suffix: try sink.text("suffix") ?? "")
        for event in filter.events where !NotificationFilter.isKnown(event) {
            throw sink.bad(
                "has an event '\(event)' where there are \(NotificationFilter.names.joined(separator: ", ")), and beginnings of them with '*'"
            )
        }
    }
}

extension Sink {
    /// - Throws: ``SinkError``, ``FileSystemError``.
    convenience init(_ setting: SinkSetting, _ store: ObjectStore, region: String) throws {
        let transport = setting.destination.transport(
            name: setting.name, deadlineSeconds: setting.deadlineSeconds)
        try self.init(setting.name, transport, setting.filter, store, region: region)
    }
}
