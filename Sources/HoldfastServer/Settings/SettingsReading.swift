import Foundation

extension ServerSettings {
    /// Puts together what file, environment and flags say, as far as it makes sense.
    /// - Parameter flags: values by the names of ``SettingName``.
    /// - Returns: the settings, and everything about them that makes no sense.
    package static func read(
        directory: String, environment: [String: String], flags: [(name: String, value: String)]
    ) -> (settings: ServerSettings, problems: [SettingError]) {
        var settings = ServerSettings(directory: URL(fileURLWithPath: directory).standardizedFileURL.path)
        var problems: [SettingError] = []
        let file = settings.directory + "/" + fileName
        func noting(_ name: String, _ source: String, _ body: () throws -> Void) {
            do { try body() } catch let error as SettingError { problems += error.each } catch {
                problems.append(
                    SettingError(setting: name, source: source, reason: "cannot be read: \(error)"))
            }
        }
        var values: [(name: String, value: String?)] = []
        noting("all of them", file) { values = try SettingsFile.values(file) }
        // What cannot be read at all is told of once.
        guard problems.isEmpty else { return (settings, problems) }
        for (name, value) in values {
            noting(name, file) {
                if let value { return try settings.set(name, value, source: file) }
                // An unknown name is that first, whatever stands there.
                if SettingName(rawValue: name) == nil { try settings.set(name, "", source: file) }
                throw SettingError(
                    setting: name, source: file, reason: "is neither a string, a number nor a list of strings"
                )
            }
        }
        let base = settings.directory
        noting(UserSetting.name, file) { settings.users = try UserSetting.users(file) }
        noting(SinkSetting.name, file) {
            settings.sinks = try SinkSetting.sinks(file, environment: environment)
        }
        noting(RepositorySetting.member, file) {
            settings.repositories = try RepositorySetting.repositories(file, directory: base)
        }
        noting(JobWindows.member, file) {
            settings.jobWindows = try JobWindows(file, repositories: settings.repositories.map(\.name))
        }
        noting(RateLimitSettings.member, file) { settings.admission.rates = try RateLimitSettings.load(file) }
        for name in SettingName.allCases {
            guard let value = environment[name.environmentName] else { continue }
            noting(name.rawValue, name.environmentName) {
                try settings.set(name.rawValue, value, source: name.environmentName)
            }
        }
        for (name, value) in flags {
            let hasFlag = [.volumes, .listen, .admin].contains(SettingName(rawValue: name))
            let source = hasFlag ? "--\(name)" : "--set \(name)"
            noting(name, source) { try settings.set(name, value, source: source) }
        }
        noting("tls", file) { try settings.checkTLS() }
        return (settings, problems)
    }

    private func checkTLS() throws {
        guard (tlsCertificate == nil) != (tlsKey == nil) else { return }
        let (set, missing): (SettingName, SettingName) =
            tlsKey == nil ? (.tlsCertificate, .tlsKey) : (.tlsKey, .tlsCertificate)
        throw SettingError(
            setting: missing.rawValue, source: "not set",
            reason: "goes together with '\(set.rawValue)', which is set")
    }
}

/// The name that somebody may have meant.
enum NearestName {
    /// - Parameter known: at least one.
    static func of(_ name: String, among known: [String]) -> String {
        guard let nearest = known.min(by: { distance(name, $0) < distance(name, $1) }) else {
            preconditionFailure("there is a name to be near to")
        }
        return nearest
    }

    /// What follows upon a name that is unknown.
    static func hint(_ name: String, among known: [String]) -> String {
        "is unknown; the nearest is '\(of(name, among: known))'; there are \(known.joined(separator: ", "))"
    }

    /// Letters to be put in, taken out or changed to make one name of the other (Levenshtein's distance).
    static func distance(_ one: String, _ other: String) -> Int {
        // Long enough for any name; the file's may be of any length.
        let one = Array(one.lowercased().utf8.prefix(64))
        let other = Array(other.lowercased().utf8.prefix(64))
        var row = Array(0...other.count)
        for (line, byte) in one.enumerated() {
            var diagonal = row[0]
            row[0] = line + 1
            for column in other.indices {
                let above = row[column + 1]
                row[column + 1] = min(above + 1, row[column] + 1, diagonal + (byte == other[column] ? 0 : 1))
                diagonal = above
            }
        }
        return row[other.count]
    }
}
