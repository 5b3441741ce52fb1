import Foundation
import Integrity
import Logging
import Model
import ObjectStore

/// A setting that makes no sense, by name, with where it came from.
public struct SettingError: Error, CustomStringConvertible {
    public let setting: String
    public let source: String
    public let reason: String

    public init(setting: String, source: String, reason: String) {
        self.setting = setting
        self.source = source
        self.reason = reason
    }

    public var description: String { "setting '\(setting)' (\(source)) \(reason)" }
}

/// Everything about a server that can be set: by a flag, or else by the environment, or else in the settings
/// file, or else as it stands here.
public struct ServerSettings: Sendable {
    public let directory: String
    public var volumePaths: [String]
    public var listen = Endpoint(host: "127.0.0.1", port: 9000)
    public var admin = Endpoint(host: "127.0.0.1", port: 9001)
    public var region = "us-east-1"
    public var domains = ["localhost"]
    public var allowsSignatureV2 = false
    public var historyHours = 7 * 24
    public var deadlineSeconds = 10
    /// How long a day of lifecycle rules is; shorter in tests, and then times are not rounded to midnight.
    public var lifecycleDaySeconds = 86_400
    /// Changes that lifecycle rules make in a second at most.
    public var lifecycleRate = 200
    public var workers = 8
    public var connectionLimit = 1024
    /// Files of the S3 listener's certificate chain and its key; both or none.
    public var tlsCertificate: String?
    public var tlsKey: String?
    public var accessLogSeconds = 300
    public var logLevel = Logger.Level.notice
    /// Users that a store is started with; those that exist already stay as they are. In the file only.
    public var users: [UserSetting] = []
    /// Whom notifications go to. In the file only.
    public var sinks: [SinkSetting] = []
    /// Where snapshots are taken to, by themselves. In the file only.
    public var repositories: [RepositorySetting] = []
    /// New buckets belong to their owner alone and are blocked to the public.
    public var bucketsStartLocked = true
    /// Where the master keys are, if not in the state directory.
    public var masterKeys: String?
    /// Whether keys of customers may come over plain HTTP, where everyone on the way reads them.
    public var allowsCustomerKeysOverHTTP = false
    /// Whether a new store is one that faults may be planted in.
    public var isTestStore = false
    /// Whether new buckets begin with encryption by the store's own key.
    public var encryptsNewBuckets = false

    /// Within how many days every byte is read back; 0 for never.
    public var scrubPeriodDays = 30
    public var scrubWindow = ScrubWindow.always
    /// Percent of the time in which uploads are read back, while the confirmation keeps up.
    public var verifyShare = 25
    /// Bytes per second that a volume that was away is filled with; 0 for as fast as the disks are.
    public var refillRate = 0
    /// So many places found damaged make an incident…
    public var incidentFindings = 5
    /// …within so many seconds.
    public var incidentSeconds = 600

    public var watching = WatchSettings()
    public var admission = AdmissionSettings()

    public init(directory: String) {
        self.directory = directory
        volumePaths = (1...Limits.volumeCount).map { "\(directory)/volume-\($0)" }
    }

    public struct Endpoint: Sendable, Hashable, CustomStringConvertible {
        public let host: String
        public let port: Int

        public init(host: String, port: Int) {
            self.host = host
            self.port = port
        }

        public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

        /// `host:port`; an IPv6 address stands in brackets. Port 0 takes a free one.
        init?(_ text: String) {
            guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
                (0...65_535).contains(port)
            else { return nil }
            var host = text[..<colon]
            if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
            guard !host.isEmpty else { return nil }
            self.init(host: String(host), port: port)
        }
    }

    /// The settings file's name in a store's directory.
    public static let fileName = "holdfast.json"

    public var scrubSchedule: ScrubSchedule {
        ScrubSchedule(
            periodSeconds: scrubPeriodDays == 0 ? nil : Double(scrubPeriodDays) * 86_400, window: scrubWindow)
    }

    public var incidents: IncidentSettings {
        IncidentSettings(burstCount: incidentFindings, windowSeconds: incidentSeconds)
    }

    public var store: StoreSettings {
        var settings = StoreSettings(stateDirectory: directory + "/state", volumePaths: volumePaths)
        settings.historySeconds = UInt64(historyHours) * 3600
        settings.operationDeadline = .seconds(deadlineSeconds)
        settings.refillBytesPerSecond = refillRate == 0 ? nil : UInt64(refillRate)
        settings.payloadCacheByteCount = admission.cacheBytes
        return settings
    }

    /// Puts together what file, environment and flags say.
    /// - Parameters:
    ///   - flags: values by the names of ``SettingName``.
    /// - Throws: ``SettingError``.
    public static func load(
        directory: String, environment: [String: String], flags: [(name: String, value: String)]
    ) throws -> ServerSettings {
        var settings = ServerSettings(directory: URL(fileURLWithPath: directory).standardizedFileURL.path)
        let file = settings.directory + "/" + fileName
        for (name, value) in try SettingsFile.values(file) { try settings.set(name, value, source: file) }
        settings.users = try UserSetting.users(file)
        settings.sinks = try SinkSetting.sinks(file)
        settings.repositories = try RepositorySetting.repositories(file, directory: settings.directory)
        settings.admission.rates = try RateLimitSettings.load(file)
        for name in SettingName.allCases {
            guard let value = environment[name.environmentName] else { continue }
            try settings.set(name.rawValue, value, source: name.environmentName)
        }
        for (name, value) in flags {
            let hasFlag = [.volumes, .listen, .admin].contains(SettingName(rawValue: name))
            try settings.set(name, value, source: hasFlag ? "--\(name)" : "--set \(name)")
        }
        try settings.checkTLS()
        return settings
    }

    private func checkTLS() throws {
        guard (tlsCertificate == nil) != (tlsKey == nil) else { return }
        let (set, missing): (SettingName, SettingName) =
            tlsKey == nil ? (.tlsCertificate, .tlsKey) : (.tlsKey, .tlsCertificate)
        throw SettingError(
            setting: missing.rawValue, source: "not set",
            reason: "goes together with '\(set.rawValue)', which is set")
    }

    mutating func set(_ name: String, _ value: String, source: String) throws {
        func fail(_ reason: String) -> SettingError {
            SettingError(setting: name, source: source, reason: reason)
        }
        guard let setting = SettingName(rawValue: name) else {
            let known = SettingName.allCases.map(\.rawValue).joined(separator: ", ")
            throw fail("is unknown; there are \(known)")
        }
        func number(_ range: ClosedRange<Int>) throws -> Int {
            guard let number = Int(value), range.contains(number) else {
                throw fail(
                    "is '\(value)': it must be a number from \(range.lowerBound) to \(range.upperBound)")
            }
            return number
        }
        func endpoint() throws -> Endpoint {
            guard let endpoint = Endpoint(value) else {
                throw fail("is '\(value)': it must be HOST:PORT, such as 127.0.0.1:9000")
            }
            return endpoint
        }
        func path(_ text: String) -> String {
            // A directory that does not exist yet is one all the same.
            let base = URL(fileURLWithPath: directory, isDirectory: true)
            return URL(fileURLWithPath: text, relativeTo: base).standardizedFileURL.path
        }
        switch setting {
        case .tlsCertificate: tlsCertificate = value.isEmpty ? nil : path(value)
        case .tlsKey: tlsKey = value.isEmpty ? nil : path(value)
        case .accessLogSeconds: accessLogSeconds = try number(1...86_400)
        case .volumes:
            let paths = Self.list(value).map(path)
            guard paths.count == Limits.volumeCount, Set(paths).count == paths.count else {
                throw fail(
                    "names \(paths.count) directories: it takes \(Limits.volumeCount) different ones")
            }
            volumePaths = paths
        case .listen: listen = try endpoint()
        case .admin: admin = try endpoint()
        case .region:
            guard !value.isEmpty, value.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x2F }) else {
                throw fail("is '\(value)': it must be a name such as us-east-1")
            }
            region = value
        case .domains: domains = Self.list(value).map { $0.lowercased() }
        case .signatureV2:
            guard ["on", "off"].contains(value) else { throw fail("is '\(value)': it must be on or off") }
            allowsSignatureV2 = value == "on"
        case .historyHours: historyHours = try number(0...87_600)
        case .deadlineSeconds: deadlineSeconds = try number(1...3600)
        case .lifecycleDaySeconds: lifecycleDaySeconds = try number(1...86_400)
        case .lifecycleRate: lifecycleRate = try number(1...100_000)
        case .scrubPeriodDays: scrubPeriodDays = try number(0...3650)
        case .scrubWindow:
            guard let window = ScrubWindow(value) else {
                throw fail("is '\(value)': it must be always or HH:MM-HH:MM, such as 22:00-06:00")
            }
            scrubWindow = window
        case .verifyShare: verifyShare = try number(1...100)
        case .incidentFindings: incidentFindings = try number(1...1_000_000)
        case .incidentSeconds: incidentSeconds = try number(1...86_400)
        case .refillRate: refillRate = try number(0...1_000_000_000_000)
        case .workers: workers = try number(1...256)
        case .connections: connectionLimit = try number(1...100_000)
        case .masterKeys:
            masterKeys =
                URL(fileURLWithPath: value, relativeTo: URL(fileURLWithPath: directory))
                .standardizedFileURL.path
        case .customerKeysOverHTTP:
            guard let allowed = Bool(value) else { throw fail("is '\(value)': it must be true or false") }
            allowsCustomerKeysOverHTTP = allowed
        case .testStore:
            guard let isTest = Bool(value) else { throw fail("is '\(value)': it must be true or false") }
            isTestStore = isTest
        case .defaultEncryption:
            guard ["none", "AES256"].contains(value) else {
                throw fail("is '\(value)': it must be none or AES256")
            }
            encryptsNewBuckets = value == "AES256"
        case .logLevel:
            guard let level = Logger.Level(rawValue: value) else {
                let known = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
                throw fail("is '\(value)': it must be one of \(known)")
            }
            logLevel = level
        case .logFormat, .requestLog, .traceEndpoint, .traceRatio:
            if let reason = watching.set(setting, value) { throw fail(reason) }
        case .admission, .readsAtOnce, .writesAtOnce, .listsAtOnce, .adminAtOnce, .queueMilliseconds,
            .bodyMemory,
            .idleSeconds, .headerSeconds, .minimumRate, .graceSeconds, .cacheBytes:
            if let reason = admission.set(setting, value) { throw fail(reason) }
        case .bucketsStart:
            guard value == "locked" || value == "open" else {
                throw fail(
                    "is '\(value)': it must be locked (owner enforced, public access blocked) or open (with ACLs, as before 2023)"
                )
            }
            bucketsStartLocked = value == "locked"
        }
    }

    private static func list(_ text: String) -> [String] {
        text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
    }
}

/// The settings, by the name that the file and the flags have for them.
public enum SettingName: String, CaseIterable, Sendable {
    case volumes, listen, admin, region, domains, workers, connections
    case signatureV2 = "signature-v2"
    case historyHours = "history-hours"
    case deadlineSeconds = "deadline-seconds"
    case lifecycleDaySeconds = "lifecycle-day-seconds"
    case lifecycleRate = "lifecycle-rate"
    case scrubPeriodDays = "scrub-period-days"
    case scrubWindow = "scrub-window"
    case verifyShare = "verify-share"
    case refillRate = "refill-rate"
    case incidentFindings = "incident-findings"
    case incidentSeconds = "incident-seconds"
    case logLevel = "log-level"
    case logFormat = "log-format"
    case requestLog = "request-log"
    case traceEndpoint = "trace-endpoint"
    case traceRatio = "trace-ratio"
    case bucketsStart = "buckets-start"
    case tlsCertificate = "tls-certificate"
    case tlsKey = "tls-key"
    case accessLogSeconds = "access-log-seconds"
    case masterKeys = "master-keys"
    case customerKeysOverHTTP = "sse-c-over-http"
    case defaultEncryption = "default-encryption"
    case testStore = "test-store"
    case admission
    case readsAtOnce = "reads-at-once"
    case writesAtOnce = "writes-at-once"
    case listsAtOnce = "lists-at-once"
    case adminAtOnce = "admin-at-once"
    case queueMilliseconds = "queue-milliseconds"
    case bodyMemory = "body-memory"
    case idleSeconds = "idle-seconds"
    case headerSeconds = "header-seconds"
    case minimumRate = "minimum-rate"
    case graceSeconds = "grace-seconds"
    case cacheBytes = "cache-bytes"

    public var environmentName: String {
        "HOLDFAST_" + rawValue.uppercased().replacingOccurrences(of: "-", with: "_")
    }
}

/// The settings file: one JSON object of strings, numbers and lists of strings.
enum SettingsFile {
    /// What a member may be.
    private enum Value: Decodable {
        case text(String)
        case other

        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            // Which of them it is, is found by trying.
            if let text = try? value.decode(String.self) {
                self = .text(text)
            } else if let number = try? value.decode(Int.self) {
                self = .text(String(number))
            } else if let list = try? value.decode([String].self) {
                self = .text(list.joined(separator: ","))
            } else {
                self = .other
            }
        }
    }

    static func values(_ path: String) throws -> [(name: String, value: String)] {
        guard FileManager.default.fileExists(atPath: path) else { return [] }
        let members: [String: Value]
        do {
            let text = try Data(contentsOf: URL(fileURLWithPath: path))
            members = try JSONDecoder().decode([String: Value].self, from: text)
        } catch DecodingError.typeMismatch {
            throw SettingError(setting: "all of them", source: path, reason: "are not one JSON object")
        } catch DecodingError.dataCorrupted(let context) {
            let reason = context.underlyingError.map { "\($0)" } ?? context.debugDescription
            throw SettingError(setting: "all of them", source: path, reason: "cannot be read: \(reason)")
        } catch {
            throw SettingError(setting: "all of them", source: path, reason: "cannot be read: \(error)")
        }
        return try members.filter {
            ![UserSetting.name, SinkSetting.name, RepositorySetting.member, RateLimitSettings.member]
                .contains($0.key)
        }.sorted {
            $0.key < $1.key
        }.map {
            name, value in
            guard case .text(let text) = value else {
                throw SettingError(
                    setting: name, source: path, reason: "is neither a string, a number nor a list of strings"
                )
            }
            return (name, text)
        }
    }

    /// A member that is more than text: `nil` where the file, or the member, is not there.
    /// - Throws: ``SettingError``, by the member's name, if the file cannot be read.
    static func member(_ name: String, of path: String) throws -> Any? {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        do {
            let whole = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(fileURLWithPath: path)))
            return (whole as? [String: Any])?[name]
        } catch {
            throw SettingError(
                setting: name, source: path, reason: "cannot be read: \(error.localizedDescription)")
        }
    }

    static func text(_ values: [String: [String]]) throws -> Data {
        try JSONSerialization.data(
            withJSONObject: values, options: [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes])
    }
}
