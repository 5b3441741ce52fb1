import Foundation

/// 128 random bits that name one thing for good, written as 32 lower-case hexadecimal digits.
///
/// `Kind` keeps one kind of identifier from being passed for another; it has no values.
public struct UniqueID<Kind>: Hashable, Sendable, Comparable, CustomStringConvertible {
    public let high: UInt64
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// A new identifier from the system's random number generator.
    public static func random() -> Self {
        var words: (UInt64, UInt64) = (0, 0)
        let code = withUnsafeMutableBytes(of: &words) { getentropy($0.baseAddress, $0.count) }
        precondition(code == 0, "the kernel has random bytes")
        return Self(high: words.0, low: words.1)
    }

    public static func random(using generator: inout some RandomNumberGenerator) -> Self {
        Self(high: generator.next(), low: generator.next())
    }

    /// The identifier whose 16 bytes, most significant first, these are; `nil` for any other count.
    public init?(bytes: some Collection<UInt8>) {
        guard bytes.count == 16 else { return nil }
        var high: UInt64 = 0
        var low: UInt64 = 0
        for (index, byte) in bytes.enumerated() {
            if index < 8 { high = high << 8 | UInt64(byte) } else { low = low << 8 | UInt64(byte) }
        }
        self.init(high: high, low: low)
    }

    /// The identifier written as exactly 32 lower-case hexadecimal digits; `nil` for anything else.
    public init?(_ description: some StringProtocol) {
        let digits = description.utf8
        guard digits.count == 32 else { return nil }
        var high: UInt64 = 0
        var low: UInt64 = 0
        for (index, digit) in digits.enumerated() {
            let value: UInt64
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = UInt64(digit - UInt8(ascii: "0"))
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = UInt64(digit - UInt8(ascii: "a")) + 10
            default: return nil
            }
            if index < 16 { high = high << 4 | value } else { low = low << 4 | value }
        }
        self.init(high: high, low: low)
    }

    /// 16 bytes, most significant first.
    public var bytes: [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 16) { buffer, count in
            for index in 0..<8 {
                buffer[index] = UInt8(truncatingIfNeeded: high >> UInt64(56 - 8 * index))
                buffer[index + 8] = UInt8(truncatingIfNeeded: low >> UInt64(56 - 8 * index))
            }
            count = 16
        }
    }

    public var description: String { bytes.hexadecimal }

    public static func < (left: Self, right: Self) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }
}

public enum StoreKind: Sendable {}
public enum VolumeKind: Sendable {}
public enum BlobKind: Sendable {}
public enum VersionKind: Sendable {}
public enum OperationKind: Sendable {}

public typealias StoreID = UniqueID<StoreKind>
public typealias VolumeID = UniqueID<VolumeKind>
public typealias BlobID = UniqueID<BlobKind>
/// Names a version. A multipart upload has the id that its version will have.
public typealias VersionID = UniqueID<VersionKind>
public typealias UploadID = VersionID
public typealias OperationID = UniqueID<OperationKind>

extension Collection<UInt8> {
    /// The bytes as lower-case hexadecimal digits.
    public var hexadecimal: String {
        String(unsafeUninitializedCapacity: count * 2) { buffer in
            var index = 0
            for byte in self {
                buffer[index] = hexadecimalDigit(byte >> 4)
                buffer[index + 1] = hexadecimalDigit(byte & 15)
                index += 2
            }
            return index
        }
    }
}

private func hexadecimalDigit(_ value: UInt8) -> UInt8 {
    value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
}
