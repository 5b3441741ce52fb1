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

    mutating func set(_ setting: SettingName, _ value: String) throws(SettingRefusal) {
        switch setting {
        case .admission:
            guard let mode = Mode(rawValue: value) else {
                let known = Mode.allCases.map(\.rawValue).joined(separator: ", ")
                throw SettingRefusal("is '\(value)': it must be one of \(known)")
            }
            self.mode = mode
        case .readsAtOnce: readsAtOnce = try value.number(in: 1...100_000)
        case .writesAtOnce: writesAtOnce = try value.number(in: 1...100_000)
        case .listsAtOnce: listsAtOnce = try value.number(in: 1...100_000)
        case .adminAtOnce: adminAtOnce = try value.number(in: 1...100_000)
        case .queueMilliseconds: queueMilliseconds = try value.number(in: 0...60_000)
        case .bodyMemory: bodyMemory = try value.number(in: 1_048_576...1_099_511_627_776)
        case .idleSeconds: idleSeconds = try value.number(in: 1...86_400)
        case .headerSeconds: headerSeconds = try value.number(in: 1...3600)
        case .minimumRate: minimumRate = try value.number(in: 1...1_000_000_000)
        case .graceSeconds: graceSeconds = try value.number(in: 1...3600)
        case .cacheBytes: cacheBytes = try value.number(in: 0...1_099_511_627_776)
        default: preconditionFailure("\(setting.rawValue) is about something else")
        }
    }

    /// A setting's value, as the settings file would write it; `nil` for what is about something else.
    func text(of setting: SettingName) -> String? {
        switch setting {
        case .admission: mode.rawValue
        case .readsAtOnce: String(readsAtOnce)
        case .writesAtOnce: String(writesAtOnce)
        case .listsAtOnce: String(listsAtOnce)
        case .adminAtOnce: String(adminAtOnce)
        case .queueMilliseconds: String(queueMilliseconds)
        case .bodyMemory: String(bodyMemory)
        case .idleSeconds: String(idleSeconds)
        case .headerSeconds: String(headerSeconds)
        case .minimumRate: String(minimumRate)
        case .graceSeconds: String(graceSeconds)
        case .cacheBytes: String(cacheBytes)
        default: nil
        }
    }
}
