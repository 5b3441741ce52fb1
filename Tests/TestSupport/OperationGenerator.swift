import Digests
import Model
import ObjectStore

/// Random operations that mean something to a store as the model has it. The same seed and the same outcomes give
/// the same operations, whatever ids the engine chooses.
package struct OperationGenerator: Sendable {
    package var random: SeededGenerator
    /// Bytes of small objects, and of large ones.
    package var sizes: (small: ClosedRange<Int>, large: ClosedRange<Int>) = (0...4000, 66_000...200_000)
    /// Whether parts may be as large as all but the last one must be.
    package var hasLargeParts = false
    package var buckets = ["alpha", "beta"]
    package var keys = ["a", "a/b", "a/c/d", "a-b", "b", "ü", "z"]

    package init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    package mutating func next(_ model: StoreModel) -> StoreModel.Operation {
        let name = pick(buckets)
        let key = pick(keys)
        let upload = model.uploads.sorted { $0.value.number < $1.value.number }.randomElement(using: &random)
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<5: return .createBucket(name)
        case 5..<7: return .deleteBucket(name)
        case 7..<11:
            return .setVersioning(name, pick([.enabled, .enabled, .suspended, .off]))
        case 11..<46: return .put(name, key, bytes(), condition(model, name, key))
        case 46..<50: return .lock(name, key, selector(model, name, key), lock(), bypass: isBypassed())
        case 50..<65: return .delete(name, key, selector(model, name, key), bypass: isBypassed())
        case 65..<75: return .copy(name, key, selector(model, name, key), to: pick(buckets), pick(keys))
        case 75..<82: return .createUpload(name, key)
        case 82..<90:
            guard let upload else { return .createUpload(name, key) }
            let isLarge = hasLargeParts && Int.random(in: 0..<4, using: &random) == 0
            let count = isLarge ? Int(Limits.minimumPartByteCount) : nil
            return .putPart(
                upload.key, Int.random(in: 1...3, using: &random), count.map { random.bytes($0) } ?? bytes())
        case 90..<97:
            guard let upload else { return .createUpload(name, key) }
            return .complete(
                upload.key, parts(upload.value), condition(model, upload.value.bucket, upload.value.key))
        default:
            guard let upload else { return .createUpload(name, key) }
            return .abort(upload.key)
        }
    }

    private mutating func pick<Value>(_ values: [Value]) -> Value {
        values[Int.random(in: 0..<values.count, using: &random)]
    }

    private mutating func bytes() -> [UInt8] {
        let isLarge = Int.random(in: 0..<3, using: &random) == 0
        return random.bytes(Int.random(in: isLarge ? sizes.large : sizes.small, using: &random))
    }

    private mutating func isBypassed() -> Bool { Int.random(in: 0..<3, using: &random) == 0 }

    private mutating func lock() -> StoreModel.Lock {
        let end = StoreModel.Lock.present
        switch Int.random(in: 0..<10, using: &random) {
        case 0...4: return .init(mode: .governance, until: end + UInt64.random(in: 1...3, using: &random))
        case 5: return .init(mode: .compliance, until: end + UInt64.random(in: 1...3, using: &random))
        case 6: return .init(mode: .compliance, until: 1)
        case 7: return .init(isHeld: true)
        default: return .init()
        }
    }

    private mutating func selector(_ model: StoreModel, _ name: String, _ key: String) -> StoreModel.Selector
    {
        let versions = model.buckets[name]?.keys[key] ?? []
        switch Int.random(in: 0..<6, using: &random) {
        case 0: return .named("null")
        case 1: return .named(String(repeating: "0", count: 32))
        case 2...3:
            guard !versions.isEmpty else { return .current }
            return .named(pick(versions).wire)
        default: return .current
        }
    }

    private mutating func condition(_ model: StoreModel, _ name: String, _ key: String)
        -> StoreModel.Condition
    {
        let etag = model.buckets[name]?.keys[key]?.first?.etag ?? "none"
        switch Int.random(in: 0..<12, using: &random) {
        case 0: return .absent
        case 1: return .matches(etag)
        case 2: return .matchesNot(etag)
        case 3: return .matches("other")
        default: return .none
        }
    }

    private mutating func parts(_ upload: StoreModel.Upload) -> [CompletedPart] {
        var parts = upload.parts.sorted { $0.key < $1.key }.map {
            CompletedPart(number: $0.key, etag: MD5.hash($0.value).hexadecimal)
        }
        switch Int.random(in: 0..<8, using: &random) {
        case 0: parts.reverse()
        case 1: parts.append(CompletedPart(number: 9, etag: "0"))
        case 2...4: if parts.count > 1 { parts.removeFirst(parts.count - 1) }
        default: break
        }
        return parts
    }
}
