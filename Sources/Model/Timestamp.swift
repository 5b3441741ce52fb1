import Foundation

/// A moment, in microseconds since 1970-01-01T00:00:00Z.
public struct Timestamp: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let microseconds: UInt64

    public init(microseconds: UInt64) { self.microseconds = microseconds }

    public init(_ date: Date) {
        self.init(microseconds: UInt64(max(0, date.timeIntervalSince1970 * 1_000_000)))
    }

    /// The wall clock's reading.
    public static func now() -> Timestamp {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(
            microseconds: UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1000)
    }

    public var seconds: UInt64 { microseconds / 1_000_000 }
    public var date: Date { Date(timeIntervalSince1970: Double(microseconds) / 1_000_000) }

    /// Year, month (1–12), day, hour, minute, second in UTC.
    ///
    /// Days are turned into a date by H. Hinnant, "chrono-Compatible Low-Level Date Algorithms".
    public var components: (year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int) {
        let total = Int(seconds)
        let shifted = total / 86_400 + 719_468
        let era = shifted / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthIndex = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * monthIndex + 2) / 5 + 1
        let month = monthIndex < 10 ? monthIndex + 3 : monthIndex - 9
        let year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
        let second = total % 86_400
        return (year, month, day, second / 3600, second / 60 % 60, second % 60)
    }

    /// 0 for Sunday.
    public var weekday: Int { Int((seconds / 86_400 + 4) % 7) }

    /// RFC 3339 with milliseconds: `2026-01-31T08:00:00.000Z`, the form S3's XML has.
    public var description: String {
        let c = components
        return String(unsafeUninitializedCapacity: 32) { buffer in
            var text = DigitWriter(buffer)
            text.write(min(c.year, 9999), digits: 4)
            text.write("-")
            text.write(c.month, digits: 2)
            text.write("-")
            text.write(c.day, digits: 2)
            text.write("T")
            text.write(hour: c.hour, minute: c.minute, second: c.second)
            text.write(".")
            text.write(Int(microseconds / 1000 % 1000), digits: 3)
            text.write("Z")
            return text.count
        }
    }

    public static func < (left: Timestamp, right: Timestamp) -> Bool {
        left.microseconds < right.microseconds
    }
}

/// Writes numbers of a fixed width into memory: listings have a date for each of a thousand objects.
package struct DigitWriter {
    private let buffer: UnsafeMutableBufferPointer<UInt8>
    package private(set) var count = 0

    package init(_ buffer: UnsafeMutableBufferPointer<UInt8>) { self.buffer = buffer }

    /// - Precondition: the number has at most so many digits.
    package mutating func write(_ number: Int, digits: Int) {
        var rest = number
        for index in stride(from: count + digits - 1, through: count, by: -1) {
            buffer[index] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        }
        precondition(rest == 0, "\(number) has more than \(digits) digits")
        count += digits
    }

    /// `08:49:37`
    package mutating func write(hour: Int, minute: Int, second: Int) {
        write(hour, digits: 2)
        write(":")
        write(minute, digits: 2)
        write(":")
        write(second, digits: 2)
    }

    package mutating func write(_ text: StaticString) {
        text.withUTF8Buffer { text in
            for byte in text {
                buffer[count] = byte
                count += 1
            }
        }
    }
}
