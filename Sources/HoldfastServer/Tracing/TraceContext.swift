import Model

/// Which trace a request belongs to, as its sender says.
///
/// Source: W3C Recommendation "Trace Context", level 1 (2021-11-23), "Traceparent header" and "Tracestate header".
package struct TraceContext: Sendable, Equatable {
    /// 16 bytes, not all zero.
    package let traceID: [UInt8]
    /// The sender's span: 8 bytes, not all zero.
    package let parentID: [UInt8]
    /// Whether the sender records its own part.
    package let isSampled: Bool

    package var traceText: String { traceID.hexadecimal }

    /// - Parameter headers: the values of `traceparent`, one for each such header of the request.
    /// - Returns: `nil` for what the specification calls invalid: the trace begins here then.
    package init?(_ headers: [String]) {
        // Sent twice it says nothing.
        guard headers.count == 1, let text = headers.first else { return nil }
        let bytes = Array(text.utf8)
        guard bytes.count >= Self.length, let version = Self.hexadecimal(bytes[0..<2])?.first,
            version != 0xFF, bytes[2] == Self.dash, bytes[35] == Self.dash, bytes[52] == Self.dash,
            let traceID = Self.hexadecimal(bytes[3..<35]), let parentID = Self.hexadecimal(bytes[36..<52]),
            let flags = Self.hexadecimal(bytes[53..<55])?.first
        else { return nil }
        // A later version may have more behind a dash; this one may not.
        guard bytes.count == Self.length || (version > 0 && bytes[Self.length] == Self.dash) else {
            return nil
        }
        guard traceID.contains(where: { $0 != 0 }), parentID.contains(where: { $0 != 0 }) else { return nil }
        self.traceID = traceID
        self.parentID = parentID
        isSampled = flags & 1 == 1
    }

    private static let length = 55
    private static let dash = UInt8(ascii: "-")

    /// Small digits only: capitals are invalid.
    private static func hexadecimal(_ digits: ArraySlice<UInt8>) -> [UInt8]? {
        var bytes: [UInt8] = []
        var high: UInt8?
        for digit in digits {
            let value: UInt8
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = digit - UInt8(ascii: "a") + 10
            default: return nil
            }
            if let first = high {
                bytes.append(first << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        return bytes
    }

    /// The vendors' list as it may be passed on: `nil` for one that is empty, malformed or too long, which is dropped
    /// whole.
    package static func state(_ headers: [String]) -> String? {
        let members = headers.flatMap { $0.split(separator: ",") }.map { member in
            member.trimmingPrefix(while: isBlank).reversed().trimmingPrefix(while: isBlank).reversed()
        }.map { String($0) }.filter { !$0.isEmpty }
        let keys = members.map { $0.prefix { $0 != "=" } }
        guard (1...32).contains(members.count), Set(keys).count == keys.count,
            members.allSatisfy(isMember)
        else { return nil }
        let text = members.joined(separator: ",")
        return text.utf8.count <= 512 ? text : nil
    }

    private static func isBlank(_ character: Character) -> Bool { character == " " || character == "\t" }

    private static func isMember(_ member: String) -> Bool {
        guard let equals = member.utf8.firstIndex(of: UInt8(ascii: "=")) else { return false }
        let key = member.utf8[..<equals]
        let value = member.utf8[member.utf8.index(after: equals)...]
        guard (1...256).contains(key.count), (1...256).contains(value.count) else { return false }
        let isKey = key.allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"): true
            case UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "*"), UInt8(ascii: "/"),
                UInt8(ascii: "@"):
                true
            default: false
            }
        }
        return isKey && value.allSatisfy { (0x20...0x7E).contains($0) && $0 != 0x3D && $0 != 0x2C }
    }
}
