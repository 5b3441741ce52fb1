import Digests
import Model
import Volumes

/// What the log says a blob is.
package struct BlobContent: Sendable, Equatable {
    package let length: UInt64
    package let sha256: [UInt8]

    package init(length: UInt64, sha256: [UInt8]) {
        self.length = length
        self.sha256 = sha256
    }
}

/// Puts a blob together from replicas none of which can be believed: their trailers are damaged, or no two of
/// them agree on some block.
///
/// For each block there are as many candidates as the files have different bytes there. One that some file's
/// block table names comes before one that none does, whichever has more files for it; the tables are no proof
/// either, for their own checksum may be lost. Proof is the SHA-256 that the log has of the whole: combinations
/// are tried until one has it. So a wrong guess costs time and never bytes.
struct BlobComposition {
    /// Combinations that are tried: each reads the blob once.
    static let attemptLimit = 64

    let content: BlobContent
    let replicas: [RawReplica]

    /// For each block, which of the replicas has the bytes that belong there.
    struct Choice: Sendable {
        let replicas: [Int]
    }

    /// - Returns: `nil` if no combination has the blob's SHA-256.
    func find() -> Choice? {
        guard let candidates = candidates() else { return nil }
        let open = candidates.indices.filter { candidates[$0].count > 1 }
        var turns = [Int](repeating: 0, count: open.count)
        for _ in 0..<Self.attemptLimit {
            var choice = candidates.map { $0[0] }
            for (turn, block) in zip(turns, open) { choice[block] = candidates[block][turn] }
            if sha256(of: choice) == content.sha256 { return Choice(replicas: choice) }
            guard step(&turns, open.map { candidates[$0].count }) else { return nil }
        }
        return nil
    }

    /// The next combination, counted like a number whose last digit changes first.
    private func step(_ turns: inout [Int], _ counts: [Int]) -> Bool {
        for index in turns.indices.reversed() {
            turns[index] += 1
            if turns[index] < counts[index] { return true }
            turns[index] = 0
        }
        return false
    }

    /// - Returns: for each block the replicas that have different bytes there, the likeliest first; `nil` if some
    ///   block is nowhere.
    private func candidates() -> [[Int]]? {
        let tables = replicas.compactMap { $0.checksums() }
        var all: [[Int]] = []
        for block in 0..<BlockMath.count(content.length) {
            var found: [(replica: Int, checksum: UInt32)] = []
            for (index, replica) in replicas.enumerated() {
                guard let bytes = replica.block(block) else { continue }
                let checksum = CRC32C.checksum(bytes)
                if !found.contains(where: { $0.checksum == checksum }) { found.append((index, checksum)) }
            }
            guard !found.isEmpty else { return nil }
            let named = found.filter { candidate in tables.contains { $0[block] == candidate.checksum } }
            let others = found.filter { candidate in !tables.contains { $0[block] == candidate.checksum } }
            all.append((named + others).map(\.replica))
        }
        return all
    }

    private func sha256(of choice: [Int]) -> [UInt8]? {
        var sha256 = SHA256()
        for (block, replica) in choice.enumerated() {
            guard let bytes = replicas[replica].block(block) else { return nil }
            bytes.withUnsafeBytes { sha256.update($0) }
        }
        return sha256.finalize()
    }

    /// The descriptor that one of the files still has.
    var descriptor: EventBlobDescriptor? {
        for replica in replicas {
            if let descriptor = replica.descriptor(sha256: content.sha256) { return descriptor }
        }
        return nil
    }
}
