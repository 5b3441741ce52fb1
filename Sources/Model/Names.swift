/// A name that breaks the rules of its kind, with the rule it breaks.
public struct InvalidName: Error, Hashable, Sendable, CustomStringConvertible {
    /// "bucket name", "object key", …
    public let kind: String
    public let value: String
    /// The rule that the value breaks, as a clause: "is longer than 63 characters".
    public let reason: String

    public init(kind: String, value: String, reason: String) {
        self.kind = kind
        self.value = value
        self.reason = reason
    }

    public var description: String { "\(kind) '\(value.prefix(80))' \(reason)" }
}

/// The name of a bucket, valid by the rules for general purpose buckets.
///
/// Source: Amazon S3 User Guide, "Bucket naming rules".
public struct BucketName: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let rawValue: String

    /// - Throws: ``InvalidName`` with the rule that `rawValue` breaks.
    public init(_ rawValue: String) throws(InvalidName) {
        if let reason = Self.flaw(in: rawValue) {
            throw InvalidName(kind: "bucket name", value: rawValue, reason: reason)
        }
        self.rawValue = rawValue
    }

    public var description: String { rawValue }

    public static func < (left: BucketName, right: BucketName) -> Bool {
        left.rawValue.utf8.lexicographicallyPrecedes(right.rawValue.utf8)
    }

    private static func flaw(in name: String) -> String? {
        var name = name
        return name.withUTF8(flaw)
    }

    private static func flaw(in bytes: UnsafeBufferPointer<UInt8>) -> String? {
        guard bytes.count >= 3 else { return "is shorter than 3 characters" }
        guard bytes.count <= 63 else { return "is longer than 63 characters" }
        func isAlphanumeric(_ byte: UInt8) -> Bool {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        }
        for byte in bytes
        where !isAlphanumeric(byte) && byte != UInt8(ascii: ".") && byte != UInt8(ascii: "-") {
            return "has a character other than a-z, 0-9, '.' and '-'"
        }
        guard isAlphanumeric(bytes[0]), isAlphanumeric(bytes[bytes.count - 1]) else {
            return "does not begin and end with a letter or a digit"
        }
        let period = UInt8(ascii: ".")
        for index in bytes.indices.dropFirst() where bytes[index] == period && bytes[index - 1] == period {
            return "has two periods side by side"
        }
        // Two periods are never side by side here, so three of them part four numbers.
        if bytes.allSatisfy({ $0 == period || (0x30...0x39).contains($0) }),
            bytes.count(where: { $0 == period }) == 3
        {
            return "is formatted as an IP address"
        }
        for prefix in reservedPrefixes where bytes.starts(with: prefix.utf8) {
            return "begins with the reserved prefix '\(prefix)'"
        }
        for suffix in reservedSuffixes where bytes.suffix(suffix.utf8.count).elementsEqual(suffix.utf8) {
            return "ends with the reserved suffix '\(suffix)'"
        }
        return nil
    }

    private static let reservedPrefixes = ["xn--", "sthree-", "amzn-s3-demo-"]
    private static let reservedSuffixes = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"]
}

/// The key of an object: 1 to 1,024 bytes of UTF-8, compared and ordered by those bytes.
///
/// Two keys that differ only in Unicode form are two keys, as on Amazon S3; Swift's own `String` comparison
/// would make them one, so a key is never compared as a `String`.
///
/// Source: Amazon S3 User Guide, "Naming Amazon S3 objects".
public struct ObjectKey: Hashable, Sendable, Comparable, CustomStringConvertible {
    public static let maximumByteCount = 1024

    public let rawValue: String

    /// - Throws: ``InvalidName`` if the key is empty or longer than 1,024 bytes.
    public init(_ rawValue: String) throws(InvalidName) {
        var value = rawValue
        value.makeContiguousUTF8()
        guard !value.utf8.isEmpty else {
            throw InvalidName(kind: "object key", value: rawValue, reason: "is empty")
        }
        guard value.utf8.count <= Self.maximumByteCount else {
            throw InvalidName(
                kind: "object key", value: rawValue,
                reason: "is longer than \(Self.maximumByteCount) bytes of UTF-8")
        }
        self.rawValue = value
    }

    public var utf8: String.UTF8View { rawValue.utf8 }
    public var description: String { rawValue }

    public static func == (left: ObjectKey, right: ObjectKey) -> Bool {
        left.utf8.elementsEqual(right.utf8)
    }

    public static func < (left: ObjectKey, right: ObjectKey) -> Bool {
        left.utf8.lexicographicallyPrecedes(right.utf8)
    }

    public func hash(into hasher: inout Hasher) {
        var value = rawValue
        value.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
        hasher.combine(UInt8(0xFF))
    }
}
