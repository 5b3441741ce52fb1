import Foundation
import Integrity
import Logging
import Model

/// A setting as it stands, for people and programs to read. What is secret is not in it.
public struct SettingLine: Codable, Sendable, Equatable {
    public let name: String
    /// As the settings file or a flag would write it; of the settings that are more than text, the names in it.
    public let value: String
    /// `default`, or where it was set: the file's path, the variable, the flag.
    public let source: String
    /// What it is where nobody says.
    public let defaultValue: String
    /// The variable that sets it; `nil` for those that stand in the file only.
    public let environment: String?
}

extension ServerSettings {
    private static let standard = "default"
    private static let notShown = "set, not shown"

    /// Every setting, in the order of the names, then what stands in the file only, then the root key.
    public func lines(environment: [String: String]) -> [SettingLine] {
        let standards = ServerSettings(directory: directory)
        let scalars = SettingName.allCases.map { name in
            SettingLine(
                name: name.rawValue, value: text(of: name), source: origins[name] ?? Self.standard,
                defaultValue: standards.text(of: name), environment: name.environmentName)
        }
        let file = directory + "/" + Self.fileName
        let sections = [
            (UserSetting.name, users.map(\.name)), (SinkSetting.name, sinks.map(\.name)),
            (RepositorySetting.member, repositories.map(\.name)), (JobWindows.member, jobWindows.names),
            (RateLimitSettings.member, admission.rates.names),
        ].map { name, names in
            SettingLine(
                name: name, value: names.joined(separator: ","), source: names.isEmpty ? Self.standard : file,
                defaultValue: "", environment: nil)
        }
        let secrets = ["root-access-key", "root-secret-key"].map { name in
            let variable = SettingName.environmentName(name)
            let isSet = environment[variable]?.isEmpty == false
            return SettingLine(
                name: name, value: isSet ? Self.notShown : "", source: isSet ? variable : Self.standard,
                defaultValue: "", environment: variable)
        }
        return scalars.sorted { $0.name < $1.name } + sections + secrets
    }

    /// A setting's value, as the settings file would write it.
    func text(of name: SettingName) -> String {
        switch name {
        case .volumes: volumePaths.joined(separator: ",")
        case .listen: listen.description
        case .admin: admin.description
        case .region: region
        case .domains: domains.joined(separator: ",")
        case .workers: String(workers)
        case .connections: String(connectionLimit)
        case .signatureV2: allowsSignatureV2 ? "on" : "off"
        case .historyHours: String(historyHours)
        case .deadlineSeconds: String(deadlineSeconds)
        case .lifecycleDaySeconds: String(lifecycleDaySeconds)
        case .lifecycleRate: String(lifecycleRate)
        case .scrubPeriodDays: String(scrubPeriodDays)
        case .scrubWindow: scrubWindow.description
        case .verifyShare: String(verifyShare)
        case .refillRate: String(refillRate)
        case .incidentFindings: String(incidentFindings)
        case .incidentSeconds: String(incidentSeconds)
        case .logLevel: logLevel.rawValue
        case .logFormat: watching.logFormat.rawValue
        case .requestLog: watching.requestLog.rawValue
        case .traceEndpoint: watching.traceEndpoint?.description ?? ""
        case .traceRatio: String(watching.traceRatio)
        case .bucketsStart: bucketsStartLocked ? "locked" : "open"
        case .tlsCertificate: tlsCertificate ?? ""
        case .tlsKey: tlsKey ?? ""
        case .accessLogSeconds: String(accessLogSeconds)
        case .metricsToken: metricsTokenPath ?? ""
        case .masterKeys: masterKeysPath
        case .customerKeysOverHTTP: String(allowsCustomerKeysOverHTTP)
        case .defaultEncryption: encryptsNewBuckets ? "AES256" : "none"
        case .testStore: String(isTestStore)
        case .drainDelaySeconds: String(drainDelaySeconds)
        case .drainSeconds: String(drainSeconds)
        case .admission, .readsAtOnce, .writesAtOnce, .listsAtOnce, .adminAtOnce, .queueMilliseconds,
            .bodyMemory, .idleSeconds, .headerSeconds, .minimumRate, .graceSeconds, .cacheBytes:
            admission.text(of: name) ?? ""
        case .healing, .healReturnsPerHour, .healRepairsPerMinute, .healRestartsPerHour, .healFreePercent,
            .jobStallSeconds:
            healing.text(of: name) ?? ""
        }
    }
}
