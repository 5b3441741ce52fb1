import Foundation
import Model

/// Dates as HTTP and S3 write them.
package enum HTTPDate {
    private static let days: [StaticString] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let monthNames: [StaticString] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]
    private static let months = monthNames.map(\.description)

    /// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, IMF-fixdate).
    package static func string(_ time: Timestamp) -> String {
        let c = time.components
        return String(unsafeUninitializedCapacity: 32) { buffer in
            var text = DigitWriter(buffer)
            text.write(days[time.weekday])
            text.write(", ")
            text.write(c.day, digits: 2)
            text.write(" ")
            text.write(monthNames[c.month - 1])
            text.write(" ")
            text.write(min(c.year, 9999), digits: 4)
            text.write(" ")
            text.write(hour: c.hour, minute: c.minute, second: c.second)
            text.write(" GMT")
            return text.count
        }
    }

    /// `20130524T000000Z`
    package static func compact(_ seconds: UInt64) -> String {
        let c = Timestamp(microseconds: seconds * 1_000_000).components
        return
            "\(c.year)\(two(c.month))\(two(c.day))T\(two(c.hour))\(two(c.minute))\(two(c.second))Z"
    }

    private static func two(_ value: Int) -> String { value < 10 ? "0\(value)" : String(value) }

    /// Seconds since 1970 of a date in one of the three forms of RFC 9110, section 5.6.7, or in ISO 8601's, which
    /// some S3 clients send; `nil` for anything else.
    ///
    ///     Sun, 06 Nov 1994 08:49:37 GMT
    ///     Sunday, 06-Nov-94 08:49:37 GMT
    ///     Sun Nov  6 08:49:37 1994
    package static func seconds(_ text: String) -> UInt64? {
        let words = text.split(separator: " ")
        switch words.count {
        case 6 where words[5] == "GMT": return seconds(words[3], words[2], words[1], clock: words[4])
        case 5: return seconds(words[4], words[1], words[2], clock: words[3])
        case 4 where words[3] == "GMT":
            let date = words[1].split(separator: "-", omittingEmptySubsequences: false)
            guard date.count == 3, date[2].utf8.count == 2, let year = number(date[2]) else { return nil }
            return seconds(String(fullYear(year))[...], date[1], date[0], clock: words[2])
        case 1: return compactSeconds(text.filter { $0 != "-" && $0 != ":" })
        default: return nil
        }
    }

    /// A year of two digits is never more than fifty years ahead.
    private static func fullYear(_ year: Int) -> Int {
        let now = Timestamp.now().components.year
        let full = now / 100 * 100 + year
        return full > now + 50 ? full - 100 : full < now - 49 ? full + 100 : full
    }

    private static func seconds(
        _ year: Substring, _ month: Substring, _ day: Substring, clock: Substring
    ) -> UInt64? {
        let clock = clock.split(separator: ":", omittingEmptySubsequences: false).map(number)
        guard clock.count == 3, year.utf8.count == 4, let year = number(year),
            let month = months.firstIndex(of: String(month)), let day = number(day), let hour = clock[0],
            let minute = clock[1], let second = clock[2]
        else { return nil }
        return seconds(year, month + 1, day, hour, minute, second)
    }

    /// Digits and nothing else.
    private static func number(_ text: some StringProtocol) -> Int? {
        text.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(text) : nil
    }

    /// Seconds since 1970 of `20130524T000000Z`, ISO 8601's basic format; fractions of a second are dropped.
    package static func compactSeconds(_ text: String) -> UInt64? {
        let bytes = Array(text.utf8)
        guard bytes.count >= 16, bytes[8] == UInt8(ascii: "T"), bytes.last == UInt8(ascii: "Z") else {
            return nil
        }
        guard bytes.count == 16 || bytes[15] == UInt8(ascii: ".") else { return nil }
        func part(_ range: Range<Int>) -> Int? { number(String(decoding: bytes[range], as: UTF8.self)) }
        guard let year = part(0..<4), let month = part(4..<6), let day = part(6..<8),
            let hour = part(9..<11), let minute = part(11..<13), let second = part(13..<15)
        else { return nil }
        return seconds(year, month, day, hour, minute, second)
    }

    /// H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    private static func seconds(
        _ year: Int, _ month: Int, _ day: Int, _ hour: Int, _ minute: Int, _ second: Int
    ) -> UInt64? {
        guard (1970...9999).contains(year), (1...12).contains(month), (1...31).contains(day),
            day <= dayCount(year, month), (0...23).contains(hour), (0...59).contains(minute),
            (0...60).contains(second)
        else { return nil }
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * 146_097 + dayOfEra - 719_468
        // The leap second that would end the year 9999 is in none that can be written.
        return UInt64(min(days * 86_400 + hour * 3600 + minute * 60 + second, lastSecond))
    }

    /// 9999-12-31T23:59:59Z
    package static let lastSecond = 253_402_300_799

    private static func dayCount(_ year: Int, _ month: Int) -> Int {
        let isLeap = year.isMultiple(of: 4) && (!year.isMultiple(of: 100) || year.isMultiple(of: 400))
        return month == 2 ? (isLeap ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
    }
}
