import Digests

/// What bounds large PUTs in the processor: how fast an object is hashed.
enum DigestLimits {
    private static let body = RandomBody(byteCount: 64 << 20)

    /// - Returns: bytes a second, of 64 MiB that are hashed again and again in pieces of 1 MiB.
    static func measure<Digest: StreamingDigest>(
        _ make: @Sendable () -> Digest, seconds: Double
    ) -> Double {
        var byteCount = 0
        _ = hash(make)  // what is computed once, the body's bytes first of all, is not timed
        let start = Clock.now
        repeat { byteCount += hash(make) } while Clock.seconds(since: start) < seconds
        return Double(byteCount) / Clock.seconds(since: start)
    }

    /// MD5 and SHA-256 of the same bytes, on two threads.
    /// - Returns: seconds for 64 MiB, of the slower of the two; the mean of several.
    static func bothOnce(rounds: Int) throws -> Double {
        let start = Clock.now
        for _ in 0..<rounds {
            _ = try onThreads(2) { $0 == 0 ? hash { MD5() } : hash { SHA256() } }
        }
        return Clock.seconds(since: start) / Double(rounds)
    }

    private static func hash<Digest: StreamingDigest>(_ make: () -> Digest) -> Int {
        var digest = make()
        for offset in stride(from: 0, to: body.bytes.count, by: 1 << 20) {
            digest.update(UnsafeRawBufferPointer(rebasing: body.bytes[offset..<offset + (1 << 20)]))
        }
        precondition(digest.finalize().contains { $0 != 0 }, "a digest of random bytes is not all zeros")
        return body.bytes.count
    }
}
