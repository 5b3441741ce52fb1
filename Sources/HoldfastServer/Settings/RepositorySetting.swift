import Foundation
import Integrity
import S3Repository
import Snapshots

/// A repository that the settings file names, and what is done with it by itself:
/// `"repositories": {"nas": {"directory": "/mnt/nas/holdfast", "snapshot-every": "24h"}}`.
public struct RepositorySetting: Sendable, Equatable {
    static let member = "repositories"

    public let name: String
    /// A directory's absolute path, or a place at an S3 endpoint.
    public let place: String
    package var snapshots = JobSchedule.never
    package var window = ScrubWindow.always
    package var retention = RetentionRule()
    package var verification = JobSchedule.never
    /// How much of the blobs a verification reads.
    package var verifyPercent = 5
    package var drills = JobSchedule.never
    /// Objects that a drill restores.
    package var drillSample = 20
    /// Bytes per second that its jobs copy or read at most; 0 for as fast as it goes.
    package var rate = 0

    /// The member `repositories` of a settings file, in the order of the names.
    /// - Throws: ``SettingError``, which names what makes no sense.
    static func repositories(_ path: String, directory: String) throws -> [RepositorySetting] {
        func bad(_ reason: String) -> SettingError {
            SettingError(setting: member, source: path, reason: reason)
        }
        guard let found = try SettingsFile.member(member, of: path) else { return [] }
        guard let repositories = found as? [String: [String: Any]] else {
            throw bad("is no object of objects, such as {\"nas\": {\"directory\": \"/mnt/nas/holdfast\"}}")
        }
        return try SettingError.map(repositories.sorted { $0.key < $1.key }) { name, values in
            do { return try RepositorySetting(name, values, base: directory) } catch let error as Refusal {
                throw bad("has a repository '\(name)' \(error.reason)")
            }
        }
    }

    private struct Refusal: Error { let reason: String }

    private init(_ name: String, _ values: [String: Any], base: String) throws {
        let isName = name.utf8.allSatisfy { byte in
            (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte) || byte == 0x2D
        }
        guard isName, (1...32).contains(name.utf8.count) else {
            throw Refusal(reason: "whose name is not 1 to 32 of a to z, 0 to 9 and -")
        }
        self.name = name
        place = try Self.place(values, base: base)
        for (key, value) in values.sorted(by: { $0.key < $1.key }) where !Self.places.contains(key) {
            try set(key, value)
        }
    }

    private static let places = ["directory", "s3"]

    private static func place(_ values: [String: Any], base: String) throws -> String {
        switch (values["directory"], values["s3"]) {
        case (let directory as String, nil) where !directory.isEmpty:
            return URL(fileURLWithPath: directory, relativeTo: URL(fileURLWithPath: base, isDirectory: true))
                .standardizedFileURL.path
        case (nil, let location as String):
            do { _ = try S3Location(location) } catch {
                throw Refusal(reason: "whose s3 is no place: \(error)")
            }
            return location
        default:
            throw Refusal(reason: "without either a directory or an s3:// place, as text")
        }
    }

    private static let known = [
        "directory", "s3", "snapshot-every", "snapshot-at", "snapshot-window", "keep-last", "keep-hourly",
        "keep-daily", "keep-weekly", "keep-monthly", "verify-every", "verify-percent", "drill-every",
        "drill-sample", "rate",
    ]

    private mutating func set(_ key: String, _ value: Any) throws {
        func number(_ range: ClosedRange<Int>) throws -> Int {
            guard let number = value as? Int, range.contains(number) else {
                throw Refusal(
                    reason:
                        "whose \(key) is '\(value)': it must be a number from \(range.lowerBound) to \(range.upperBound)"
                )
            }
            return number
        }
        func every() throws -> JobSchedule {
            guard let seconds = (value as? String).flatMap(JobSchedule.interval) else {
                throw Refusal(
                    reason: "whose \(key) is '\(value)': it must be a number and s, m, h or d, such as 24h")
            }
            return .every(seconds)
        }
        let counts = 0...10_000
        switch key {
        case "snapshot-every", "snapshot-at":
            guard snapshots == .never else {
                throw Refusal(reason: "with both snapshot-every and snapshot-at")
            }
            if key == "snapshot-every" {
                snapshots = try every()
            } else {
                guard let minute = (value as? String).flatMap(JobSchedule.minute) else {
                    throw Refusal(reason: "whose \(key) is '\(value)': it must be HH:MM, such as 02:30")
                }
                snapshots = .daily(minute: minute)
            }
        case "snapshot-window":
            guard let window = (value as? String).flatMap({ ScrubWindow($0) }) else {
                throw Refusal(
                    reason:
                        "whose \(key) is '\(value)': it must be always or HH:MM-HH:MM, such as 22:00-06:00"
                )
            }
            self.window = window
        case "keep-last": retention.last = try number(counts)
        case "keep-hourly": retention.hourly = try number(counts)
        case "keep-daily": retention.daily = try number(counts)
        case "keep-weekly": retention.weekly = try number(counts)
        case "keep-monthly": retention.monthly = try number(counts)
        case "verify-every": verification = try every()
        case "verify-percent": verifyPercent = try number(0...100)
        case "drill-every": drills = try every()
        case "drill-sample": drillSample = try number(1...1_000_000)
        case "rate": rate = try number(0...1_000_000_000_000)
        default:
            throw Refusal(
                reason: "with a member '\(key)', which \(NearestName.hint(key, among: Self.known))")
        }
    }
}

extension ServerSettings {
    /// Where a repository is that a command names: by its name in the settings, or by its directory.
    public func repositoryPlace(_ text: String) -> String {
        repositories.first { $0.name == text }?.place ?? RepositoryPlace.absolute(text)
    }
}
