import Foundation

/// SplitMix64: a small generator whose whole state is its seed.
///
/// Source: G. Steele, D. Lea, C. Flood, "Fast Splittable Pseudorandom Number Generators" (2014).
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var state: UInt64

    public init(seed: UInt64) { state = seed }

    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }

    /// Bytes that look random.
    public mutating func bytes(_ count: Int) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            var index = 0
            while index < count {
                var word = next()
                for _ in 0..<min(8, count - index) {
                    buffer[index] = UInt8(truncatingIfNeeded: word)
                    word >>= 8
                    index += 1
                }
            }
            initialized = count
        }
    }

    /// The seed that the environment variable `HOLDFAST_SEED` asks for, else `standard`.
    public static func seed(standard: UInt64) -> UInt64 {
        ProcessInfo.processInfo.environment["HOLDFAST_SEED"].flatMap { UInt64($0) } ?? standard
    }

    /// How often a test draws anew, from seeds that follow one another: what the environment variable
    /// `HOLDFAST_ROUNDS` asks for, else `standard`.
    public static func rounds(standard: Int) -> Int {
        ProcessInfo.processInfo.environment["HOLDFAST_ROUNDS"].flatMap { Int($0) }.map { max(1, $0) }
            ?? standard
    }
}
