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
    /// What else makes no sense, found on the way.
    public var others: [SettingError] = []

    public init(setting: String, source: String, reason: String) {
        self.setting = setting
        self.source = source
        self.reason = reason
    }

    public var description: String {
        (["setting '\(setting)' (\(source)) \(reason)"] + others.map(\.description)).joined(separator: "\n")
    }

    /// This one and the others, each alone.
    var each: [SettingError] {
        var alone = self
        alone.others = []
        return [alone] + others
    }

    init?(_ errors: [SettingError]) {
        guard var first = errors.first else { return nil }
        first.others = Array(errors.dropFirst())
        self = first
    }

    /// What `make` makes of each item.
    /// - Throws: ``SettingError`` of all the items that make no sense, else what `make` throws.
    static func map<Item, Value>(_ items: [Item], _ make: (Item) throws -> Value) throws -> [Value] {
        var values: [Value] = []
        var errors: [SettingError] = []
        for item in items {
            do { values.append(try make(item)) } catch let error as SettingError { errors += error.each }
        }
        if let error = SettingError(errors) { throw error }
        return values
    }
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
    package var jobWindows = JobWindows()
    /// New buckets belong to their owner alone and are blocked to the public.
    public var bucketsStartLocked = true
    /// The file with the token that metrics are shown for; `nil` shows them to whoever reaches the admin listener.
    public var metricsTokenPath: String?
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
    public var healing = HealSettings()

    /// Seconds for which a server that is told to stop says so to probes before it takes no more connections.
    public var drainDelaySeconds = 0
    /// Seconds that the requests under way may take then.
    public var drainSeconds = 20

    /// Where each setting was set that is not as it stands here.
    package internal(set) var origins: [SettingName: String] = [:]

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
        settings.healing = healing.store
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
        let found = read(directory: directory, environment: environment, flags: flags)
        if let error = SettingError(found.problems) { throw error }
        return found.settings
    }

    /// - Throws: ``SettingError``.
    mutating func set(_ name: String, _ value: String, source: String) throws {
        guard let setting = SettingName(rawValue: name) else {
            guard !SettingsFile.sections.contains(name) else {
                throw SettingError(
                    setting: name, source: source,
                    reason: "is more than a text: it stands in \(Self.fileName) alone")
            }
            let known = SettingName.allCases.map(\.rawValue) + SettingsFile.sections
            throw SettingError(
                setting: name, source: source, reason: NearestName.hint(name, among: known))
        }
        do { try set(setting, value) } catch {
            throw SettingError(setting: name, source: source, reason: error.reason)
        }
        origins[setting] = source
    }

    private mutating func set(_ setting: SettingName, _ value: String) throws(SettingRefusal) {
        func endpoint() throws(SettingRefusal) -> Endpoint {
            guard let endpoint = Endpoint(value) else {
                throw SettingRefusal("is '\(value)': it must be HOST:PORT, such as 127.0.0.1:9000")
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
        case .metricsToken: metricsTokenPath = value.isEmpty ? nil : path(value)
        case .accessLogSeconds: accessLogSeconds = try value.number(in: 1...86_400)
        case .volumes:
            let paths = Self.list(value).map(path)
            guard paths.count == Limits.volumeCount, Set(paths).count == paths.count else {
                throw SettingRefusal(
                    "names \(paths.count) directories: it takes \(Limits.volumeCount) different ones")
            }
            volumePaths = paths
        case .listen: listen = try endpoint()
        case .admin: admin = try endpoint()
        case .region:
            guard !value.isEmpty, value.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x2F }) else {
                throw SettingRefusal("is '\(value)': it must be a name such as us-east-1")
            }
            region = value
        case .domains: domains = Self.list(value).map { $0.lowercased() }
        case .signatureV2:
            guard ["on", "off"].contains(value) else {
                throw SettingRefusal("is '\(value)': it must be on or off")
            }
            allowsSignatureV2 = value == "on"
        case .historyHours: historyHours = try value.number(in: 0...87_600)
        case .deadlineSeconds: deadlineSeconds = try value.number(in: 1...3600)
        case .lifecycleDaySeconds: lifecycleDaySeconds = try value.number(in: 1...86_400)
        case .lifecycleRate: lifecycleRate = try value.number(in: 1...100_000)
        case .scrubPeriodDays: scrubPeriodDays = try value.number(in: 0...3650)
        case .scrubWindow:
            guard let window = ScrubWindow(value) else {
                throw SettingRefusal("is '\(value)': it must be always or HH:MM-HH:MM, such as 22:00-06:00")
            }
            scrubWindow = window
        case .verifyShare: verifyShare = try value.number(in: 1...100)
        case .incidentFindings: incidentFindings = try value.number(in: 1...1_000_000)
        case .incidentSeconds: incidentSeconds = try value.number(in: 1...86_400)
        case .refillRate: refillRate = try value.number(in: 0...1_000_000_000_000)
        case .workers: workers = try value.number(in: 1...256)
        case .connections: connectionLimit = try value.number(in: 1...100_000)
        case .masterKeys: masterKeys = path(value)
        case .customerKeysOverHTTP: allowsCustomerKeysOverHTTP = try value.truth()
        case .testStore: isTestStore = try value.truth()
        case .defaultEncryption:
            guard ["none", "AES256"].contains(value) else {
                throw SettingRefusal("is '\(value)': it must be none or AES256")
            }
            encryptsNewBuckets = value == "AES256"
        case .logLevel:
            guard let level = Logger.Level(rawValue: value) else {
                let known = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
                throw SettingRefusal("is '\(value)': it must be one of \(known)")
            }
            logLevel = level
        case .logFormat, .requestLog, .traceEndpoint, .traceRatio:
            try watching.set(setting, value)
        case .admission, .readsAtOnce, .writesAtOnce, .listsAtOnce, .adminAtOnce, .queueMilliseconds,
            .bodyMemory, .idleSeconds, .headerSeconds, .minimumRate, .graceSeconds, .cacheBytes:
            try admission.set(setting, value)
        case .healing, .healReturnsPerHour, .healRepairsPerMinute, .healRestartsPerHour, .healFreePercent,
            .jobStallSeconds:
            try healing.set(setting, value)
        case .bucketsStart:
            guard value == "locked" || value == "open" else {
                throw SettingRefusal(
                    "is '\(value)': it must be locked (owner enforced, public access blocked) or open (with ACLs, as before 2023)"
                )
            }
            bucketsStartLocked = value == "locked"
        case .drainDelaySeconds: drainDelaySeconds = try value.number(in: 0...3600)
        case .drainSeconds: drainSeconds = try value.number(in: 0...3600)
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
    case healing
    case healReturnsPerHour = "heal-returns-per-hour"
    case healRepairsPerMinute = "heal-repairs-per-minute"
    case healRestartsPerHour = "heal-restarts-per-hour"
    case healFreePercent = "heal-free-percent"
    case jobStallSeconds = "job-stall-seconds"
    case logLevel = "log-level"
    case logFormat = "log-format"
    case requestLog = "request-log"
    case traceEndpoint = "trace-endpoint"
    case traceRatio = "trace-ratio"
    case bucketsStart = "buckets-start"
    case tlsCertificate = "tls-certificate"
    case tlsKey = "tls-key"
    case accessLogSeconds = "access-log-seconds"
    case metricsToken = "metrics-token"
    case masterKeys = "master-keys"
    case customerKeysOverHTTP = "sse-c-over-http"
    case defaultEncryption = "default-encryption"
    case testStore = "test-store"
    case drainDelaySeconds = "drain-delay-seconds"
    case drainSeconds = "drain-seconds"
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

    public var environmentName: String { Self.environmentName(rawValue) }

    static func environmentName(_ name: String) -> String {
        "HOLDFAST_" + name.uppercased().replacingOccurrences(of: "-", with: "_")
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
            } else if let number = try? value.decode(Double.self) {
                self = .text(String(number))
            } else if let list = try? value.decode([String].self) {
                self = .text(list.joined(separator: ","))
            } else {
                self = .other
            }
        }
    }

    /// The members that are more than text, each with a type of its own.
    static let sections = [
        UserSetting.name, SinkSetting.name, RepositorySetting.member, JobWindows.member,
        RateLimitSettings.member,
    ]

    /// The other members, in the order of their names; `nil` for a value that is no text.
    /// - Throws: ``SettingError`` if the file cannot be read.
    static func values(_ path: String) throws -> [(name: String, value: String?)] {
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
        return members.filter { !sections.contains($0.key) }.sorted { $0.key < $1.key }.map { name, value in
            if case .text(let text) = value { (name, text) } else { (name, nil) }
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
