import Model

/// Counts the days of lifecycle rules.
///
/// Source: Amazon S3 User Guide, "Lifecycle rules: Based on an object's age": the days are added, and what comes
/// out is rounded up to midnight UTC.
package struct LifecycleCalendar: Hashable, Sendable {
    package static let realDaySeconds: UInt64 = 86_400

    /// Shorter in tests; then nothing is rounded.
    package let daySeconds: UInt64

    package init(daySeconds: UInt64 = realDaySeconds) { self.daySeconds = daySeconds }

    package func time(_ days: Int, after start: Timestamp) -> Timestamp {
        let (length, isTooLong) = UInt64(days).multipliedReportingOverflow(by: daySeconds * 1_000_000)
        let (sum, isTooLate) = start.microseconds.addingReportingOverflow(length)
        guard !isTooLong, !isTooLate else { return Timestamp(microseconds: .max) }
        guard daySeconds == Self.realDaySeconds, sum < .max - daySeconds * 1_000_000 else {
            return Timestamp(microseconds: sum)
        }
        let day = Self.realDaySeconds * 1_000_000
        return Timestamp(microseconds: (sum + day - 1) / day * day)
    }

    /// The day that a moment is in: the rules are carried out once in each.
    package func day(of time: Timestamp) -> UInt64 { time.seconds / daySeconds }
}
