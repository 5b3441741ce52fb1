import Digests
import Model
import Volumes

/// Finds out whether the whole of one blob can be had from what there is of it, quarantines included, a run of blocks at a
/// time.
///
/// Synchronous; between two steps, whoever takes them may let others go first. What is written anew meanwhile may be met
/// half done: that something can be had is certain, that it cannot is not.
final class BlobProof: @unchecked Sendable {
    // Unchecked: steps are taken one after the other, each when the one before has returned.
    private static let chunkBlocks = OpenReplica.chunkByteCount / Limits.blockSize

    private let copier: BlobCopier
    private let id: BlobID
    private let content: BlobContent
    private let blockCount: Int
    private var source: (any BlockSource)?
    /// Blocks that were read.
    private var done = 0
    private var sha256 = SHA256()
    /// `nil` while there are steps to take.
    private(set) var verdict: Bool?

    init(_ copier: BlobCopier, _ id: BlobID, _ content: BlobContent) {
        self.copier = copier
        self.id = id
        self.content = content
        blockCount = BlockMath.count(content.length)
    }

    /// - Returns: the number of bytes that it read.
    func step() -> Int {
        precondition(verdict == nil, "there is nothing left to find out")
        do { return try read() } catch {
            // Whatever it is, there may be another way to the bytes.
            verdict = copier.canCompose(id, content)
            return Int(content.length) * copier.sources.count
        }
    }

    private func read() throws -> Int {
        let source = try self.source ?? copier.blocks(of: id, content).blocks
        self.source = source
        var count = 0
        if done < blockCount {
            let blocks = done..<min(done + Self.chunkBlocks, blockCount)
            let buffer = OpenReplica.buffers.lend()
            defer { withExtendedLifetime(buffer) {} }
            count = try source.read(blocks, into: buffer.bytes)
            sha256.update(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer.bytes)[0..<count]))
            done = blocks.upperBound
        }
        if done == blockCount {
            guard sha256.finalize() == content.sha256 else { throw BlobFlaw.wrongSHA256 }
            verdict = true
        }
        return count
    }
}
