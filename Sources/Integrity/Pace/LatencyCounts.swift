/// How many requests took how long: eight steps to each doubling, so that a quantile is known to a tenth.
public struct LatencyCounts: Sendable, Equatable {
    private static let stepBits = 3
    private static let bucketCount = 40 << stepBits

    private var buckets = [UInt32](repeating: 0, count: bucketCount)
    public private(set) var count = 0

    public init() {}

    public mutating func add(nanoseconds: UInt64) {
        buckets[Self.bucket(nanoseconds)] &+= 1
        count += 1
    }

    public mutating func add(_ other: LatencyCounts) {
        guard other.count > 0 else { return }
        for index in buckets.indices { buckets[index] &+= other.buckets[index] }
        count += other.count
    }

    /// What was counted since an earlier state of the same count.
    func since(_ earlier: LatencyCounts) -> LatencyCounts {
        var rest = self
        rest.count -= earlier.count
        precondition(rest.count >= 0, "a count of requests only grows")
        guard rest.count > 0 else { return LatencyCounts() }
        for index in buckets.indices { rest.buckets[index] &-= earlier.buckets[index] }
        return rest
    }

    private static func bucket(_ nanoseconds: UInt64) -> Int {
        guard nanoseconds >= 1 << stepBits else { return Int(nanoseconds) }
        let exponent = UInt64.bitWidth - 1 - nanoseconds.leadingZeroBitCount
        let step = Int(nanoseconds >> UInt64(exponent - stepBits)) & (1 << stepBits - 1)
        return min((exponent - stepBits + 1) << stepBits + step, bucketCount - 1)
    }

    /// The smallest duration that falls into a bucket, in nanoseconds.
    private static func floor(_ bucket: Int) -> Double {
        let (octave, step) = (bucket >> stepBits, bucket & (1 << stepBits - 1))
        guard octave > 0 else { return Double(step) }
        return Double((1 << stepBits) + step) * Double(UInt64(1) << UInt64(octave - 1))
    }

    /// Nanoseconds that the given part of the requests did not take longer than, within a bucket evenly spread;
    /// `nil` if there were none.
    public func quantile(_ part: Double) -> Double? {
        guard count > 0 else { return nil }
        let wanted = part * Double(count)
        var before = 0.0
        for (bucket, number) in buckets.enumerated() where number > 0 {
            let after = before + Double(number)
            if after >= wanted {
                let low = Self.floor(bucket)
                return low + (Self.floor(bucket + 1) - low) * (wanted - before) / Double(number)
            }
            before = after
        }
        return Self.floor(Self.bucketCount)
    }

    /// How many took longer, requests within a bucket evenly spread.
    func count(above nanoseconds: Double) -> Double {
        var total = 0.0
        for (bucket, number) in buckets.enumerated() where number > 0 {
            let (low, high) = (Self.floor(bucket), Self.floor(bucket + 1))
            guard high > nanoseconds else { continue }
            let part = low >= nanoseconds ? 1 : (high - nanoseconds) / (high - low)
            total += Double(number) * part
        }
        return total
    }
}
