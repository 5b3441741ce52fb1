import Foundation
import Model

/// A point of the past, as a person names it: a time, how long ago, or an event.
public enum Moment: Codable, Sendable, Equatable {
    case event(UInt64)
    case time(microseconds: UInt64)
    case ago(microseconds: UInt64)

    /// - Parameter text: digits alone for an event's sequence; `90s`, `10m`, `6h`, `2d` or `1w`, also with ` ago`
    ///   behind; or a time in RFC 3339. A time with a fraction means the end of what the fraction names: the log
    ///   shows milliseconds, and a time copied from there includes its event.
    public init?(_ text: String) {
        let text = text.trimmingCharacters(in: .whitespaces)
        if let sequence = UInt64(text) {
            self = .event(sequence)
        } else if let span = Self.span(text) {
            self = .ago(microseconds: span)
        } else if let time = Self.time(text) {
            self = .time(microseconds: time)
        } else {
            return nil
        }
    }

    private static let units: [Character: UInt64] = [
        "s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800,
    ]

    private static func span(_ text: String) -> UInt64? {
        let bare = text.hasSuffix("ago") ? text.dropLast(3).trimmingCharacters(in: .whitespaces) : text
        guard let unit = bare.last, let seconds = units[unit], let count = UInt64(bare.dropLast()),
            count <= 1_000_000_000
        else { return nil }
        return count * seconds * 1_000_000
    }

    /// RFC 3339, section 5.6: `2026-11-25T02:09:00Z`, with a fraction and an offset where there is one; a blank
    /// instead of the `T` as there.
    private static func time(_ text: String) -> UInt64? {
        let pattern =
            #/(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))/#
        guard let match = text.wholeMatch(of: pattern)?.output,
            let year = Int(match.1), let month = Int(match.2), let day = Int(match.3),
            let hour = Int(match.4), let minute = Int(match.5), let second = Int(match.6),
            (1970...9999).contains(year), (1...12).contains(month), day >= 1,
            day <= days(in: month, of: year), hour < 24, minute < 60, second < 61
        else { return nil }
        var seconds = daysSince1970(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second
        if let sign = match.8, let hours = match.9.flatMap({ Int($0) }),
            let minutes = match.10.flatMap({ Int($0) })
        {
            guard hours < 24, minutes < 60 else { return nil }
            seconds -= (sign == "-" ? -1 : 1) * (hours * 3600 + minutes * 60)
        }
        guard seconds >= 0 else { return nil }
        let fraction = match.7.map { String($0.prefix(6)) } ?? "000000"
        let padded = fraction + String(repeating: "9", count: 6 - fraction.count)
        return UInt64(seconds) * 1_000_000 + (UInt64(padded) ?? 0)
    }

    private static func days(in month: Int, of year: Int) -> Int {
        let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        return [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month - 1]
    }

    /// H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    private static func daysSince1970(_ year: Int, _ month: Int, _ day: Int) -> Int {
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        return era * 146_097 + dayOfEra - 719_468
    }
}
