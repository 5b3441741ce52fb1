import Integrity

/// The hours in which jobs begin by themselves, of those that are not said elsewhere:
/// `"job-windows": {"verify": "22:00-06:00", "prune:nas": "01:00-05:00"}`, by a kind of job, or by one job's name, which counts
/// before its kind.
package struct JobWindows: Sendable, Equatable {
    static let member = "job-windows"

    private var windows: [String: ScrubWindow] = [:]

    package init() {}

    /// The member `job-windows` of a settings file.
    /// - Parameter repositories: whose jobs there are.
    /// - Throws: ``SettingError``, which names what makes no sense.
    init(_ path: String, repositories: [String]) throws {
        func bad(_ reason: String) -> SettingError {
            SettingError(setting: Self.member, source: path, reason: reason)
        }
        guard let found = try SettingsFile.member(Self.member, of: path) else { return }
        guard let members = found as? [String: Any] else {
            throw bad("is no object, such as {\"verify\": \"22:00-06:00\"}")
        }
        let names = Self.names(repositories)
        let pairs = try SettingError.map(members.sorted { $0.key < $1.key }) { name, value in
            if let place = Self.elsewhere(name) { throw bad("has '\(name)': its hours are \(place)") }
            guard names.contains(name) else {
                throw bad(
                    "has '\(name)', which is no job; the nearest is '\(NearestName.of(name, among: names))'")
            }
            guard let window = (value as? String).flatMap({ ScrubWindow($0) }) else {
                throw bad(
                    "whose \(name) is '\(value)': it must be always or HH:MM-HH:MM, such as 22:00-06:00")
            }
            return (name, window)
        }
        windows = Dictionary(uniqueKeysWithValues: pairs)
    }

    /// What may have a window here.
    private static let kinds = JobKind.allCases.filter { !$0.rule.isContinuous && $0 != .snapshot }

    private static func names(_ repositories: [String]) -> [String] {
        kinds.map(\.rawValue)
            + kinds.filter { $0.rule.needs == .snapshot }.flatMap { kind in
                repositories.map { JobDefinition.name(kind, $0) }
            }
    }

    /// Which setting says it instead; `nil` for a job that has none, or that is none.
    private static func elsewhere(_ name: String) -> String? {
        switch JobKind(rawValue: String(name.prefix { $0 != ":" })) {
        case .scrub: "the setting 'scrub-window'"
        case .snapshot: "its repository's 'snapshot-window'"
        case .some(let kind) where kind.rule.isContinuous: "all: it goes on all the time"
        default: nil
        }
    }

    /// In the order of the names.
    var names: [String] { windows.keys.sorted() }

    /// The job as it may run.
    package func applied(to job: JobDefinition) -> JobDefinition {
        guard let window = windows[job.name] ?? windows[job.kind.rawValue] else { return job }
        var job = job
        job.window = window
        return job
    }
}
