/// Percent-encoding as Signature V4 defines it.
///
/// Source: Amazon S3 API Reference, "Create a signed request", `UriEncode()`.
package enum PercentEncoding {
    private static let digits = Array("0123456789ABCDEF".utf8)

    private static func isUnreserved(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
            UInt8(ascii: "_"), UInt8(ascii: "~"):
            true
        default: false
        }
    }

    /// Appends `text` with everything but unreserved characters, and `/` if it is kept, as `%XX`.
    package static func append(_ text: some StringProtocol, keepsSlash: Bool, to bytes: inout [UInt8]) {
        var text = String(text)
        text.withUTF8 { append($0, keepsSlash: keepsSlash, to: &bytes) }
    }

    private static func append(
        _ text: UnsafeBufferPointer<UInt8>, keepsSlash: Bool, to bytes: inout [UInt8]
    ) {
        for byte in text {
            if isUnreserved(byte) || (keepsSlash && byte == UInt8(ascii: "/")) {
                bytes.append(byte)
            } else {
                bytes.append(UInt8(ascii: "%"))
                bytes.append(digits[Int(byte >> 4)])
                bytes.append(digits[Int(byte & 15)])
            }
        }
    }

    package static func encode(_ text: some StringProtocol, keepsSlash: Bool) -> String {
        var bytes: [UInt8] = []
        append(text, keepsSlash: keepsSlash, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The text whose encoding this is; `nil` if a `%` is not followed by two hexadecimal digits, or the
    /// result is not UTF-8.
    /// - Parameter plusIsSpace: as in a query.
    package static func decode(_ text: some StringProtocol, plusIsSpace: Bool) -> String? {
        var text = String(text)
        return text.withUTF8 { decode($0[...], plusIsSpace: plusIsSpace) }
    }

    package static func decode(
        _ text: Slice<UnsafeBufferPointer<UInt8>>, plusIsSpace: Bool
    ) -> String? {
        let isPlain = text.allSatisfy {
            $0 != UInt8(ascii: "%") && !(plusIsSpace && $0 == UInt8(ascii: "+"))
        }
        if isPlain { return String(validating: text, as: UTF8.self) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count)
        var iterator = text.makeIterator()
        while let byte = iterator.next() {
            if byte == UInt8(ascii: "%") {
                guard let high = iterator.next().flatMap(Hexadecimal.value),
                    let low = iterator.next().flatMap(Hexadecimal.value)
                else {
                    return nil
                }
                bytes.append(high << 4 | low)
            } else {
                bytes.append(plusIsSpace && byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
