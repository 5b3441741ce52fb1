import Model

/// When the passes are due, and how fast one has to read. Pure: what time it is and how far a pass has come is
/// given.
///
/// Volumes take turns, each in a quarter of the period: three passes and a quarter to spare. The next pass of a
/// volume begins three quarters after its last one began and has ended a quarter later; so whatever it reads has
/// been read at most one period before, wherever in a pass it comes. That is what can be told from the beginnings
/// of passes alone, and what "verified within the period" is computed from.
public struct ScrubSchedule: Sendable, Equatable {
    /// Of its quarter, a pass takes so much: the rest is for what delays it.
    private static let diligence = 0.8
    /// No pass is slower: what is left is not known to the byte.
    static let slowestRate = 1_048_576.0

    /// `nil`: nothing is scrubbed unless somebody asks.
    public let periodSeconds: Double?
    public let window: ScrubWindow

    public init(periodSeconds: Double?, window: ScrubWindow = .always) {
        self.periodSeconds = periodSeconds
        self.window = window
    }

    /// How a volume's scrubs stand.
    public struct Volume: Sendable, Equatable {
        public let index: Int
        public let isInService: Bool
        /// When the volume was made: what it holds was verified when it was written.
        public let created: Timestamp
        /// When the last pass that ended had begun.
        public let completed: Timestamp?
        /// When a pass that has not ended had begun.
        public let underWay: Timestamp?

        public init(
            index: Int, isInService: Bool, created: Timestamp, completed: Timestamp?, underWay: Timestamp?
        ) {
            self.index = index
            self.isInService = isInService
            self.created = created
            self.completed = completed
            self.underWay = underWay
        }

        /// No replica on the volume was verified longer ago.
        public var verified: Timestamp { max(completed ?? created, created) }
    }

    /// The volume to go on with, or to begin with, now.
    public func next(_ volumes: [Volume], at now: Timestamp) -> Int? {
        guard let periodSeconds else { return nil }
        let present = volumes.filter(\.isInService)
        if let begun = present.first(where: { $0.underWay != nil }) { return begun.index }
        // The one that was read least recently, and of those of one age the first.
        guard let oldest = present.min(by: { ($0.verified, $0.index) < ($1.verified, $1.index) }) else {
            return nil
        }
        let last = volumes.compactMap(\.completed).max() ?? oldest.created
        let quarter = periodSeconds / 4
        let isTurn = Self.seconds(from: last, to: now) >= quarter
        let isOverdue = Self.seconds(from: oldest.verified, to: now) >= 3 * quarter
        return isTurn || isOverdue ? oldest.index : nil
    }

    /// Bytes per second that a pass has to read to end in time; `nil` if it is late already and should read as
    /// fast as it may.
    public func rate(bytesLeft: UInt64, started: Timestamp, at now: Timestamp) -> Double? {
        guard let periodSeconds else { return nil }
        let left = periodSeconds / 4 * Self.diligence - Self.seconds(from: started, to: now)
        guard left > 0 else { return nil }
        return max(Self.slowestRate, Double(bytesLeft) / (left * window.share))
    }

    static func seconds(from start: Timestamp, to end: Timestamp) -> Double {
        end > start ? Double(end.microseconds - start.microseconds) / 1_000_000 : 0
    }
}
