import Foundation

/// The rates that the settings file allows: `"rate-limits": {"each-key": {"requests": 200}, "buckets": {"photos": {"bytes":
/// 10000000}}}`. A name of its own counts in place of "each", and not besides.
public struct RateLimitSettings: Sendable, Equatable {
    static let member = "rate-limits"

    package var eachKey: RateLimit?
    package var keys: [String: RateLimit] = [:]
    package var eachBucket: RateLimit?
    package var buckets: [String: RateLimit] = [:]

    package init() {}

    var isEmpty: Bool { self == RateLimitSettings() }

    /// Whom there are limits for.
    var names: [String] {
        (eachKey == nil ? [] : ["each-key"]) + keys.keys.sorted().map { "key \($0)" }
            + (eachBucket == nil ? [] : ["each-bucket"]) + buckets.keys.sorted().map { "bucket \($0)" }
    }

    /// - Throws: ``SettingError``, which names the member that makes no sense.
    static func load(_ path: String) throws -> RateLimitSettings {
        func bad(_ reason: String) -> SettingError {
            SettingError(setting: member, source: path, reason: reason)
        }
        guard let found = try SettingsFile.member(member, of: path) else { return RateLimitSettings() }
        guard let members = found as? [String: Any] else {
            throw bad("is no object, such as {\"each-key\": {\"requests\": 200}}")
        }
        var settings = RateLimitSettings()
        for (name, value) in members.sorted(by: { $0.key < $1.key }) {
            switch name {
            case "each-key": settings.eachKey = try limit(value, name, bad)
            case "each-bucket": settings.eachBucket = try limit(value, name, bad)
            case "keys": settings.keys = try limits(value, name, bad)
            case "buckets": settings.buckets = try limits(value, name, bad)
            default:
                let known = ["each-key", "keys", "each-bucket", "buckets"]
                throw bad("has a member '\(name)', which \(NearestName.hint(name, among: known))")
            }
        }
        return settings
    }

    private static func limits(
        _ value: Any, _ member: String, _ bad: (String) -> SettingError
    ) throws -> [String: RateLimit] {
        guard let limits = value as? [String: Any] else {
            throw bad("has \(member) that are no object of limits by name")
        }
        return try Dictionary(
            uniqueKeysWithValues: limits.map { ($0, try limit($1, "\(member) '\($0)'", bad)) })
    }

    private static func limit(
        _ value: Any, _ place: String, _ bad: (String) -> SettingError
    ) throws -> RateLimit {
        guard let members = value as? [String: Any] else {
            throw bad("has no object in \(place), such as {\"requests\": 200, \"bytes\": 10000000}")
        }
        var limit = RateLimit()
        for (name, value) in members.sorted(by: { $0.key < $1.key }) {
            let known = ["requests", "burst", "bytes"]
            guard known.contains(name) else {
                let hint = NearestName.hint(name, among: known)
                throw bad("has a member '\(name)' of \(place), which \(hint)")
            }
            guard let number = value as? Double, number > 0, number <= 1e15 else {
                throw bad("has \(name) of \(place) that are '\(value)': it takes a number above 0")
            }
            switch name {
            case "requests": limit.requests = number
            case "burst": limit.burst = number
            default: limit.bytes = number
            }
        }
        guard limit.requests != nil || limit.bytes != nil else {
            throw bad("limits neither requests nor bytes of \(place)")
        }
        return limit
    }
}
