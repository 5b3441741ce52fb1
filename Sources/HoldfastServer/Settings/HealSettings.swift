import Foundation
import ObjectStore

/// What a server does by itself to heal, and how much of it: `Documentation/healing.md`.
public struct HealSettings: Sendable {
    /// How often a volume is brought back within an hour, unless the settings say otherwise: more than the faults of a bad
    /// day, less than those of a cable that is loose.
    static let returnsPerHour = 20
    static let repairsPerMinute = 600

    public var store = HealingSettings()
    /// A run of a job that tells nothing for so many seconds hangs.
    public var stallSeconds = 3600

    public init() {
        store.returnsPerHour = Self.returnsPerHour
        store.repairsPerMinute = Self.repairsPerMinute
    }

    mutating func set(_ setting: SettingName, _ value: String) throws(SettingRefusal) {
        switch setting {
        case .healing: try setActions(value)
        case .healReturnsPerHour: store.returnsPerHour = try value.number(in: 1...3600)
        case .healRepairsPerMinute: store.repairsPerMinute = try value.number(in: 1...1_000_000)
        case .healRestartsPerHour: store.restartsPerHour = try value.number(in: 1...60)
        case .healFreePercent: store.freePercent = try value.number(in: 0...99)
        case .jobStallSeconds: stallSeconds = try value.number(in: 60...604_800)
        default: preconditionFailure("\(setting.rawValue) is about something else")
        }
    }

    private mutating func setActions(_ value: String) throws(SettingRefusal) {
        let words = value.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
        switch words {
        case ["all"]: store.allowed = Set(HealingSettings.Action.allCases)
        case ["none"]: store.allowed = []
        default:
            let actions = words.compactMap(HealingSettings.Action.init(rawValue:))
            guard !words.isEmpty, actions.count == words.count else {
                let known = HealingSettings.Action.allCases.map(\.rawValue).joined(separator: ", ")
                throw SettingRefusal("is '\(value)': it must be all, none, or some of \(known)")
            }
            store.allowed = Set(actions)
        }
    }

    /// A setting's value, as the settings file would write it; `nil` for what is about something else.
    func text(of setting: SettingName) -> String? {
        switch setting {
        case .healing:
            store.allowed.count == HealingSettings.Action.allCases.count
                ? "all"
                : store.allowed.isEmpty
                    ? "none" : store.allowed.map(\.rawValue).sorted().joined(separator: ",")
        case .healReturnsPerHour: store.returnsPerHour.map(String.init)
        case .healRepairsPerMinute: store.repairsPerMinute.map(String.init)
        case .healRestartsPerHour: String(store.restartsPerHour)
        case .healFreePercent: String(store.freePercent)
        case .jobStallSeconds: String(stallSeconds)
        default: nil
        }
    }
}
