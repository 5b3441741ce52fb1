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

    /// - Returns: why the value makes no sense; `nil` if it was taken.
    mutating func set(_ setting: SettingName, _ value: String) -> String? {
        func number(_ range: ClosedRange<Int>, _ take: (Int) -> Void) -> String? {
            guard let number = Int(value), range.contains(number) else {
                return "is '\(value)': it must be a number from \(range.lowerBound) to \(range.upperBound)"
            }
            take(number)
            return nil
        }
        switch setting {
        case .healing: return setActions(value)
        case .healReturnsPerHour: return number(1...3600) { store.returnsPerHour = $0 }
        case .healRepairsPerMinute: return number(1...1_000_000) { store.repairsPerMinute = $0 }
        case .healRestartsPerHour: return number(1...60) { store.restartsPerHour = $0 }
        case .healFreePercent: return number(0...99) { store.freePercent = $0 }
        case .jobStallSeconds: return number(60...604_800) { stallSeconds = $0 }
        default: preconditionFailure("\(setting.rawValue) is about something else")
        }
    }

    private mutating func setActions(_ value: String) -> String? {
        let words = value.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }
        switch words {
        case ["all"]: store.allowed = Set(HealingSettings.Action.allCases)
        case ["none"]: store.allowed = []
        default:
            let actions = words.compactMap(HealingSettings.Action.init(rawValue:))
            guard !words.isEmpty, actions.count == words.count else {
                let known = HealingSettings.Action.allCases.map(\.rawValue).joined(separator: ", ")
                return "is '\(value)': it must be all, none, or some of \(known)"
            }
            store.allowed = Set(actions)
        }
        return nil
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
