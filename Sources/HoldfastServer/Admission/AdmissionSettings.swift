import NIOCore

/// How much a server takes on, and whom it waits for.
public struct AdmissionSettings: Sendable {
    /// `adaptive` limits follow from how long requests take, `fixed` ones are the maxima; `off` lets everybody in.
    public enum Mode: String, Sendable, CaseIterable { case adaptive, fixed, off }

    public var mode = Mode.adaptive
    /// Requests of a class that are worked at at once, at most.
    public var readsAtOnce = 512
    public var writesAtOnce = 512
    public var listsAtOnce = 64
    public var adminAtOnce = 64
    /// How long a request waits to be let in; 0 for not at all.
    public var queueMilliseconds = 100
    /// Bytes that bodies of requests and answers may take in memory, all together.
    public var bodyMemory = 256 * 1024 * 1024
    /// A connection on which nothing happens, in the middle of a request or between two, is closed.
    public var idleSeconds = 60
    /// How long the head of a request may take.
    public var headerSeconds = 20
    /// A body, and an answer, may be slower than this for ``graceSeconds`` together.
    public var minimumRate = 500
    public var graceSeconds = 20
    /// Bytes of small objects that are kept in memory; 0 for none.
    public var cacheBytes = 0
    /// In the file only.
    public var rates = RateLimitSettings()

    public init() {}

    /// What makes a store's catalog and disks work: latencies up to these are good (``AdaptiveLimit/Bounds/comfort``).
    private func bounds(_ kind: RequestClass) -> AdaptiveLimit.Bounds {
        let (most, floor, initial, comfort): (Int, Int, Int, TimeAmount) =
            switch kind {
            case .read: (readsAtOnce, 16, 128, .milliseconds(25))
            case .write: (writesAtOnce, 16, 128, .milliseconds(50))
            case .list: (listsAtOnce, 4, 16, .milliseconds(100))
            case .admin: (adminAtOnce, 4, 16, .milliseconds(100))
            }
        return .init(
            minimum: min(floor, most), initial: min(initial, most), maximum: most, comfort: comfort)
    }

    package func gates<Waiter: Sendable>(_: Waiter.Type = Waiter.self) -> AdmissionGates<Waiter> {
        let rule = AdmissionGate<Waiter>.QueueRule(deadline: .milliseconds(Int64(queueMilliseconds)))
        return AdmissionGates(
            RequestClass.allCases.map {
                AdmissionGate(AdaptiveLimit(bounds($0), isAdaptive: mode == .adaptive), rule)
            }, byteLimit: bodyMemory)
    }

    package var patience: ClientPatience.Limits {
        ClientPatience.Limits(
            idle: .seconds(Int64(idleSeconds)), header: .seconds(Int64(headerSeconds)),
            grace: .seconds(Int64(graceSeconds)), minimumRate: minimumRate)
    }

    /// - Returns: why the value makes no sense; `nil` if it was taken.
    mutating func set(_ setting: SettingName, _ value: String) -> String? {
        func take(_ path: WritableKeyPath<Self, Int>, _ range: ClosedRange<Int>) -> String? {
            guard let number = Int(value), range.contains(number) else {
                return "is '\(value)': it must be a number from \(range.lowerBound) to \(range.upperBound)"
            }
            self[keyPath: path] = number
            return nil
        }
        switch setting {
        case .admission:
            guard let mode = Mode(rawValue: value) else {
                let known = Mode.allCases.map(\.rawValue).joined(separator: ", ")
                return "is '\(value)': it must be one of \(known)"
            }
            self.mode = mode
            return nil
        case .readsAtOnce: return take(\.readsAtOnce, 1...100_000)
        case .writesAtOnce: return take(\.writesAtOnce, 1...100_000)
        case .listsAtOnce: return take(\.listsAtOnce, 1...100_000)
        case .adminAtOnce: return take(\.adminAtOnce, 1...100_000)
        case .queueMilliseconds: return take(\.queueMilliseconds, 0...60_000)
        case .bodyMemory: return take(\.bodyMemory, 1_048_576...1_099_511_627_776)
        case .idleSeconds: return take(\.idleSeconds, 1...86_400)
        case .headerSeconds: return take(\.headerSeconds, 1...3600)
        case .minimumRate: return take(\.minimumRate, 1...1_000_000_000)
        case .graceSeconds: return take(\.graceSeconds, 1...3600)
        case .cacheBytes: return take(\.cacheBytes, 0...1_099_511_627_776)
        default: preconditionFailure("\(setting.rawValue) is about something else")
        }
    }
}
