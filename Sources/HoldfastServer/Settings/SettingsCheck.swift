import Foundation
import Logging
import ObjectStore
import S3Repository
import Volumes

/// Looks at settings as a start would, down to the files that they name, and touches nothing: all that would keep a server
/// from starting is told at once, and what only looks like a mistake as a warning.
public struct SettingsCheck: Sendable {
    public struct Problem: Codable, Sendable, Equatable, CustomStringConvertible {
        public enum Severity: String, Codable, Sendable { case error, warning }
        public let severity: Severity
        public let setting: String
        /// Where it was set: the file's path, the variable, the flag.
        public let source: String
        public let problem: String

        public var description: String {
            "\(severity == .warning ? "warning: " : "")setting '\(setting)' (\(source)) \(problem)"
        }
    }

    public let settings: ServerSettings
    public private(set) var problems: [Problem] = []

    public var isGood: Bool { !problems.contains { $0.severity == .error } }

    /// What is wrong, as the reason why a server does not start; `nil` if nothing is.
    public var refusal: SettingsRefusal? {
        isGood ? nil : SettingsRefusal(problems: problems.filter { $0.severity == .error })
    }

    /// - Parameter flags: values by the names of ``SettingName``.
    public init(
        directory: String, environment: [String: String], flags: [(name: String, value: String)]
    ) {
        let (settings, problems) = ServerSettings.read(
            directory: directory, environment: environment, flags: flags)
        self.settings = settings
        for problem in problems { note(problem) }
        checkAddresses()
        checkSockets()
        checkFiles(environment)
        checkModes()
        checkRepositories(environment)
        for user in settings.users {
            noting(UserSetting.name, file) { try user.check() }
        }
        checkVariables(environment)
    }

    private var file: String { settings.directory + "/" + ServerSettings.fileName }

    private mutating func note(_ error: SettingError, _ severity: Problem.Severity = .error) {
        problems.append(
            Problem(severity: severity, setting: error.setting, source: error.source, problem: error.reason))
    }

    private mutating func noting(_ setting: String, _ source: String, _ body: () throws -> Void) {
        do { try body() } catch let error as SettingError { note(error) } catch {
            note(SettingError(setting: setting, source: source, reason: "cannot be used: \(error)"))
        }
    }

    private mutating func checkAddresses() {
        guard settings.listen == settings.admin, settings.listen.port != 0 else { return }
        note(
            SettingError(
                setting: SettingName.admin.rawValue, source: settings.origins[.admin] ?? "default",
                reason: "is \(settings.admin), which is where S3 clients connect: it takes a port of its own")
        )
    }

    /// The path of a Unix socket may be long, and not as long as others.
    private mutating func checkSockets() {
        let state = settings.store.stateDirectory
        let paths = [AdminSocket.path(state), TakeoverSocket.path(state)]
        guard let path = paths.max(by: { $0.utf8.count < $1.utf8.count }), path.utf8.count > unixPathLimit
        else { return }
        note(
            SettingError(
                setting: "directory", source: "command line",
                reason:
                    "is too long by \(path.utf8.count - unixPathLimit) bytes: the socket \(path) has \(path.utf8.count), and the path of a socket may have \(unixPathLimit); a shorter path, a symbolic link to it too, will do"
            ))
    }

    /// The files of secrets, each read as a start reads it.
    private mutating func checkFiles(_ environment: [String: String]) {
        if let certificate = settings.tlsCertificate, let key = settings.tlsKey {
            noting(SettingName.tlsCertificate.rawValue, certificate) {
                do {
                    _ = try TLSCertificates(certificate: certificate, key: key, Logger(label: "check"))
                } catch let error as TLSCertificates.Unreadable {
                    throw error.setting
                }
            }
        }
        let state = settings.store.stateDirectory
        do { _ = try KeyStore(stateDirectory: state, environment: environment) } catch {
            let isEnvironment =
                switch error as? KeyError {
                case .incompleteEnvironment, .tooShort: true
                default: false
                }
            note(
                SettingError(
                    setting: isEnvironment ? "root-access-key" : "keys",
                    source: isEnvironment ? "environment" : state + "/keys.json",
                    reason: "cannot be used: \(error)"))
        }
        let known = settings
        noting(SettingName.metricsToken.rawValue, known.origins[.metricsToken] ?? "default") {
            _ = try MetricsToken(known)
        }
        let masterKeys = settings.masterKeysPath
        noting(SettingName.masterKeys.rawValue, settings.origins[.masterKeys] ?? "default") {
            _ = try MasterKeyStore(path: masterKeys)
        }
        guard let source = settings.origins[.masterKeys],
            !FileManager.default.fileExists(atPath: settings.masterKeysPath)
        else { return }
        note(
            SettingError(
                setting: SettingName.masterKeys.rawValue, source: source,
                reason:
                    "names \(settings.masterKeysPath), which is not there: a store that has enciphered objects cannot read them; a new one makes it with the first key"
            ), .warning)
    }

    /// Whether others may open the files of secrets that say nothing of it when they are read.
    private mutating func checkModes() {
        let own = OwnSecrets(settings)
        var open: [OpenSecretError] = []
        noting("keys", settings.store.stateDirectory) { open = try own.open() }
        for secret in open {
            note(
                SettingError(
                    setting: "keys", source: secret.path,
                    reason: "is the server's own: \(secret.finding); a start gives it mode 600"),
                .warning)
        }
        var given: [(setting: String, path: String)] = []
        if !own.paths.contains(settings.masterKeysPath) {
            given.append((SettingName.masterKeys.rawValue, settings.masterKeysPath))
        }
        // Without users it has no secrets.
        if !settings.users.isEmpty { given.append((UserSetting.name, file)) }
        for (setting, path) in given {
            noting(setting, path) {
                guard let refusal = try SecretFile(at: path, isGiven: true)?.refusal(at: path) else { return }
                throw SettingError(setting: setting, source: path, reason: "is refused: \(refusal)")
            }
        }
    }

    /// Keys and certificates of repositories at endpoints. The endpoint itself is not asked: a server starts without it. Without
    /// the keys none of the repository's jobs could ever run, which is found out here and not when the first snapshot is due.
    private mutating func checkRepositories(_ environment: [String: String]) {
        for repository in settings.repositories {
            // The others are directories; what is no place was told of when the settings were read.
            guard let location = try? S3Location(repository.place) else { continue }
            func looking(_ look: () throws -> Void) {
                do { try look() } catch {
                    note(
                        SettingError(
                            setting: RepositorySetting.member, source: file,
                            reason: "has a repository '\(repository.name)' that cannot be used: \(error)"))
                }
            }
            looking { try location.checkCredentials(environment: environment) }
            looking { try location.checkAuthorities() }
        }
    }

    /// A variable that is none of ours may be anybody's (Kubernetes sets `HOLDFAST_PORT` and the like beside a service of
    /// that name), but one that is nearly ours is more likely a slip.
    private mutating func checkVariables(_ environment: [String: String]) {
        let known =
            SettingName.allCases.map(\.environmentName)
            + ["HOLDFAST_ROOT_ACCESS_KEY", "HOLDFAST_ROOT_SECRET_KEY"]
        for variable in environment.keys.sorted()
        where variable.hasPrefix("HOLDFAST_") && !known.contains(variable) {
            let nearest = NearestName.of(variable, among: known)
            guard NearestName.distance(variable, nearest) <= 2 else { continue }
            note(
                SettingError(
                    setting: variable, source: "environment",
                    reason: "is unknown; the nearest is '\(nearest)'"),
                .warning)
        }
    }
}

/// Why a server does not start: every setting that makes no sense, each on a line.
public struct SettingsRefusal: Error, CustomStringConvertible {
    public let problems: [SettingsCheck.Problem]
    public var description: String { problems.map(\.description).joined(separator: "\n") }
}
