import Model

/// The hours of the day in which the scrub reads: "22:00-06:00".
public struct ScrubWindow: Sendable, Equatable, CustomStringConvertible {
    private static let day = 1440

    /// Minutes since midnight; the end is not in it. Equal: the whole day.
    let start: Int
    let end: Int

    public static let always = ScrubWindow(start: 0, end: 0)

    init(start: Int, end: Int) {
        self.start = start
        self.end = end
    }

    /// `always`, or `HH:MM-HH:MM`, over midnight if the second is earlier.
    public init?(_ text: String) {
        if text == "always" {
            self = .always
            return
        }
        let parts = text.split(separator: "-", omittingEmptySubsequences: false).map(Self.minutes)
        guard parts.count == 2, let start = parts[0], let end = parts[1], start != end else { return nil }
        self.init(start: start, end: end)
    }

    private static func minutes(_ text: Substring) -> Int? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ $0.utf8.count == 2 }),
            parts.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }),
            let hour = Int(parts[0]), let minute = Int(parts[1]), hour < 24, minute < 60
        else { return nil }
        return hour * 60 + minute
    }

    public func contains(minute: Int) -> Bool {
        if start == end { return true }
        return start < end ? (start..<end).contains(minute) : minute >= start || minute < end
    }

    /// The part of a day that it is open.
    public var share: Double {
        start == end ? 1 : Double((end - start + Self.day) % Self.day) / Double(Self.day)
    }

    public var description: String {
        func clock(_ minutes: Int) -> String {
            let hour = minutes / 60
            let minute = minutes % 60
            return "\(hour < 10 ? "0" : "")\(hour):\(minute < 10 ? "0" : "")\(minute)"
        }
        return start == end ? "always" : "\(clock(start))-\(clock(end))"
    }
}
