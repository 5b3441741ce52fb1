import Model

/// Buckets as they were read last: every request needs one, and they hardly ever change.
///
/// Cleared whenever a bucket may have changed. A row that was read before that and comes in after it is not
/// kept, so what is here is never older than the last clearing.
final class BucketCache: Sendable {
    private static let limit = 4096

    private struct State: Sendable {
        var buckets: [BucketName: Bucket] = [:]
        var generation: UInt64 = 0
    }

    private let state = ReadMostly(State())

    func known(_ name: BucketName) -> Bucket? { state.read { $0.buckets[name] } }

    /// The bucket, from here or else as `read` finds it.
    func bucket(_ name: BucketName, read: () throws -> Bucket?) rethrows -> Bucket? {
        let (known, generation) = state.read { ($0.buckets[name], $0.generation) }
        if let known { return known }
        guard let found = try read() else { return nil }
        state.change { state in
            guard state.generation == generation else { return }
            if state.buckets.count >= Self.limit { state.buckets.removeAll() }
            state.buckets[name] = found
        }
        return found
    }

    func clear() {
        state.change { state in
            state.generation += 1
            state.buckets.removeAll()
        }
    }
}
