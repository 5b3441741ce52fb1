import Digests
import Foundation
import Integrity
import Model

/// One thing that was done, so that a test knows the truth.
struct Planted: Encodable {
    let faultClass: String
    /// The finding that a check must make of it.
    let code: String
    let name: String
    /// 1, 2, 3; 0 for the catalog.
    let volume: Int
    /// Relative to the volume, or to the store's directory.
    let path: String
    var bucket = ""
    var key = ""
    var blob = ""
    var sequence: UInt64 = 0
    var offset: UInt64 = 0
    /// SHA-256 of what stood there before, and of what stands there now; empty for nothing.
    var before = ""
    var after = ""
    let what: String

    enum CodingKeys: String, CodingKey {
        case code, name, volume, path, bucket, key, blob, sequence, offset, before, after, what
        case faultClass = "class"
    }

    init(_ fault: FaultClass, volume: Int, path: String, _ what: String) {
        faultClass = fault.rawValue
        code = fault.code.number
        name = fault.code.rawValue
        self.volume = volume
        self.path = path
        self.what = what
    }

    var text: String {
        let place = volume == 0 ? path : "volume \(volume) \(path)"
        return "\(code) \(name): \(place): \(what)" + (before.isEmpty ? "" : "\n    before \(before)")
            + (after.isEmpty ? "" : "\n    after  \(after)")
    }
}

/// Why a fault cannot be planted.
struct Refusal: Error, CustomStringConvertible {
    /// The object has no such part, or the store not enough objects: 3. Anything else: 1.
    var status: Int32 = 1
    let description: String

    static func notApplicable(_ description: String) -> Refusal {
        Refusal(status: 3, description: description)
    }
}

func digest(_ bytes: [UInt8]) -> String { SHA256.hash(bytes).hexadecimal }

/// Random numbers that a seed repeats (SplitMix64).
struct Seeded: RandomNumberGenerator {
    private var state: UInt64
    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
