import Foundation

/// A range of addresses: `203.0.113.0/24`, `2001:db8::/32`, or one address.
struct AddressRange: Sendable {
    /// 4 or 16 of them.
    let bytes: [UInt8]
    let prefixLength: Int

    init?(_ text: String) {
        let halves = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = halves.first, let bytes = Self.address(String(first)) else { return nil }
        var length = bytes.count * 8
        if halves.count == 2 {
            guard (1...3).contains(halves[1].utf8.count),
                halves[1].utf8.allSatisfy({ (0x30...0x39).contains($0) }), let given = Int(halves[1]),
                given <= length
            else { return nil }
            length = given
        }
        self.bytes = bytes
        prefixLength = length
    }

    /// The bytes of an address, which the C library reads strictly; of an IPv4 address in IPv6's clothes its own four.
    static func address(_ text: String) -> [UInt8]? {
        var four = in_addr()
        if inet_pton(AF_INET, text, &four) == 1 { return withUnsafeBytes(of: four) { Array($0) } }
        var six = in6_addr()
        guard inet_pton(AF_INET6, text, &six) == 1 else { return nil }
        let bytes = withUnsafeBytes(of: six) { Array($0) }
        let isMapped = bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
        return isMapped ? Array(bytes[12...]) : bytes
    }

    func contains(_ address: [UInt8]) -> Bool {
        guard address.count == bytes.count else { return false }
        let whole = prefixLength / 8
        guard address[..<whole].elementsEqual(bytes[..<whole]) else { return false }
        let bits = prefixLength % 8
        return bits == 0 || (address[whole] ^ bytes[whole]) >> (8 - bits) == 0
    }

    /// Whether it says something of who asks: no wider than /8, or /32 of IPv6, or private.
    var isNarrow: Bool {
        guard bytes.count == 4 else { return prefixLength >= 32 }
        // The other two private networks of RFC 1918 are narrower than that.
        return prefixLength >= 8
    }
}

/// How the other types of a policy are written.
enum PolicyValue {
    static func number(_ text: String) -> Double? {
        let isPlain = text.utf8.allSatisfy {
            (0x30...0x39).contains($0) || "+-.eE".utf8.contains($0)
        }
        return isPlain ? Double(text).flatMap { $0.isFinite ? $0 : nil } : nil
    }

    static func boolean(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "true": true
        case "false": false
        default: nil
        }
    }

    static func binary(_ text: String) -> [UInt8]? { Data(base64Encoded: text).map { Array($0) } }

    /// Seconds since 1970 of one of the forms that the W3C's profile of ISO 8601 has, or of that number itself.
    ///
    ///     2013-06-30   2013-06-30T00:00Z   2013-06-30T00:00:00.5+02:00   1372550400
    static func seconds(_ text: String) -> Double? {
        if !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) || $0 == UInt8(ascii: ".") }),
            let seconds = number(text)
        {
            return seconds
        }
        let halves = text.split(separator: "T", maxSplits: 1, omittingEmptySubsequences: false)
        let date = halves[0].split(separator: "-", omittingEmptySubsequences: false)
        guard date.map(\.utf8.count) == [4, 2, 2] else { return nil }
        var clock = halves.count == 2 ? halves[1] : "00:00:00Z"
        guard let offset = takeOffset(&clock) else { return nil }
        var fraction = 0.0
        if let period = clock.firstIndex(of: ".") {
            let digits = clock[clock.index(after: period)...]
            guard (1...9).contains(digits.utf8.count), digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
                let value = Double("0." + digits)
            else { return nil }
            fraction = value
            clock = clock[..<period]
        }
        var parts = clock.split(separator: ":", omittingEmptySubsequences: false)
        if parts.count == 2 { parts.append("00") }
        guard parts.map(\.utf8.count) == [2, 2, 2],
            let seconds = HTTPDate.compactSeconds(date.joined() + "T" + parts.joined() + "Z")
        else { return nil }
        return Double(seconds) - Double(offset) + fraction
    }

    /// Takes `Z`, `+02:00` or `-02:00` off the end: seconds that the clock is ahead.
    private static func takeOffset(_ clock: inout Substring) -> Int? {
        if clock.last == "Z" {
            clock.removeLast()
            return 0
        }
        guard let sign = clock.lastIndex(where: { $0 == "+" || $0 == "-" }) else { return nil }
        let parts = clock[sign...].dropFirst().split(separator: ":", omittingEmptySubsequences: false)
        guard parts.map(\.utf8.count) == [2, 2],
            parts.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }),
            let hours = Int(parts[0]), let minutes = Int(parts[1]), hours < 24, minutes < 60
        else { return nil }
        let seconds = (hours * 60 + minutes) * 60
        let isAhead = clock[sign] == "+"
        clock = clock[..<sign]
        return isAhead ? seconds : -seconds
    }
}
