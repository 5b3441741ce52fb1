import Model

/// What the status page shows, as of one moment: plain values, bounded in number, so that rendering them is pure and cheap
/// however large the store is. ``StatusGathering`` makes them.
package struct StatusFacts: Sendable {
    /// Something that is not as it should be.
    package struct Concern: Sendable, Equatable {
        package enum Urgency: Int, Sendable, Comparable {
            /// The store mends it by itself: nobody has to do anything.
            case wait
            /// Nothing is lost, and somebody has to look.
            case look
            /// Something does not work or is lost.
            case act

            package static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
        }

        package var urgency: Urgency
        package var what: String
        /// What the store does about it.
        package var doing: String
        /// What a person is to do; empty for nothing.
        package var remedy: String
        /// The command that does it; empty for none.
        package var command: String

        package init(
            _ urgency: Urgency, _ what: String, doing: String, remedy: String = "", command: String = ""
        ) {
            self.urgency = urgency
            self.what = what
            self.doing = doing
            self.remedy = remedy
            self.command = command
        }
    }

    /// How good a state is: shown as a colour beside the word that says it.
    package enum Tone: String, Sendable { case good, working, bad, off }

    package struct Volume: Sendable {
        package var index = 0
        package var path = ""
        package var state = ""
        package var tone = Tone.good
        package var reason = ""
        /// It stays aside until an operator wants it back.
        package var isHeld = false
        package var since: Timestamp?
        package var verified: Timestamp?
        package var freeBytes: UInt64?
        package var sizeBytes: UInt64?
        /// Of the filling or the reading back, from 0 to 1.
        package var part: Double?
        package var secondsLeft: Double?
        /// Events that its log lacks.
        package var lagEvents: UInt64?
        package var queued = 0

        package init() {}
    }

    package struct Incident: Sendable {
        package struct Owner: Sendable {
            package var name = ""
            package var versions = 0
            package var settled = 0
            package var gone = 0
            package var words = ""

            package init() {}
        }

        package var id: UInt64 = 0
        package var reason = ""
        package var opened = Timestamp(microseconds: 0)
        package var closed: Timestamp?
        package var outcome = ""
        /// "filling", "repairing"…; empty while nothing was counted yet.
        package var phase = ""
        package var part = 0.0
        package var secondsLeft: Double?
        package var versions = 0
        package var bytes: UInt64 = 0
        package var words = ""
        /// Those with the most versions first.
        package var owners: [Owner] = []
        package var moreOwners = 0
        /// When its versions were counted.
        package var counted: Timestamp?

        package init() {}
    }

    package struct Job: Sendable {
        package var name = ""
        package var state = ""
        package var tone = Tone.good
        package var detail = ""
        package var part: Double?
        package var last = ""
        package var next: Timestamp?

        package init() {}
    }

    package struct Repository: Sendable {
        package var name = ""
        package var snapshot: Timestamp?
        package var verification: Timestamp?
        package var drill: Timestamp?
        package var isDrillGood: Bool?
        package var isVerificationGood: Bool?
        package var error = ""

        package init() {}
    }

    package struct Sink: Sendable {
        package var name = ""
        package var target = ""
        package var state = ""
        package var tone = Tone.good
        package var lag: UInt64 = 0
        package var deadLetters: UInt64 = 0
        package var lastDelivery: Timestamp?
        package var error = ""

        package init() {}
    }

    package struct Event: Sendable {
        package var sequence: UInt64 = 0
        package var time = Timestamp(microseconds: 0)
        package var actor = ""
        package var text = ""

        package init() {}
    }

    /// Whether everything is proved to be in order; `nil` where that cannot be told.
    package var isGreen: Bool?
    package var made = Timestamp(microseconds: 0)
    package var directory = ""
    package var head: UInt64 = 0
    package var confirmed: UInt64 = 0
    /// Within so many days everything was verified; `nil` for a store that is not scrubbed.
    package var periodDays: Int?
    /// The most urgent first.
    package var concerns: [Concern] = []
    package var volumes: [Volume] = []
    package var incidents: [Incident] = []
    package var moreIncidents = 0
    package var throughput = ThroughputFacts()
    package var jobs: [Job] = []
    package var repositories: [Repository] = []
    package var sinks: [Sink] = []
    /// Findings, repairs, volumes and incidents, the newest first.
    package var notable: [Event] = []
    /// The newest of all.
    package var events: [Event] = []
    /// What could not be read, and why.
    package var unreadable: [String] = []

    package init() {}

    /// The word over everything.
    package enum Verdict: String, Sendable {
        case green = "Green"
        case healing = "Healing"
        case look = "Needs a look"
        case act = "Act now"
        case unknown = "Unknown"
    }

    package var verdict: Verdict {
        switch concerns.map(\.urgency).max() {
        case .act?: return .act
        case .look?: return .look
        case .wait?, nil: break
        }
        guard let isGreen, unreadable.isEmpty else { return .unknown }
        return isGreen ? .green : .healing
    }
}

/// How much the store is doing.
package struct ThroughputFacts: Sendable {
    package struct Point: Sendable {
        package var requestsPerSecond = 0.0
        package var receivedPerSecond = 0.0
        package var sentPerSecond = 0.0
        package var failuresPerSecond = 0.0

        package init() {}
    }

    /// Over the last seconds; `nil` right after the start.
    package var now: Point?
    /// Milliseconds that half of the requests of the last seconds took at most, and all but one in a hundred.
    package var median: Double?
    package var p99: Double?
    /// The oldest first, one every ``ThroughputSampler/interval``.
    package var history: [Point] = []
    package var inFlight = 0
    package var connections = 0
    package var waiting = 0

    package init() {}
}
