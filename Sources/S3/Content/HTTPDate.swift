import Foundation
import Model

/// Dates as HTTP and S3 write them.
package enum HTTPDate {
    private static let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, IMF-fixdate).
    package static func string(_ time: Timestamp) -> String {
        let c = time.components
        return
            "\(days[time.weekday]), \(two(c.day)) \(months[c.month - 1]) \(c.year) \(two(c.hour)):\(two(c.minute)):\(two(c.second)) GMT"
    }

    /// `20130524T000000Z`
    package static func compact(_ seconds: UInt64) -> String {
        let c = Timestamp(microseconds: seconds * 1_000_000).components
        return
            "\(c.year)\(two(c.month))\(two(c.day))T\(two(c.hour))\(two(c.minute))\(two(c.second))Z"
    }

    private static func two(_ value: Int) -> String { value < 10 ? "0\(value)" : String(value) }

    /// Seconds since 1970 of an HTTP date in the form of RFC 9110, or of an ISO 8601 date, which some S3
    /// clients send; `nil` for anything else.
    package static func seconds(_ text: String) -> UInt64? {
        let words = text.split(separator: " ")
        if words.count == 6, words[5] == "GMT", let month = months.firstIndex(of: String(words[2])),
            let day = Int(words[1]), let year = Int(words[3])
        {
            let clock = words[4].split(separator: ":").compactMap { Int($0) }
            guard clock.count == 3 else { return nil }
            return seconds(year, month + 1, day, clock[0], clock[1], clock[2])
        }
        return compactSeconds(text.filter { $0 != "-" && $0 != ":" })
    }

    /// Seconds since 1970 of `20130524T000000Z`, ISO 8601's basic format; fractions of a second are dropped.
    package static func compactSeconds(_ text: String) -> UInt64? {
        let bytes = Array(text.utf8)
        guard bytes.count >= 16, bytes[8] == UInt8(ascii: "T"), bytes.last == UInt8(ascii: "Z") else {
            return nil
        }
        guard bytes.count == 16 || bytes[15] == UInt8(ascii: ".") else { return nil }
        func number(_ range: Range<Int>) -> Int? { Int(String(decoding: bytes[range], as: UTF8.self)) }
        guard let year = number(0..<4), let month = number(4..<6), let day = number(6..<8),
            let hour = number(9..<11), let minute = number(11..<13), let second = number(13..<15)
        else { return nil }
        return seconds(year, month, day, hour, minute, second)
    }

    /// H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    private static func seconds(
        _ year: Int, _ month: Int, _ day: Int, _ hour: Int, _ minute: Int, _ second: Int
    ) -> UInt64? {
        guard (1970...9999).contains(year), (1...12).contains(month), (1...31).contains(day),
            (0...23).contains(hour), (0...59).contains(minute), (0...60).contains(second)
        else { return nil }
        let shifted = month <= 2 ? year - 1 : year
        let era = shifted / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * 146_097 + dayOfEra - 719_468
        return UInt64(days * 86_400 + hour * 3600 + minute * 60 + second)
    }
}
