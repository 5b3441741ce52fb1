import Model

/// When a job is due. Pure: what time it is, and when the job ran last, is given.
package enum JobSchedule: Sendable, Equatable {
    case continuous
    /// So many seconds after the last run began.
    case every(Double)
    /// Once a day, so many minutes after midnight where the machine is.
    case daily(minute: Int)
    /// After each run of another job that succeeded.
    case follows(JobKind)
    /// Only when somebody asks.
    case never

    private static let day = 86_400

    /// What is known of the time.
    package struct Clock: Sendable {
        package let now: Timestamp
        /// Since midnight, where the machine is.
        package let secondOfDay: Int

        package init(now: Timestamp, secondOfDay: Int) {
            self.now = now
            self.secondOfDay = secondOfDay
        }
    }

    /// - Parameters:
    ///   - last: when the last run began that came to its end.
    ///   - began: since when the schedule counts: when the server was started.
    ///   - followed: when the last good run of the job that it follows began.
    /// - Returns: when it is due, which may be past; `nil` for never, as things are.
    package func due(
        last: Timestamp?, began: Timestamp, followed: Timestamp?, at clock: Clock
    ) -> Timestamp? {
        switch self {
        case .continuous: return clock.now
        case .every(let seconds): return last.map { $0.later(seconds) } ?? clock.now
        case .daily(let minute):
            let passed = (clock.secondOfDay - minute * 60 + Self.day) % Self.day
            let occurrence = Timestamp(
                microseconds: clock.now.microseconds
                    - min(
                        clock.now.microseconds, UInt64(passed) * 1_000_000))
            // One that was missed while the server was down is made up for.
            return (last ?? began) < occurrence ? occurrence : occurrence.later(Double(Self.day))
        case .follows:
            guard let followed else { return nil }
            guard let last else { return followed }
            return last < followed ? followed : nil
        case .never: return nil
        }
    }

    /// "90s", "15m", "24h", "7d": a number and its unit.
    /// - Returns: seconds; `nil` for anything else.
    package static func interval(_ text: String) -> Double? {
        let units: [Character: Int] = ["s": 1, "m": 60, "h": 3600, "d": day]
        guard let unit = text.last.flatMap({ units[$0] }), let count = Int(text.dropLast()),
            (1...100_000).contains(count), text.dropLast().allSatisfy(\.isNumber)
        else { return nil }
        return Double(count * unit)
    }

    /// "02:30".
    /// - Returns: minutes since midnight; `nil` for anything else.
    package static func minute(_ text: String) -> Int? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ $0.count == 2 && $0.allSatisfy(\.isNumber) }),
            let hour = Int(parts[0]), let minute = Int(parts[1]), hour < 24, minute < 60
        else { return nil }
        return hour * 60 + minute
    }
}

extension Timestamp {
    func later(_ seconds: Double) -> Timestamp {
        Timestamp(microseconds: microseconds + UInt64(max(0, seconds) * 1_000_000))
    }

    /// Seconds from an earlier moment to this one; 0 if that is not earlier.
    func seconds(since earlier: Timestamp) -> Double {
        Double(microseconds - min(microseconds, earlier.microseconds)) / 1_000_000
    }
}
